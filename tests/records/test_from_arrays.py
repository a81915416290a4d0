"""Data sets made of arrays: the rows of the data set the arrays were extracted from, with or without their places."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.prediction.columns import DatasetColumns
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Prepared, Running, build
from subgrid.records.extract import ExtractSettings, extract
from subgrid.records.from_arrays import prepare_arrays
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify
from subgrid.source.arrays import ArrayPair

SETTINGS = BuildSettings(shard_size=150_000)


def rows_of(dataset: Dataset, split: str) -> dict[str, np.ndarray]:
    """All rows of a split, sorted by number."""
    batches = list(dataset.scan(split, 1000))
    found = {name: np.concatenate([getattr(one, name) for one in batches])
             for name in ("row", "column", "time", "inputs", "targets")}  # fmt: skip
    order = np.argsort(found["row"])
    return {name: values[order] for name, values in found.items()}


@pytest.fixture
def arrays(built: Path, tmp_path: Path) -> Path:
    """What ``subgrid extract`` makes of a data set of 384 training rows, and its grid."""
    extract(Dataset.open(built), tmp_path / "arrays", ExtractSettings())
    shutil.copy(built / "grid.nc", tmp_path / "arrays" / "some_grid-info.nc")
    return tmp_path / "arrays"


def test_there_and_back_gives_the_same_rows(arrays: Path, built: Path, tmp_path: Path) -> None:
    """Inputs, targets, numbers, columns and times to the last bit, and so the moments."""
    pair = ArrayPair.find(str(arrays / "train_input.npy"))
    assert pair is not None
    for index in (2, 1):
        manifest = build(prepare_arrays(pair, SETTINGS), tmp_path / "back", Running(Part(index, 2)))
    assert manifest is not None and manifest.placed and verify(tmp_path / "back") == []
    back, there = Dataset.open(tmp_path / "back"), Dataset.open(built)
    found, expected = rows_of(back, "training"), rows_of(there, "training")
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    one, other = back.table().inputs, there.table().inputs
    assert (np.abs(one.mean - other.mean) <= 1e-6 * np.maximum(other.std, np.abs(other.mean))).all()


def test_rows_without_places_are_not_taken_for_a_simulation_s(arrays: Path, tmp_path: Path) -> None:
    (arrays / "train_row.npy").unlink()
    pair = ArrayPair.find(str(arrays / "train_input.npy"))
    assert pair is not None
    manifest = build(prepare_arrays(pair, SETTINGS, validation="every=4"), tmp_path / "data")
    assert manifest is not None and not manifest.placed
    dataset = Dataset.open(tmp_path / "data")
    found = rows_of(dataset, "validation")
    np.testing.assert_array_equal(found["row"] // 24, np.repeat([3, 7, 11, 15], 24))
    assert (found["column"] == -1).all() and (found["time"] == -1).all()
    values = np.load(arrays / "train_input.npy")[found["row"]]
    stored = np.ldexp(found["inputs"].astype("f8"), -dataset.variables.input_exponents)
    np.testing.assert_allclose(stored, values, rtol=1.2e-7, atol=1e-44)
    columns = DatasetColumns(dataset, None)
    assert columns.ids == "row_" and columns.grid() is None
    again = extract(dataset, tmp_path / "again", ExtractSettings())
    assert [path.name for path in again] == ["train_input.npy", "train_target.npy", "val_input.npy", "val_target.npy"]


def test_what_does_not_fit_is_told(arrays: Path, ready: Callable[..., Prepared], tmp_path: Path) -> None:
    pair = ArrayPair.find(str(arrays / "train_input.npy"))
    assert pair is not None
    with pytest.raises(SettingsError, match="arrays have no dates"):
        prepare_arrays(pair, SETTINGS, validation="blocks=10d/50")
    for ending in ("input", "target", "row"):
        path = arrays / f"train_{ending}.npy"
        np.save(path, np.load(path)[:-1])
    with pytest.raises(InputError, match="383 rows are no multiple of the 24 columns of the grid"):
        prepare_arrays(pair, SETTINGS)
    with pytest.raises(DatasetError, match="the plan exists and is another one"):
        plan = tmp_path / "plan.json"
        plan.write_text(__import__("json").dumps(ready().blueprint.plan.to_json()))
        prepare_arrays(ArrayPair(arrays, "val"), SETTINGS, plan=plan)
    (arrays / "some_grid-info.nc").unlink()
    with pytest.raises(InputError, match="expected one grid file .*--grid"):
        prepare_arrays(pair, SETTINGS)


def test_the_command(arrays: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "subgrid", "build", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})

    done = run(str(arrays / "val_input.npy"), str(tmp_path / "data"), "--workers", "2", "--shard-size", "150kB")
    assert done.returncode == 0 and "72 training and 0 validation rows" in done.stdout, done.stderr
    assert "error: --start" in run(str(arrays / "val_input.npy"), "out", "--stride", "2").stderr
    assert "is no pair" in run(str(tmp_path), "out", "--normalised", "tables").stderr
    assert "predict and score take tables" in run("train.csv", "out").stderr
    assert "name the one to build from" in run(str(arrays), "out").stderr
