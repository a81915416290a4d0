"""How far two tables of statistics lie apart, variable by variable."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from subgrid.errors import DatasetError
from subgrid.statistics.moments import Moments
from subgrid.statistics.published import PublishedTable
from subgrid.statistics.table import Table

COMPARED = ("mean", "std", "min", "max")
_ROUNDING = 1e-12
"""A std this small beside the mean is what rounding leaves of a constant column: numpy finds 1e-20 for CH4 of 1e-6."""

_Values = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Comparison:
    """A table against another one.

    Attributes:
        largest: by variable and statistic (mean, std, min, max), the largest relative difference over levels; None
            where the other table does not hold the statistic.
        not_held: variables that only the first table has.
        not_ours: variables that only the other table has.
        filled: statistics of the other table in which fill values were counted, by variable; not compared.
    """

    largest: dict[str, dict[str, float | None]]
    not_held: tuple[str, ...] = ()
    not_ours: tuple[str, ...] = ()
    filled: dict[str, tuple[str, ...]] = field(default_factory=dict)


def compare_tables(one: Table, other: Table) -> Comparison:
    """Compare the variables that both tables hold.

    The difference of two means is measured against the larger standard deviation of both (a mean near zero has no
    scale of its own), the others against the larger of both sizes. Columns that only one side has seen give inf.
    Raises DatasetError where no variable is in both.
    """
    return _compare(_values(one), _values(other))


def compare_published(table: Table, published: PublishedTable) -> Comparison:
    """Compare with one of ClimSim's tables what it holds; see ``compare_tables`` for the measure.

    Where it holds no standard deviation, means are measured against that of ``table``. Pooled numbers are compared with
    those of ``table`` over all levels of a variable.
    """
    ours = _values(table, published.pooled)
    theirs = {
        name: {**found, "std": _without_rounding(found["std"], ours[name]["mean"])} if "std" in found else found
        for name, found in published.values.items()
    }
    found = _compare(ours, theirs)
    not_held = tuple(name for name in found.not_held if name not in published.filled)
    return replace(found, not_held=not_held, not_ours=published.foreign, filled=published.filled)


def _without_rounding(std: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return np.where(std < _ROUNDING * np.abs(mean), 0.0, std)


def _values(table: Table, pooled: bool = False) -> _Values:
    found = {}
    for name, (item, moments) in table.per_variable().items():
        found[name] = _named(moments.pooled([item.levels]) if pooled else moments)
    return found


def _named(moments: Moments) -> dict[str, np.ndarray]:
    return {"mean": moments.mean, "std": moments.std, "min": moments.minimum, "max": moments.maximum}


def _compare(ours: _Values, theirs: _Values) -> Comparison:
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise DatasetError("the two tables have no variable in common")
    return Comparison(
        {name: _largest(ours[name], theirs[name]) for name in shared},
        tuple(name for name in ours if name not in theirs),
        tuple(name for name in theirs if name not in ours),
    )


def _largest(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    scales = {"mean": np.maximum(one["std"], other.get("std", one["std"]))}
    return {name: _relative(one[name], other[name], scales.get(name)) if name in other else None for name in COMPARED}


def _relative(one: np.ndarray, other: np.ndarray, scale: np.ndarray | None) -> float:
    sizes = np.maximum(np.abs(one), np.abs(other))
    scale = sizes if scale is None else np.where(scale > 0, scale, sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(one - other) / scale
    return float(np.max(np.where(one == other, 0.0, np.nan_to_num(relative, nan=np.inf, posinf=np.inf))))
