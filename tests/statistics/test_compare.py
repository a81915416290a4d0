"""Distances between tables, by hand and against ClimSim's published ones read with xarray."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from subgrid.errors import DatasetError
from subgrid.schema.variable_sets import VARIABLE_SETS
from subgrid.statistics.compare import COMPARED, Difference, compare_tables, read_any, read_published
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table, write_tables

KAGGLE, V1, V2 = (VARIABLE_SETS[name] for name in ("kaggle", "v1", "v2"))
PUBLISHED = {"mean": "mean", "std": "std", "min": "minimum", "max": "maximum"}


def table_of(variables, seed: int = 0) -> Table:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(seed)
    return Table(
        variables,
        Moments.of(random.normal(size=(variables.input_width, 30))),
        Moments.of(random.normal(size=(variables.target_width, 30))),
    )


def changed(table: Table, name: str, level: int, **values: float) -> Table:
    """The same table with other moments of one input column."""
    place = table.variables.input_slices[name].start + level
    arrays = {kind: getattr(table.inputs, kind).copy() for kind in values}
    for kind, value in values.items():
        arrays[kind][place] = value
    return replace(table, inputs=replace(table.inputs, **arrays))


def by_name(differences: list[Difference]) -> dict[str, dict[str, float]]:
    return {item.variable: item.largest for item in differences}


def test_a_table_is_its_own_twin() -> None:
    for table in (table_of(KAGGLE), Table.zero(KAGGLE)):
        found = compare_tables(table, table)
        assert [item.variable for item in found] == [item.name for item in KAGGLE.inputs + KAGGLE.targets]
        assert all(item.largest == dict.fromkeys(COMPARED, 0.0) for item in found)


def test_differences_by_hand() -> None:
    one = changed(table_of(KAGGLE), "state_t", 7, mean=0.0, m2=30 * 4.0, minimum=-8.0, maximum=5.0)
    other = changed(one, "state_t", 7, mean=0.5, m2=30 * 1.0, minimum=-10.0, maximum=4.0)
    for left, right in ((one, other), (other, one)):
        found = by_name(compare_tables(left, right))
        expected = {"mean": 0.5 / 2.0, "std": 1.0 / 2.0, "min": 2.0 / 10.0, "max": 1.0 / 5.0}
        assert found.pop("state_t") == pytest.approx(expected)
        assert all(largest == dict.fromkeys(COMPARED, 0.0) for largest in found.values())


def test_means_of_constant_columns_are_measured_by_their_size() -> None:
    constant = changed(table_of(KAGGLE), "state_ps", 0, mean=1e5, m2=0.0, minimum=1e5, maximum=1e5)
    other = changed(constant, "state_ps", 0, mean=1.1e5, minimum=1.1e5, maximum=1.1e5)
    assert by_name(compare_tables(constant, other))["state_ps"]["mean"] == pytest.approx(0.1 / 1.1)


def test_what_one_side_has_not_seen_is_infinitely_far() -> None:
    found = by_name(compare_tables(table_of(KAGGLE), Table.zero(KAGGLE)))
    assert all(largest["min"] == largest["max"] == np.inf for largest in found.values())


def test_sets_are_compared_where_they_overlap() -> None:
    assert list(by_name(compare_tables(table_of(V1), table_of(KAGGLE)))) == [
        item.name for item in V1.inputs + V1.targets
    ]
    apart = replace(V1, inputs=(), targets=V1.targets[:1]), replace(V1, inputs=V1.inputs[:1], targets=())
    with pytest.raises(DatasetError, match="no variable in common"):
        compare_tables(Table.zero(apart[0]), Table.zero(apart[1]))


@pytest.mark.parametrize("variables", [KAGGLE, V1, V2], ids=lambda variables: variables.name)
def test_climsims_published_tables_are_read(climsim: Path, variables) -> None:  # type: ignore[no-untyped-def]
    table = read_any(climsim / "normalizations", "training", Table.zero(variables))
    for kind, ours in PUBLISHED.items():
        with xr.open_dataset(climsim / "normalizations" / f"input_{kind}.nc") as file:
            expected = np.concatenate([np.atleast_1d(file[item.name].values) for item in variables.inputs])
        found = getattr(table.inputs, ours)
        seen = ~table.inputs.constant if kind == "std" else slice(None)
        np.testing.assert_allclose(found[seen], expected[seen], rtol=1e-15)
    assert (table.targets.count == 0).all() and table.variables is variables


def test_published_tables_know_constant_methane(climsim: Path) -> None:
    table = read_published(climsim / "normalizations", Table.zero(KAGGLE))
    expected = [f"pbuf_{gas}_{level}" for gas in ("CH4", "N2O") for level in range(27, 60)]
    assert table.constant_columns()[: len(expected)] == expected
    assert (table.inputs.std[table.inputs.constant] == 0).all()


def test_a_published_folder_that_lacks_something_is_refused(climsim: Path, tmp_path: Path) -> None:
    for kind in ("mean", "std", "min"):
        shutil.copyfile(climsim / "normalizations" / f"input_{kind}.nc", tmp_path / f"input_{kind}.nc")
    with pytest.raises(DatasetError, match=r"input_max\.nc: expected ClimSim's published table of the inputs"):
        read_any(tmp_path, "training", Table.zero(KAGGLE))
    shutil.copyfile(climsim / "normalizations" / "output_scale.nc", tmp_path / "input_max.nc")
    with pytest.raises(DatasetError, match=r"input_max\.nc: expected"):
        read_any(tmp_path, "training", Table.zero(KAGGLE))


def test_a_split_of_a_file_of_ours(tmp_path: Path) -> None:
    tables = {"training": table_of(V1, 1), "validation": table_of(V1, 2)}
    write_tables(tmp_path / "statistics.nc", tables)
    found = read_any(tmp_path / "statistics.nc", "validation", Table.zero(V1))
    assert all(set(item.largest.values()) == {0.0} for item in compare_tables(found, tables["validation"]))
    with pytest.raises(DatasetError, match="expected a split named 'test', found training, validation"):
        read_any(tmp_path / "statistics.nc", "test", Table.zero(V1))
