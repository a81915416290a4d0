"""The table of statistics: what xarray reads from it, and round trips to the bit."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from subgrid.errors import DatasetError, SettingsError
from subgrid.schema.variable_sets import VARIABLE_SETS
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import STATISTICS, Table, read_table, read_tables, write_tables

KAGGLE, V2 = VARIABLE_SETS["kaggle"], VARIABLE_SETS["v2"]


def samples(columns: int, seed: int, rows: int = 20) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(columns, rows)) * np.exp(random.uniform(-130, 10, size=(columns, 1)))


def table_of(seed: int, name: str = "kaggle", rows: int = 20) -> Table:
    variables = VARIABLE_SETS[name]
    inputs, targets = samples(variables.input_width, seed, rows), samples(variables.target_width, seed + 1, rows)
    inputs[variables.input_slices["state_t"].start] = 0.1  # a constant column
    return Table(variables, Moments.of(inputs), Moments.of(targets))


def same_bits(one: Table, other: Table) -> bool:
    return one.variables is other.variables and all(
        left.to_array().tobytes() == right.to_array().tobytes()
        for left, right in ((one.inputs, other.inputs), (one.targets, other.targets))
    )


@pytest.mark.parametrize("name", list(VARIABLE_SETS))
def test_json_brings_the_same_bits_back(name: str) -> None:
    for table in (table_of(0, name), Table.zero(VARIABLE_SETS[name])):
        text = json.dumps(table.to_json(), allow_nan=False)
        assert same_bits(Table.from_json(json.loads(text)), table)


@pytest.mark.parametrize("name", list(VARIABLE_SETS))
def test_netcdf_brings_the_same_bits_back(tmp_path: Path, name: str) -> None:
    tables = {"training": table_of(1, name), "validation": table_of(3, name), "empty": Table.zero(VARIABLE_SETS[name])}
    write_tables(tmp_path / "statistics.nc", tables, {"source": "here"})
    found = read_tables(tmp_path / "statistics.nc")
    assert list(found) == list(tables) and all(same_bits(found[split], tables[split]) for split in tables)


def test_xarray_reads_what_the_docstring_says(tmp_path: Path) -> None:
    values = samples(KAGGLE.input_width, 5)
    tables = {"validation": table_of(9), "training": Table(KAGGLE, Moments.of(values), table_of(6).targets)}
    write_tables(tmp_path / "statistics.nc", tables, {"licence": "CC BY 4.0"})
    with xr.open_dataset(tmp_path / "statistics.nc") as file:
        assert file.attrs["licence"] == "CC BY 4.0" and file.attrs["variable_set"] == "kaggle"
        assert list(file.statistic.values) == ["count", "mean", "m2", "min", "max", "std"] == list(STATISTICS)
        part = values[KAGGLE.input_slices["state_v"]]
        mine = file.sel(split="training")
        for statistic in ("mean", "std", "min", "max"):
            expected = getattr(part, statistic)
            np.testing.assert_allclose(mine.state_v.sel(statistic=statistic), expected(axis=1), rtol=1e-12, atol=1e-70)
            np.testing.assert_allclose(mine.state_v_pooled.sel(statistic=statistic), expected(), rtol=1e-12)
        assert (mine.state_v.sel(statistic="count") == 20).all() and mine.state_v_pooled.sel(statistic="count") == 1200
        assert mine.state_v.dims == ("statistic", "lev") and mine.state_ps.dims == ("statistic",)
        assert mine.state_ps.sel(statistic="max") == values[360].max()
        assert file.state_q0002.attrs == {"units": "kg/kg", "long_name": "cloud liquid mixing ratio"}
        assert "state_ps_pooled" not in file and "ptend_v_pooled" in file


def test_tables_add_by_column() -> None:
    values, others = samples(KAGGLE.input_width, 1, 30), samples(KAGGLE.target_width, 2, 30)
    whole = Table(KAGGLE, Moments.of(values), Moments.of(others))
    parts = [
        Table(KAGGLE, Moments.of(values[:, part]), Moments.of(others[:, part]))
        for part in (slice(0, 7), slice(7, 20), slice(20, 30))
    ]
    total = sum(parts, Table.zero(KAGGLE))
    assert total.rows == whole.rows == 30 and Table.zero(KAGGLE).rows == 0
    for one, other in ((total.inputs, whole.inputs), (total.targets, whole.targets)):
        np.testing.assert_array_equal(one.minimum, other.minimum)
        np.testing.assert_allclose(one.std, other.std, rtol=1e-12)
        np.testing.assert_allclose(
            one.mean, other.mean, rtol=0, atol=1e-13 * np.abs(other.maximum - other.minimum).max()
        )


def test_views_by_variable() -> None:
    table = table_of(4)
    found = table.per_variable()
    assert list(found) == [item.name for item in KAGGLE.inputs + KAGGLE.targets]
    item, moments = found["state_ps"]
    assert item.unit == "Pa" and moments.mean.tolist() == [table.inputs.mean[360]]
    assert found["ptend_v"][1].m2.tolist() == table.targets.m2[300:360].tolist()
    assert table.pooled_inputs.mean.shape == (25,) and table.pooled_targets.std.shape == (14,)
    assert table.pooled_inputs.mean[4] == pytest.approx(table.inputs.mean[240:300].mean(), rel=1e-12)


def test_constant_columns_are_named() -> None:
    table = table_of(4)
    assert table.constant_columns() == ["state_t_0"]
    empty = Table.zero(V2).constant_columns()
    assert empty == V2.input_columns + V2.target_columns


def test_tables_of_another_size_are_refused(tmp_path: Path) -> None:
    data = table_of(0).to_json()
    with pytest.raises(DatasetError, match=r"'v2' must have shapes \(5, 557\) and \(5, 368\), found \(5, 556\)"):
        Table.from_json(data | {"variables": "v2"})
    with pytest.raises(SettingsError, match="unknown variable set 'v9'"):
        Table.from_json(data | {"variables": "v9"})
    for inputs in ([[1.0]] * 4, [[1.0], [1.0, 2.0], [1.0], [1.0], [1.0]]):
        with pytest.raises(DatasetError, match="'kaggle'"):
            Table.from_json(data | {"inputs": inputs})


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.nc"
    with pytest.raises(DatasetError, match=r"other\.nc: expected a statistics file written by subgrid"):
        read_tables(path)
    path.write_bytes(b"not netCDF")
    with pytest.raises(DatasetError, match="other.nc"):
        read_tables(path)
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 1)
    with pytest.raises(DatasetError, match="other.nc"):
        read_tables(path)
    write_tables(path, {"training": table_of(0)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="other.nc"):
        read_tables(path)


def test_a_flipped_bit_in_the_numbers_is_an_error(tmp_path: Path) -> None:
    """Looked for by the bytes of known values, so that numbers are hit and not the names around them."""
    path, table = tmp_path / "statistics.nc", table_of(0)
    write_tables(path, {"training": table})
    whole = path.read_bytes()
    for value in (table.inputs.mean[100], table.targets.maximum[360], table.inputs.m2[555]):
        place = whole.index(np.float64(value).tobytes())
        path.write_bytes(whole[: place + 3] + bytes([whole[place + 3] ^ 16]) + whole[place + 4 :])
        with pytest.raises(DatasetError, match=r"statistics\.nc"):
            read_tables(path)


def test_one_split_is_read_by_its_name(tmp_path: Path) -> None:
    tables = {"training": table_of(1), "validation": table_of(2)}
    write_tables(tmp_path / "statistics.nc", tables)
    found = read_table(tmp_path / "statistics.nc", "validation")
    np.testing.assert_array_equal(found.targets.to_array(), tables["validation"].targets.to_array())
    with pytest.raises(DatasetError, match="expected a split named 'test', found training, validation"):
        read_table(tmp_path / "statistics.nc", "test")
