"""Writing predictions: what is unfinished is none, and what was there before stays until the new one is whole."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_predictions import ROWS, arrays, manifest, written
from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.prediction import writer as module
from subgrid.prediction.store import StoredPrediction, read_prediction_manifest
from subgrid.prediction.writer import PredictionWriter


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SHARD_ROWS", 10)


def test_an_unfinished_prediction_is_not_taken(tmp_path: Path) -> None:
    of = manifest(ROWS.size)
    writer = PredictionWriter(tmp_path / "out", of)
    writer.add(arrays(ROWS[:15], of))
    writer.abandon()
    with pytest.raises(DatasetError, match=r"expected a prediction with a prediction\.json, found none"):
        StoredPrediction.open(tmp_path / "out")
    assert StoredPrediction.open(written(tmp_path / "out", ROWS, of)).rows.size == ROWS.size


def test_a_finished_prediction_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    of, fewer = manifest(ROWS.size), manifest(5)
    out = written(tmp_path / "out", ROWS, of)
    writer = PredictionWriter(out, fewer)
    writer.add(arrays(ROWS[:5], fewer))
    assert StoredPrediction.open(out).rows.size == ROWS.size
    writer.finish()
    assert StoredPrediction.open(out).rows.size == 5
    assert sorted(path.name for path in out.iterdir()) == [".lock", "prediction.json", "shards"]


STEPS = ["replace", "fsync", "unlink", "mkdir", "rmdir"]


@pytest.mark.parametrize("other", [False, True], ids=["same", "other"])
def test_a_process_killed_at_any_moment_leaves_a_whole_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: bool
) -> None:
    """Every call that changes the disk is the last one once; the old prediction or the new one can be read then."""
    old = manifest(ROWS.size)
    new = old.model_copy(update={"checkpoint_digest": "d"} if other else {})
    seen, calls, last = set(), 0, 1

    class Killed(BaseException):
        pass

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= last:
                raise Killed
            return call(*arguments, **options)

        return one

    while True:
        out = written(tmp_path / f"{last}", ROWS, old)
        calls = 0
        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, counted(getattr(os, name)))
            with contextlib.suppress(Killed):
                written(out, ROWS, new)
                break
        found = StoredPrediction.open(out)
        seen.add(found.manifest.checkpoint_digest)
        assert np.array_equal(found.at(ROWS).prediction, arrays(ROWS, old)["prediction"])
        assert StoredPrediction.open(written(out, ROWS, new)).manifest.identity == new.identity
        names = {shard.name for shard in read_prediction_manifest(out).shards}
        assert set(os.listdir(out / "shards")) == names
        last += 1
    assert last > 10 and seen == ({"c", "d"} if other else {"c"})


def test_a_full_disk_at_the_manifest_leaves_what_was_there_and_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = manifest(ROWS.size)
    out = written(tmp_path / "out", ROWS, of)
    before = sorted(os.listdir(out / "shards"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_json", fails)
        writer = PredictionWriter(out, of)
        writer.add(arrays(ROWS, of))
        with pytest.raises(SubgridError) as error:  # holds the traceback, and with it the writer
            writer.finish()
        assert len(os.listdir(out / "shards")) == 8
        writer.abandon()
    assert sorted(os.listdir(out / "shards")) == before and "full" in str(error.value)
    assert StoredPrediction.open(written(out, ROWS, of)).rows.size == ROWS.size


def fails(*_: object) -> None:
    raise SubgridError("the disk is full")


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_numbers_of_shards_alternate(tmp_path: Path, rounds: int) -> None:
    """Four shards: 0 to 3, then 4 to 7, then 0 to 3 again."""
    for _ in range(rounds):
        written(tmp_path / "out", ROWS, manifest(ROWS.size))
    first = 4 * ((rounds + 1) % 2)
    names = [f"prediction-{number:05d}.tfrecord" for number in range(first, first + 4)]
    assert sorted(os.listdir(tmp_path / "out" / "shards")) == names


def test_two_writers_do_not_share_a_folder(tmp_path: Path) -> None:
    of = manifest(5)
    writer = PredictionWriter(tmp_path / "out", of)
    with pytest.raises(SettingsError, match="another process is at work in this folder"):
        PredictionWriter(tmp_path / "out", of)
    writer.add(arrays(ROWS[:5], of))
    writer.finish()
    assert StoredPrediction.open(written(tmp_path / "out", ROWS[:5], of)).rows.size == 5


def test_too_few_rows_are_no_prediction(tmp_path: Path) -> None:
    of = manifest(ROWS.size)
    writer = PredictionWriter(tmp_path / "out", of)
    writer.add(arrays(ROWS[:5], of))
    with pytest.raises(DatasetError, match=f"expected {ROWS.size} predicted rows, found 5"):
        writer.finish()


@pytest.mark.parametrize("stranger", ["notes.txt", "shards/training-00000.tfrecord", "shards/more/x"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, stranger: str) -> None:
    path = tmp_path / "out" / stranger
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(DatasetError, match="expected an empty folder or a prediction, found"):
        PredictionWriter(tmp_path / "out", manifest(1))
    assert path.read_text() == "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DatasetError, match="expected a folder to write the prediction into, found a file"):
        PredictionWriter(tmp_path / "out", manifest(1))
    with pytest.raises(DatasetError, match="found none"):
        read_prediction_manifest(tmp_path / "out")
