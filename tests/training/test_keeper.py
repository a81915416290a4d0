"""What one segment leaves, and what the next one makes of it."""

import shutil
from pathlib import Path

import pytest

from subgrid.training import folder, metrics
from subgrid.training.keeper import Keeper, Place


class StillLearner:
    """A learner without weights."""

    def __init__(self) -> None:
        self.restored: list[str] = []

    def broken(self) -> list[str]:
        return []

    def weights(self) -> dict:
        return {}

    def training_tensors(self) -> dict:
        return {}

    def restore(self, weights: dict, tensors: dict, where: str) -> None:
        self.restored.append(where)


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path, StillLearner(), {"recipe": {}, "conditions": {"torch": "2", "threads": 1}})


def scored(keeper: Keeper, place: Place, score: float | None) -> Place:
    place.closed, place.rows = place.closed + 1, place.rows + 10
    place.scores = {"r2_294": score}
    metrics.append(keeper.out / "metrics.jsonl", {"event": "sub_epoch", "sub_epoch": place.closed, "rows": place.rows})
    keeper.save(place, closing=True)
    return place


def pointers(run: Path) -> tuple[str | None, str | None]:
    return folder.read_pointer(run, "latest"), folder.read_pointer(run, "best")


def test_the_best_checkpoint_is_kept_beside_the_latest(keeper: Keeper) -> None:
    place = keeper.begin(None)
    found = []
    for score in (0.1, 0.3, 0.2, None, 0.3, 0.4):
        scored(keeper, place, score)
        found.append((*pointers(keeper.out), folder.checkpoint_names(keeper.out)))
    assert found == [
        ("1", "1", ["1"]),
        ("2", "2", ["2"]),
        ("3", "2", ["2", "3"]),
        ("4", "2", ["2", "4"]),
        ("5", "2", ["2", "5"]),
        ("6", "6", ["6"]),
    ]


def test_a_checkpoint_within_a_sub_epoch_is_the_best_only_while_nothing_was_scored(keeper: Keeper) -> None:
    place = keeper.begin(None)
    place.rows = 4
    keeper.save(place, closing=False)
    assert pointers(keeper.out) == ("rows-4", "rows-4")
    scored(keeper, place, -0.5)
    place.rows += 3
    keeper.save(place, closing=False)
    assert pointers(keeper.out) == ("rows-17", "1")


def test_what_came_after_the_latest_checkpoint_is_undone(keeper: Keeper) -> None:
    place = keeper.begin(None)
    scored(keeper, place, 0.1)
    scored(keeper, place, 0.05)
    # Killed after checkpoint 3 was named and became the best, before ``latest`` changed.
    checkpoints = keeper.out / "checkpoints"
    shutil.copytree(checkpoints / "2", checkpoints / "3")
    shutil.copytree(checkpoints / "2", checkpoints / ".writing-4")
    folder.write_pointer(keeper.out, "best", "3")
    metrics.append(keeper.out / "metrics.jsonl", {"event": "sub_epoch", "sub_epoch": 3, "rows": 30})
    restored, differing = keeper.restore("2")
    assert restored == place
    assert differing == []
    assert pointers(keeper.out) == ("2", "1")
    assert sorted(path.name for path in checkpoints.iterdir()) == ["1", "2"]
    assert len((keeper.out / "metrics.jsonl").read_text().splitlines()) == 2


def test_differing_conditions_are_returned(keeper: Keeper) -> None:
    scored(keeper, keeper.begin(None), 0.1)
    other = Keeper(keeper.out, StillLearner(), {"recipe": {}, "conditions": {"torch": "3", "threads": 1}})
    assert other.restore("1")[1] == ["torch 2 -> 3"]


def test_a_fresh_start_removes_what_never_became_a_checkpoint(keeper: Keeper) -> None:
    (keeper.out / "checkpoints" / "1").mkdir(parents=True)
    metrics.append(keeper.out / "metrics.jsonl", {"event": "sub_epoch", "sub_epoch": 1, "rows": 10})
    assert keeper.begin(None) == Place()
    assert folder.checkpoint_names(keeper.out) == []
    assert (keeper.out / "metrics.jsonl").read_text() == ""


def test_the_last_line_is_written_once(keeper: Keeper) -> None:
    place = scored(keeper, keeper.begin(None), 0.1)
    keeper.finish(place, 12.0)
    keeper.finish(place, 13.0)
    lines = (keeper.out / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert '"seconds": 12.0' in lines[-1]


def test_checkpoints_on_the_list_stay(keeper: Keeper) -> None:
    keeper = Keeper(keeper.out, StillLearner(), keeper.card, keep=(2, 3))
    place = keeper.begin(None)
    found = []
    for score in (0.4, 0.1, 0.2, 0.3):
        scored(keeper, place, score)
        found.append(folder.checkpoint_names(keeper.out))
    assert found == [["1"], ["1", "2"], ["1", "2", "3"], ["1", "2", "3", "4"]]


def test_a_checkpoint_on_the_list_that_came_too_late_is_made_again(keeper: Keeper) -> None:
    keeper = Keeper(keeper.out, StillLearner(), keeper.card, keep=(1, 3))
    place = keeper.begin(None)
    for score in (0.1, 0.3):
        scored(keeper, place, score)
    # Killed after checkpoint 3 was named, before ``latest`` changed.
    shutil.copytree(keeper.out / "checkpoints" / "2", keeper.out / "checkpoints" / "3")
    keeper.restore("2")
    assert folder.checkpoint_names(keeper.out) == ["1", "2"]


def test_a_list_that_comes_too_late_is_told(keeper: Keeper) -> None:
    place = keeper.begin(None)
    for score in (0.1, 0.2, 0.3):
        scored(keeper, place, score)
    later = Keeper(keeper.out, StillLearner(), keeper.card, keep=(2, 3, 5))
    later.restore("3")
    assert later.gone(place) == ["2"]


def test_a_checkpoint_that_was_kept_stays_when_nobody_asks_for_it_any_more(keeper: Keeper) -> None:
    keeper.keep = (1,)
    place = keeper.begin(None)
    for score in (0.1, 0.2, 0.3):
        scored(keeper, place, score)
    assert folder.checkpoint_names(keeper.out) == ["1", "3"]
    again = Keeper(keeper.out, keeper.learner, keeper.card)
    place, _ = again.restore("3")
    assert folder.checkpoint_names(keeper.out) == ["1", "3"]
    scored(again, place, 0.4)
    assert folder.checkpoint_names(keeper.out) == ["1", "4"]
