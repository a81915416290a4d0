"""Predictions on disk: what is written is read, what is unfinished or damaged is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from made_predictions import ROWS, arrays, manifest, written
from subgrid.errors import DatasetError
from subgrid.prediction import writer
from subgrid.prediction.store import (
    StoredPrediction,
    prediction_layout,
    read_prediction_manifest,
)
from subgrid.schema.variable_sets import variable_set

SHARD_ROWS = 10


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_SHARD_ROWS", SHARD_ROWS)


def shard_of(out: Path, number: int) -> Path:
    return out / "shards" / read_prediction_manifest(out).shards[number].name


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
