"""Streaming prediction: the same values for a data set, its raw folder and any batch; whole or not at all."""

import os
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import torch

from subgrid.errors import DatasetError, InputError
from subgrid.prediction.columns import Columns, DatasetColumns, open_columns
from subgrid.prediction.predict import largest_difference, predict
from subgrid.prediction.store import StoredPrediction
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.reader import Dataset
from subgrid.schema.variable_sets import variable_set
from subgrid.source.locations import Location
from subgrid.training.checkpoint import CheckpointInfo, load_emulator

KAGGLE = variable_set("kaggle")


@pytest.fixture
def loaded(work: Path):
    return load_emulator(work / "run")


@pytest.fixture
def validation(work: Path) -> DatasetColumns:
    return DatasetColumns(Dataset.open(work / "data"), "validation")


def apart(one: Path, other: Path, info: CheckpointInfo) -> float:
    """Largest difference in standard deviations of the rows that both hold."""
    left, right = StoredPrediction.open(one), StoredPrediction.open(other)
    rows = np.intersect1d(left.rows, right.rows)
    assert rows.size
    std = info.table.targets.std
    scale = np.where(std > 0, std, 1.0)
    return float((np.abs(left.at(rows).prediction - right.at(rows).prediction) / scale).max())


def test_a_data_set_and_its_raw_folder_are_predicted_alike(
    loaded, work: Path, synthetic_source: Path, tmp_path: Path
) -> None:
    for name, path in (("data", work / "data"), ("raw", synthetic_source)):
        predict(*loaded, open_columns(str(path), KAGGLE), tmp_path / name)
    assert StoredPrediction.open(tmp_path / "raw").rows.size == 20 * 24
    assert StoredPrediction.open(tmp_path / "data").rows.size == 19 * 24
    assert apart(tmp_path / "data", tmp_path / "raw", loaded[1]) < 1e-4


def test_float64_rows_are_predicted_like_raw_ones(loaded, synthetic_source: Path, tmp_path: Path) -> None:
    build(prepare(Location(str(synthetic_source)), BuildSettings(float64=True)), tmp_path / "data64")
    for name, path in (("data", tmp_path / "data64"), ("raw", synthetic_source)):
        predict(*loaded, open_columns(str(path), KAGGLE), tmp_path / name)
    assert apart(tmp_path / "data", tmp_path / "raw", loaded[1]) < 1e-5  # the order of rows in a batch is another


def test_values_are_those_of_the_emulator(loaded, validation: DatasetColumns, tmp_path: Path) -> None:
    emulator, info = loaded
    predict(emulator, info, validation, tmp_path / "out", batch=30)
    stored = StoredPrediction.open(tmp_path / "out")
    assert stored.manifest.confidence
    for chunk in validation.inputs(30):
        expected = emulator.predict(torch.from_numpy(chunk.inputs), True)
        found = stored.at(chunk.row)
        assert found.prediction.dtype == np.float64 and found.confidence is not None
        assert np.array_equal(found.prediction, expected.targets.numpy())
        assert np.array_equal(found.confidence, expected.confidence.numpy())


def test_the_rule_takes_cloud_water_away_in_one_step(loaded, synthetic_source: Path, tmp_path: Path) -> None:
    columns = open_columns(str(synthetic_source), KAGGLE)
    predict(*loaded, columns, tmp_path / "out")
    stored = StoredPrediction.open(tmp_path / "out")
    with netCDF4.Dataset(min(synthetic_source.rglob("*.mli.*.nc"))) as file:
        file.set_auto_mask(False)
        expected = -np.asarray(file["state_q0002"][12:27], dtype=np.float64).T / 1200
    found = stored.at(columns.row_numbers()[:24]).rule
    assert found is not None and found.any()
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize("batch", [1, 17, 1000])
def test_the_batch_does_not_matter(loaded, work: Path, validation: Columns, tmp_path: Path, batch: int) -> None:
    predict(*loaded, validation, tmp_path / "out", batch=batch)
    assert largest_difference(tmp_path / "out", work / "prediction", loaded[1]) < 1e-4


def test_the_same_prediction_is_kept_and_another_replaces_it(
    loaded, work: Path, validation: Columns, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = predict(*loaded, validation, out)
    shard = out / "shards" / first.shards[0].name
    before = shard.stat()
    assert predict(*loaded, validation, out) == first
    assert (shard.stat().st_mtime_ns, shard.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert predict(*load_emulator(f"{work / 'run'}@1"), validation, out).checkpoint == "1"
    other = StoredPrediction.open(out).manifest
    assert other.checkpoint == "1" and os.listdir(out / "shards") == [one.name for one in other.shards]
    assert not shard.exists()


def test_a_damaged_prediction_is_made_again(loaded, validation: Columns, tmp_path: Path) -> None:
    made = predict(*loaded, validation, tmp_path / "out")
    shard = tmp_path / "out" / "shards" / made.shards[0].name
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-7] + b"x" + whole[-6:])
    again = predict(*loaded, validation, tmp_path / "out")
    shard = tmp_path / "out" / "shards" / again.shards[0].name
    assert shard.read_bytes() == whole
    (tmp_path / "out" / "prediction.json").write_text('{"format": ')
    with pytest.raises(DatasetError, match=r"damaged, or .* \(Invalid JSON: [^\n]*\); predict anew"):
        StoredPrediction.open(tmp_path / "out")
    again = predict(*loaded, validation, tmp_path / "out")
    shard = tmp_path / "out" / "shards" / again.shards[0].name
    assert shard.read_bytes() == whole and StoredPrediction.open(tmp_path / "out").rows.size


def test_an_interrupted_prediction_is_not_taken(loaded, validation: Columns, tmp_path: Path) -> None:
    def interrupted(done: int, total: int) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(*loaded, validation, tmp_path / "out", batch=10, progress=interrupted)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DatasetError, match="found none"):
        StoredPrediction.open(tmp_path / "out")
    predict(*loaded, validation, tmp_path / "out")
    assert StoredPrediction.open(tmp_path / "out").rows.size == validation.rows


def test_progress_counts_rows(loaded, validation: Columns, tmp_path: Path) -> None:
    seen = []
    predict(*loaded, validation, tmp_path / "out", batch=24, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (72, 72) and seen == sorted(seen)


def test_a_network_that_gives_nan_is_refused_by_name(loaded, validation: Columns, tmp_path: Path) -> None:
    emulator, info = loaded
    with torch.no_grad():
        next(emulator.network.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match=r"prediction of ptend_t_0 is nan in row \d+ \(\d+ such values in 24 rows\)"):
        predict(emulator, info, validation, tmp_path / "out", batch=24)
    assert not (tmp_path / "out" / "prediction.json").exists()


def test_the_difference_is_in_standard_deviations(loaded, work: Path, validation: Columns, tmp_path: Path) -> None:
    assert largest_difference(work / "prediction", work / "prediction", loaded[1]) == 0
    predict(*load_emulator(f"{work / 'run'}@1"), validation, tmp_path / "other")
    found = largest_difference(tmp_path / "other", work / "prediction", loaded[1])
    assert found == apart(tmp_path / "other", work / "prediction", loaded[1]) > 0.001


def test_predictions_of_other_rows_are_not_compared(loaded, work: Path, tmp_path: Path) -> None:
    predict(*loaded, open_columns(str(work / "data"), KAGGLE, "training"), tmp_path / "other")
    with pytest.raises(DatasetError, match="not predictions of the same rows: 384 of set 'kaggle' and 72"):
        largest_difference(tmp_path / "other", work / "prediction", loaded[1])
