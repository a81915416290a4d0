"""Distances between tables, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from subgrid.errors import DatasetError
from subgrid.schema.variable_sets import VARIABLE_SETS
from subgrid.statistics.compare import COMPARED, compare_published, compare_tables
from subgrid.statistics.moments import Moments
from subgrid.statistics.published import PublishedTable
from subgrid.statistics.table import Table

KAGGLE, V1 = (VARIABLE_SETS[name] for name in ("kaggle", "v1"))


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


def test_a_table_is_its_own_twin() -> None:
    for table in (table_of(KAGGLE), Table.zero(KAGGLE)):
        found = compare_tables(table, table)
        assert list(found.largest) == [item.name for item in KAGGLE.inputs + KAGGLE.targets]
        assert all(largest == dict.fromkeys(COMPARED, 0.0) for largest in found.largest.values())
        assert (found.not_held, found.not_ours, found.filled) == ((), (), {})


def test_differences_by_hand() -> None:
    one = changed(table_of(KAGGLE), "state_t", 7, mean=0.0, m2=30 * 4.0, minimum=-8.0, maximum=5.0)
    other = changed(one, "state_t", 7, mean=0.5, m2=30 * 1.0, minimum=-10.0, maximum=4.0)
    for left, right in ((one, other), (other, one)):
        found = compare_tables(left, right).largest
        expected = {"mean": 0.5 / 2.0, "std": 1.0 / 2.0, "min": 2.0 / 10.0, "max": 1.0 / 5.0}
        assert found.pop("state_t") == pytest.approx(expected)
        assert all(largest == dict.fromkeys(COMPARED, 0.0) for largest in found.values())


def test_means_of_constant_columns_are_measured_by_their_size() -> None:
    constant = changed(table_of(KAGGLE), "state_ps", 0, mean=1e5, m2=0.0, minimum=1e5, maximum=1e5)
    other = changed(constant, "state_ps", 0, mean=1.1e5, minimum=1.1e5, maximum=1.1e5)
    assert compare_tables(constant, other).largest["state_ps"]["mean"] == pytest.approx(0.1 / 1.1)


def test_what_one_side_has_not_seen_is_infinitely_far() -> None:
    found = compare_tables(table_of(KAGGLE), Table.zero(KAGGLE)).largest
    assert all(largest["min"] == largest["max"] == np.inf for largest in found.values())


def test_sets_are_compared_where_they_overlap() -> None:
    found = compare_tables(table_of(V1), table_of(KAGGLE))
    assert list(found.largest) == [item.name for item in V1.inputs + V1.targets]
    assert found.not_held == () and {"state_u", "ptend_u"} < set(found.not_ours)
    assert compare_tables(table_of(KAGGLE), table_of(V1)).not_held == found.not_ours
    apart = replace(V1, inputs=(), targets=V1.targets[:1]), replace(V1, inputs=V1.inputs[:1], targets=())
    with pytest.raises(DatasetError, match="no variable in common"):
        compare_tables(Table.zero(apart[0]), Table.zero(apart[1]))


def published(**values: dict[str, np.ndarray]) -> PublishedTable:
    """A published table of some variables, by statistic."""
    return PublishedTable(("input_mean.nc",), False, values, ("state_rh",), {"state_ps": ("mean",)})


def test_a_published_table_is_compared_where_it_holds_something() -> None:
    table = table_of(KAGGLE)
    _, ours = table.per_variable()["state_t"]
    found = compare_published(table, published(state_t={"mean": ours.mean + 0.25 * ours.std}))
    assert found.largest == {"state_t": {"mean": pytest.approx(0.25), "std": None, "min": None, "max": None}}
    assert found.not_ours == ("state_rh",) and found.filled == {"state_ps": ("mean",)}
    assert set(found.not_held) == {item.name for item in KAGGLE.inputs + KAGGLE.targets} - {"state_t", "state_ps"}


def test_pooled_numbers_are_compared_with_those_over_all_levels() -> None:
    rows = np.random.default_rng(3).normal(size=(KAGGLE.input_width, 50)) + np.arange(KAGGLE.input_width)[:, None]
    table = Table(KAGGLE, Moments.of(rows), Moments.zero(KAGGLE.target_width))
    profile = rows[KAGGLE.input_slices["state_u"]]
    values = {"mean": np.array([profile.mean()]), "std": np.array([2 * profile.std()])}
    found = compare_published(table, replace(published(state_u=values), pooled=True))
    assert found.largest["state_u"] == pytest.approx({"mean": 0, "std": 0.5, "min": None, "max": None}, abs=1e-12)


def test_what_rounding_leaves_of_a_constant_column_is_no_spread() -> None:
    table = changed(table_of(KAGGLE), "state_ps", 0, mean=1e-6, m2=0.0, minimum=1e-6, maximum=1e-6)
    for std, expected in ((1.27e-20, 0.0), (1e-9, 1.0)):
        found = compare_published(table, published(state_ps={"std": np.array([std])}))
        assert found.largest["state_ps"]["std"] == expected
