"""Extracted arrays and tables against the raw steps themselves; half-written files are never taken for whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subgrid.disk import locked
from subgrid.errors import DatasetError, SettingsError
from subgrid.records import extract as module
from subgrid.records.extract import ExtractSettings, extract
from subgrid.records.reader import Dataset

Read = Callable[[Path, Any], dict[str, tuple[np.ndarray, np.ndarray]]]


@pytest.fixture
def data(built: Path) -> Dataset:
    return Dataset.open(built)


@pytest.fixture(scope="session")
def expected(synthetic_source: Path, built: Path, raw_steps: Read) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Inputs and targets of every row as netCDF4 reads them, by row number."""
    found, variables = {}, Dataset.open(built).variables
    for label, (inputs, targets) in raw_steps(synthetic_source, variables).items():
        year, month, day, second = (int(part) for part in label.split("-"))
        before = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)[month - 1]
        time = ((year - 1) * 365 + before + day - 1) * 86400 + second
        inputs, targets = (values if values.shape[0] == 24 else values.T for values in (inputs, targets))
        for column in range(24):
            found[time // 1200 * 24 + column] = inputs[column], targets[column]
    return found


def compare(data: Dataset, found: tuple[np.ndarray, ...], expected: Any, tiny: float = 0.0) -> None:
    """Row numbers, inputs and targets; rows are stored as float32(x * 2**k), smallest 2**-(126 + k)."""
    row, *sides = found
    exponents = (data.variables.input_exponents, data.variables.target_exponents)
    for side, (values, exponent) in enumerate(zip(sides, exponents, strict=True)):
        truth = np.stack([expected[number][side] for number in row.tolist()])
        allowed = np.maximum(np.ldexp(1.0, -126 - exponent), tiny) + 1.2e-7 * np.abs(truth)
        assert (np.abs(values - truth) <= allowed).all()


@pytest.mark.parametrize("single", [False, True])
def test_npy_pairs(data: Dataset, tmp_path: Path, expected: Any, single: bool) -> None:
    seen: list[tuple[int, int]] = []
    found = extract(data, tmp_path / "out", ExtractSettings(single=single), lambda *done: seen.append(done))
    names = [f"{split}_{side}.npy" for split in ("train", "val") for side in ("input", "row", "target")]
    assert [path.name for path in found] == names and seen[-1] == (456, 456)
    for split, rows in (("train", 384), ("val", 72)):
        row, inputs, targets = (
            np.load(tmp_path / "out" / f"{split}_{side}.npy") for side in ("row", "input", "target")
        )
        assert inputs.shape == (rows, 556) and targets.shape == (rows, 368)
        assert inputs.dtype == targets.dtype == (np.float32 if single else np.float64)
        compare(data, (row, inputs, targets), expected, 1e-38 if single else 0.0)
    mark = json.loads((tmp_path / "out" / "extract.json").read_text())
    assert mark["normalisation"] == "none" and mark["data"] == data.digest and mark["complete"]


def test_zarr_opens_with_xarray(data: Dataset, tmp_path: Path, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zarr")
    import xarray

    monkeypatch.setattr(module, "_CHUNK", 100)
    extract(data, tmp_path / "out", ExtractSettings("zarr"))
    with xarray.open_zarr(tmp_path / "out" / "train.zarr", consolidated=False) as found:
        assert found["input_column"].values.tolist() == data.variables.input_columns
        compare(data, (found["row"].values, found["input"].values, found["target"].values), expected)
        column = found["target"].sel(target_column="ptend_t_30").values
        np.testing.assert_array_equal(column, found["target"].values[:, 30])
    assert (tmp_path / "out" / "val.zarr").is_dir()


def test_parquet_has_columns_by_name(data: Dataset, tmp_path: Path, expected: Any) -> None:
    from pyarrow import parquet

    found = extract(data, tmp_path / "out", ExtractSettings("parquet", split="validation"))
    assert [path.name for path in found] == ["val-00000.parquet", "val-00001.parquet"]
    table = parquet.ParquetFile(found[0]).read()
    assert table.column_names == ["row", *data.variables.input_columns, *data.variables.target_columns]
    inputs, targets = (
        np.stack([table[name].to_numpy() for name in names], axis=1)
        for names in (data.variables.input_columns, data.variables.target_columns)
    )
    compare(data, (table["row"].to_numpy(), inputs, targets), expected)


@pytest.mark.parametrize("kind", ["npy", "zarr", "parquet"])
def test_what_was_stopped_is_not_taken_for_whole(
    data: Dataset, tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "zarr":
        pytest.importorskip("zarr")
    settings, out = ExtractSettings(kind), tmp_path / "out"
    values, calls = module._values, [0]

    def stopped(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return values(*arguments)

    monkeypatch.setattr(module, "_CHUNK", 100)
    monkeypatch.setattr(module, "_values", stopped)
    with pytest.raises(KeyboardInterrupt):
        extract(data, out, settings)
    assert [path.name for path in out.glob("[!.]*") if "extract" not in path.name] == (
        ["train-00000.parquet"] if kind == "parquet" else []
    )
    assert json.loads((out / "extract.json").read_text())["complete"] is False
    found = extract(data, out, settings)
    assert json.loads((out / "extract.json").read_text())["complete"] is True
    before = calls[0]
    assert extract(data, out, settings) == found and calls[0] == before


def test_other_content_is_refused(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text")
    with pytest.raises(DatasetError, match="expected an empty folder, found mine"):
        extract(data, tmp_path, ExtractSettings())
    extract(data, tmp_path / "out", ExtractSettings(split="validation"))
    with pytest.raises(DatasetError, match=r"extracted otherwise \(single differ\)"):
        extract(data, tmp_path / "out", ExtractSettings(split="validation", single=True))
    with pytest.raises(DatasetError, match="no split 'test'"):
        extract(data, tmp_path / "other", ExtractSettings(split="test"))


def test_one_process_extracts_into_a_folder(data: Dataset, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(SettingsError, match="another process is at work in this folder"):
        extract(data, tmp_path, ExtractSettings())
    assert not list(tmp_path.glob("[!.]*"))
    (tmp_path / ".extract.json.partial-0123abcd").write_text("{")  # what a process killed at its first mark leaves
    assert len(extract(data, tmp_path, ExtractSettings())) == 6
