"""Predictions on disk: what is written is read, what is unfinished or damaged is refused."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction import store
from subgrid.prediction.store import (
    PredictionManifest,
    PredictionWriter,
    StoredPrediction,
    prediction_layout,
    read_prediction_manifest,
)
from subgrid.schema.variable_sets import variable_set

SHARD_ROWS = 10


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_SHARD_ROWS", SHARD_ROWS)


def manifest(rows: int, name: str = "v1", rule: bool = False, confidence: bool = False) -> PredictionManifest:
    return PredictionManifest(
        variable_set=name, rows=rows, run="run", checkpoint="1", checkpoint_digest="c", input="data", input_digest="i",
        rule=rule, confidence=confidence, program="test",
    )  # fmt: skip


def arrays(rows: np.ndarray, of: PredictionManifest) -> dict[str, np.ndarray]:
    """Made-up values that follow from the row alone, over all sizes that float64 has."""
    width = variable_set(of.variable_set).target_width
    draw = [np.random.default_rng(int(row)) for row in rows]
    values = np.stack([one.normal(size=width) * 10.0 ** one.integers(-300, 300, width) for one in draw])
    made = {"row": rows, "column": rows % 7, "time": rows * 1200, "prediction": values}
    if of.rule:
        made["rule"] = np.stack([one.normal(size=15) for one in draw])
    if of.confidence:
        made["confidence"] = np.stack([one.normal(size=width) for one in draw]).astype(np.float32)
    return made


def written(out: Path, rows: np.ndarray, of: PredictionManifest, chunk: int = 7) -> Path:
    writer = PredictionWriter(out, of)
    for start in range(0, rows.size, chunk):
        writer.add(arrays(rows[start : start + chunk], of))
    writer.finish()
    return out


def shard_of(out: Path, number: int) -> Path:
    return out / "shards" / read_prediction_manifest(out).shards[number].name


ROWS = np.random.default_rng(3).permutation(np.arange(1000, 1033))


@pytest.mark.parametrize("parts", [("v1", False, False), ("v1", False, True), ("kaggle", True, True)])
@pytest.mark.parametrize("chunk", [1, 7, 10, 33])
def test_what_is_written_is_read_whatever_the_chunks(tmp_path: Path, parts: tuple[str, bool, bool], chunk: int) -> None:
    name, rule, confidence = parts
    of = manifest(ROWS.size, name, rule, confidence)
    stored = StoredPrediction.open(written(tmp_path / "out", ROWS, of, chunk))
    assert [shard.rows for shard in stored.manifest.shards] == [10, 10, 10, 3]
    assert np.array_equal(stored.rows, np.sort(ROWS))
    asked = ROWS[[30, 2, 2, 11, 0]]
    expected = arrays(asked, of)
    found = stored.at(asked)
    for key, value in expected.items():
        if key in ("row", "prediction", "rule", "confidence"):
            assert np.array_equal(getattr(found, key), value)
    assert (found.rule is None, found.confidence is None) == (not rule, not confidence)
    scanned = [part.row for part in stored.scan()]
    assert np.array_equal(np.concatenate(scanned), ROWS)


def test_records_hold_the_row_where_the_layout_says(tmp_path: Path) -> None:
    of = manifest(3)
    written(tmp_path / "out", ROWS[:3], of)
    layout = prediction_layout(variable_set("v1"), rule=False, confidence=False)
    data = shard_of(tmp_path / "out", 0).read_bytes()
    assert len(data) == 3 * layout.stride
    for place in range(3):
        start = place * layout.stride + layout.offsets["row"]
        assert int.from_bytes(data[start : start + 8], "little") == ROWS[place]


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


def test_two_writers_do_not_share_a_folder(tmp_path: Path) -> None:
    of = manifest(5)
    writer = PredictionWriter(tmp_path / "out", of)
    with pytest.raises(SettingsError, match="another process is writing into this folder"):
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


@pytest.mark.parametrize("place", [0, 5000, -1])
def test_a_flipped_bit_is_refused(tmp_path: Path, place: int) -> None:
    out = written(tmp_path / "out", ROWS, manifest(ROWS.size))
    path = shard_of(out, 1)
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)
    row = (place % len(data)) // (len(data) // SHARD_ROWS)
    with pytest.raises(DatasetError, match=rf"-00001\.tfrecord.*row {row} is damaged"):
        StoredPrediction.open(out)


def test_a_cut_or_missing_shard_is_refused(tmp_path: Path) -> None:
    out = written(tmp_path / "out", ROWS, manifest(ROWS.size))
    path = shard_of(out, 3)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="00003.*the shard was cut"):
        StoredPrediction.open(out)
    path.unlink()
    with pytest.raises(DatasetError, match="00003.*missing"):
        StoredPrediction.open(out)


def test_a_row_that_stands_twice_is_named(tmp_path: Path) -> None:
    rows = np.array([5, 9, 7, 9, 5])
    out = written(tmp_path / "out", rows, manifest(rows.size))
    with pytest.raises(DatasetError, match=r"row 5 is predicted twice \(2 doubles\)"):
        StoredPrediction.open(out)


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "subgrid-prediction/0"}, "expected a manifest of format"),
        ({"rows": "many"}, "damaged, or written by another version"),
        ({"surprise": 1}, "damaged, or written by another version"),
        ({"variable_set": "v9"}, "unknown variable set 'v9'"),
    ],
)
def test_a_manifest_of_another_make_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    out = written(tmp_path / "out", ROWS, manifest(ROWS.size))
    found = json.loads((out / "prediction.json").read_text())
    (out / "prediction.json").write_text(json.dumps(found | change))
    with pytest.raises(ValueError, match=message):
        StoredPrediction.open(out)


def test_a_shard_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    out = written(tmp_path / "out", ROWS, manifest(ROWS.size))
    found = json.loads((out / "prediction.json").read_text())
    found["shards"][0]["name"] = "../elsewhere"
    (out / "prediction.json").write_text(json.dumps(found))
    with pytest.raises(DatasetError, match="leads out of its folder"):
        StoredPrediction.open(out)


def test_identity_is_set_checkpoint_and_columns() -> None:
    one = manifest(3)
    assert one.identity == one.model_copy(update={"run": "moved", "input": "moved", "checkpoint": "2"}).identity
    for key in ("variable_set", "checkpoint_digest", "input_digest"):
        assert one.identity != one.model_copy(update={key: "other"}).identity
