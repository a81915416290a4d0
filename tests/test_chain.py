"""The whole chain: what it leaves, and that it goes on from wherever it was stopped."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from subgrid import chain
from subgrid.errors import DatasetError
from subgrid.prediction.score import score
from subgrid.recipe import Recipe, load_recipe
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.draws import Draw
from subgrid.records.plan import Wanted
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location
from subgrid.source.steps import list_steps
from subgrid.training.progress import Silence


class Witness:
    """Follows the stages, and presses Ctrl-C in the one that is asked."""

    def __init__(self, stop: str | None = None) -> None:
        self.stop, self.stages = stop, []
        self.watcher = chain.Watcher(self.progress, self)

    @contextmanager
    def progress(self, what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        self.stages.append(what)

        def report(done: int, total: int) -> None:
            if what == self.stop and done > total // 3:
                raise KeyboardInterrupt

        yield report

    def notice(self, text: str) -> None:
        pass

    def __call__(self, *_: object) -> None:
        pass


class Training(Silence):
    """Presses Ctrl-C within training."""

    def progress(self, progress) -> None:
        if progress.rows >= 48:
            raise KeyboardInterrupt


@pytest.fixture
def recipe(work: Path, tmp_path: Path) -> Callable[..., Recipe]:
    """The tiny recipe on made-up steps of its own, into a fresh folder."""
    made = ["source.location=synthetic", "source.synthetic.steps=6", "source.synthetic.columns=24",
            "source.validation=every=3"]  # fmt: skip
    return lambda name, *more: load_recipe(work / "recipe.yaml", [*made, f"out={tmp_path / name}", *more])


def silent() -> chain.Watcher:
    return chain.Watcher(Witness().progress, Silence())


def test_the_chain_leaves_what_its_stages_leave(work: Path) -> None:
    assert {"data", "run", "prediction", "score.json"} <= {path.name for path in work.iterdir()}
    content = json.loads((work / "score.json").read_text())
    expected = score(work / "prediction", str(work / "data")).card.to_json()
    assert {key: content[key] for key in expected} == expected
    assert (content["split"], content["rows"]) == ("validation", 72)
    assert content["climatology"].keys() == {"competition", "r2_308", "r2_294"}
    assert content["climatology"]["r2_294"] < 0.01


def test_stopped_in_any_stage_it_ends_the_same(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    whole = chain.run(recipe("whole"), silent())
    for stage in ("sample", "build", "predict", "score"):
        with pytest.raises(KeyboardInterrupt):
            chain.run(recipe("broken"), chain.Watcher(Witness(stage).progress, Silence()))
        assert not (tmp_path / "broken" / "score.json").exists()
        if stage == "build":
            with pytest.raises(KeyboardInterrupt):
                chain.run(recipe("broken"), chain.Watcher(Witness().progress, Training()))
    assert chain.run(recipe("broken"), silent()).score == whole.score
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.tfrecord")]
    assert files
    assert all((tmp_path / "whole" / one).read_bytes() == (tmp_path / "broken" / one).read_bytes() for one in files)


def test_a_second_run_keeps_everything(recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    first = chain.run(recipe("out"), silent())
    heavy = [*(tmp_path / "out").rglob("*.tfrecord"), *(tmp_path / "out").rglob("*.nc")]
    heavy += (tmp_path / "out").rglob("*.safetensors")
    before = {path: path.stat().st_mtime_ns for path in heavy if path.parent.name != "source"}
    second = chain.run(recipe("out"), silent())
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_other_variable_sets_go_through_the_chain(recipe: Callable[..., Recipe], name: str) -> None:
    outcome = chain.run(recipe(name, f"records.variables={name}", "training.rows=16"), silent())
    assert (outcome.score["r2_294"] is None, outcome.learnt is None) == (name == "v1", name == "v1")
    assert outcome.score["by_variable"]["cam_out_NETSW"]["rmse"] > 0


def test_float64_rows_and_no_validation_go_through_the_chain(recipe: Callable[..., Recipe]) -> None:
    settings = ("records.float64=true", "source.validation=", "training.rows=16")
    outcome = chain.run(recipe("out", *settings), silent())
    assert (outcome.score["split"], outcome.score["rows"]) == ("training", 6 * 24)


@pytest.mark.parametrize("kind", ["data", "run", "prediction"])
def test_a_folder_of_one_stage_is_not_taken_for_the_whole(recipe: Callable[..., Recipe], work: Path, kind: str) -> None:
    shutil.copytree(work / kind, Path(recipe("out").out))
    with pytest.raises(DatasetError, match="expected a new folder, or one that this command wrote, found"):
        chain.run(recipe("out"), silent())


def test_a_file_is_not_taken_for_the_folder(recipe: Callable[..., Recipe]) -> None:
    Path(recipe("out").out).write_text("text")
    with pytest.raises(DatasetError, match="found a file"):
        chain.run(recipe("out"), silent())


def test_learnt_is_clearly_above_climatology(recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "CLEARLY", -1.0)
    assert chain.run(recipe("out", "training.rows=16"), silent()).learnt is True
    monkeypatch.setattr(chain, "CLEARLY", 1.0)
    assert chain.run(recipe("out", "training.rows=16"), silent()).learnt is False


@pytest.mark.parametrize(("span", "mixed"), [(0, 2), (3, 3)])
def test_a_draw_takes_the_steps_of_its_words(
    recipe: Callable[..., Recipe], tmp_path: Path, span: int, mixed: int
) -> None:
    """The same data set as by ``subgrid build --draw``; without a span of its own, the rows of a batch are mixed."""
    plan = tmp_path / "drawn.json"
    settings = ("source.draw=1x2x2", "source.validation=", f"source.plan={plan}", f"records.span={span}", "seed=5")
    chain.run(recipe("out", *settings, "training.rows=16"), silent())
    source = Location(str(tmp_path / "out" / "source"))
    drawn = Draw(1, 2, 2).of(list_steps(source), 5)
    assert json.loads(plan.read_text())["steps"]["training"] == [step.label for step in drawn]
    ready = prepare(source, BuildSettings(shard_size=300_000, seed=5, span=mixed), Wanted(draw=Draw(1, 2, 2)))
    assert Dataset.open(tmp_path / "out" / "data").digest == build(ready, tmp_path / "expected").digest
