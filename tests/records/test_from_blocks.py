"""Data sets made of arrays and tables: the rows of the data set they were extracted from, with or without places."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.prediction.columns import DatasetColumns
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Prepared, Running, build, estimate
from subgrid.records.extract import ExtractSettings, extract
from subgrid.records.from_blocks import find_blocks, prepare_blocks
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify
from subgrid.source.arrays import ArrayPair
from subgrid.source.table_rows import TableRows

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
        manifest = build(prepare_blocks(pair, SETTINGS), tmp_path / "back", Running(Part(index, 2)))
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
    manifest = build(prepare_blocks(pair, SETTINGS, validation="every=4"), tmp_path / "data")
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
    with pytest.raises(SettingsError, match="arrays and tables have no dates"):
        prepare_blocks(pair, SETTINGS, validation="blocks=10d/50")
    for ending in ("input", "target", "row"):
        path = arrays / f"train_{ending}.npy"
        np.save(path, np.load(path)[:-1])
    with pytest.raises(InputError, match="383 rows are no multiple of the 24 columns of the grid"):
        prepare_blocks(pair, SETTINGS)
    with pytest.raises(DatasetError, match="the plan exists and is another one"):
        plan = tmp_path / "plan.json"
        plan.write_text(__import__("json").dumps(ready().blueprint.plan.to_json()))
        prepare_blocks(ArrayPair(arrays, "val"), SETTINGS, plan=plan)
    (arrays / "some_grid-info.nc").unlink()
    with pytest.raises(InputError, match="expected one grid file .*--grid"):
        prepare_blocks(pair, SETTINGS)


def test_the_command(arrays: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "subgrid", "build", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})

    done = run(str(arrays / "val_input.npy"), str(tmp_path / "data"), "--workers", "2", "--shard-size", "150kB")
    assert done.returncode == 0 and "72 training and 0 validation rows" in done.stdout, done.stderr
    assert "error: --start" in run(str(arrays / "val_input.npy"), "out", "--stride", "2").stderr
    assert "is no pair" in run(str(tmp_path), "out", "--normalised", "tables").stderr
    assert "train.csv: no such file" in run("train.csv", "out", "--grid", str(arrays / "some_grid-info.nc")).stderr
    assert "name the one to build from" in run(str(arrays), "out").stderr


@pytest.fixture(scope="module")
def tables(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train.csv`` of the data set's 384 training rows, the same in parquet, and the grid."""
    folder = tmp_path_factory.mktemp("tables") / "kaggle"
    extract(Dataset.open(built), folder, ExtractSettings("kaggle", "training"))
    shutil.copy(built / "grid.nc", folder / "some_grid-info.nc")
    whole = pyarrow.csv.read_csv(folder / "train.csv")
    pyarrow.parquet.write_table(whole, folder / "train.parquet", row_group_size=100)
    return folder


def of_table(path: Path, **settings: object) -> Prepared:
    """A build of a table prepared."""
    return prepare_blocks(TableRows(str(path)), SETTINGS, **settings)  # type: ignore[arg-type]


def test_a_table_gives_the_rows_it_was_made_from(tables: Path, built: Path, tmp_path: Path) -> None:
    """All rows of the first data set, bit for bit, and those that Python's csv module reads, as far as float32 goes."""
    for index in (2, 1):
        manifest = build(of_table(tables / "train.csv"), tmp_path / "back", Running(Part(index, 2)))
    assert manifest is not None and not manifest.placed and verify(tmp_path / "back") == []
    back, there = Dataset.open(tmp_path / "back"), Dataset.open(built)
    found = rows_of(back, "training")
    assert (found["row"] == np.arange(384)).all() and (found["column"] == -1).all() and (found["time"] == -1).all()
    stored = list(there.scan("training", 1000))
    for side in ("inputs", "targets"):
        np.testing.assert_array_equal(found[side], np.concatenate([getattr(one, side) for one in stored]))
    with open(tables / "train.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    names = back.variables.input_columns
    values = np.array([[float(line[name]) for name in names] for line in lines])
    np.testing.assert_array_equal(np.ldexp(values, back.variables.input_exponents).astype("f4"), found["inputs"])
    one, other = back.table().inputs, there.table().inputs
    assert (np.abs(one.mean - other.mean) <= 1e-6 * np.maximum(other.std, np.abs(other.mean))).all()


def test_csv_parquet_and_arrays_are_one_data_set(tables: Path, arrays: Path, tmp_path: Path) -> None:
    (arrays / "train_row.npy").unlink()
    pair = ArrayPair(arrays, "train")
    text, columns = of_table(tables / "train.csv", validation="every=4"), of_table(
        tables / "train.parquet", validation="every=4")  # fmt: skip
    seen: list[tuple[int, int]] = []
    running = Running(progress=lambda done, total: seen.append((done, total)), scratch=tmp_path / "scratch")
    made = [build(text, tmp_path / "csv"), build(columns, tmp_path / "parquet", running),
            build(prepare_blocks(pair, SETTINGS, validation="every=4"), tmp_path / "pair")]  # fmt: skip
    assert len({manifest.digest for manifest in made if manifest}) == 1 and None not in made
    assert seen[-1] == (768, 768) and seen == sorted(seen)  # every row is unpacked, then stored
    assert [list(folder.iterdir()) for folder in (tmp_path / "scratch").iterdir()] == [[]]
    assert estimate(columns, tmp_path / "x").scratch == 384 * 925 * 8 and estimate(text, tmp_path / "x").scratch == 0


def test_a_build_of_a_table_goes_on_where_it_stopped(tables: Path, tmp_path: Path) -> None:
    """What is wrong stops it with the line; groups that are done stay done, and nothing is left in scratch space."""
    shutil.copytree(tables, tmp_path / "tables")
    path, out = tmp_path / "tables" / "train.csv", tmp_path / "data"
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[383].split(",")
    path.write_text("".join([*lines[:383], ",".join([*cells[:100], "", *cells[101:]]), *lines[384:]]))
    with pytest.raises(InputError, match="line 384: .* is empty in the row train_382"):
        build(of_table(path), out)
    done = {file.name: file.stat().st_mtime_ns for file in (out / "shards").iterdir()}
    assert done
    path.write_text("".join(lines))
    manifest = build(of_table(path), out)
    assert manifest is not None and {name: (out / "shards" / name).stat().st_mtime_ns for name in done} == done
    assert manifest.digest == getattr(build(of_table(tables / "train.parquet"), tmp_path / "other"), "digest", "")


def test_tables_that_do_not_fit_are_told(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="arrays and tables have no dates"):
        of_table(tables / "train.csv", validation="dates=0001-02..0001-03/2")
    with pytest.raises(SettingsError, match="--normalised tables: is for arrays, and .*train.csv is no pair"):
        find_blocks(str(tables / "train.csv"), "kaggle", Path("tables"))
    with pytest.raises(InputError, match="misses 'ptend_t_0'"):
        (tmp_path / "test.csv").write_text(_of_inputs(tables / "train.csv"))
        shutil.copy(tables / "some_grid-info.nc", tmp_path)
        of_table(tmp_path / "test.csv")


def _of_inputs(path: Path) -> str:
    """A table as text, without its targets."""
    return "".join(",".join(line.split(",")[:557]) + "\n" for line in path.read_text().splitlines())


def test_a_table_by_the_command(tables: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "subgrid", "build", str(tables / "train.csv"), str(tmp_path / "data"),
               "--workers", "2", "--validation", "every=4", "--shard-size", "150kB"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ})
    assert done.returncode == 0 and "288 training and 96 validation rows" in done.stdout, done.stderr
