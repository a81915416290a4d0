"""How far two tables of statistics lie apart, variable by variable."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table, read_tables

COMPARED = ("mean", "std", "min", "max")


@dataclass(frozen=True)
class Difference:
    """Largest difference of one variable over its levels, relative to the larger size (std for means)."""

    variable: str
    largest: dict[str, float]


def compare_tables(one: Table, other: Table) -> list[Difference]:
    """Compare the variables that both tables hold.

    The difference of two means is measured against the larger standard deviation of both (a mean near zero has no
    scale of its own), the others against the larger of both sizes. Columns that only one side has seen give inf.
    """
    left, right = one.per_variable(), other.per_variable()
    shared = [name for name in left if name in right]
    if not shared:
        raise DatasetError("the two tables have no variable in common")
    return [Difference(name, _largest(left[name][1], right[name][1])) for name in shared]


def _largest(one: Moments, other: Moments) -> dict[str, float]:
    pairs = {
        "mean": (one.mean, other.mean, np.maximum(one.std, other.std)),
        "std": (one.std, other.std, None),
        "min": (one.minimum, other.minimum, None),
        "max": (one.maximum, other.maximum, None),
    }
    return {name: _relative(*pairs[name]) for name in COMPARED}


def _relative(one: np.ndarray, other: np.ndarray, scale: np.ndarray | None) -> float:
    sizes = np.maximum(np.abs(one), np.abs(other))
    scale = sizes if scale is None else np.where(scale > 0, scale, sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.abs(one - other) / scale
    return float(np.max(np.where(one == other, 0.0, np.nan_to_num(relative, nan=np.inf, posinf=np.inf))))


def read_published(folder: str | Path, reference: Table) -> Table:
    """Read a table written elsewhere; see ``read_tables`` for our own files.

    ``folder`` holds ClimSim's published ``input_mean.nc``, ``input_std.nc``, ``input_min.nc``, ``input_max.nc``; only
    inputs are published in this form, so the targets come back as never seen.
    """
    columns = [_published(Path(folder) / f"input_{kind}.nc", reference) for kind in COMPARED]
    mean, std, low, high = columns
    count = np.ones(mean.shape, dtype=np.int64)
    return Table(reference.variables, Moments(count, mean, std**2, low, high), Table.zero(reference.variables).targets)


def _published(path: Path, reference: Table) -> np.ndarray:
    import netCDF4

    try:
        with netCDF4.Dataset(path) as file:
            file.set_auto_mask(False)
            return np.concatenate([np.atleast_1d(file[item.name][...]) for item in reference.variables.inputs])
    except (OSError, IndexError) as error:
        raise DatasetError(f"{path}: expected ClimSim's published table of the inputs, but {error}") from error


def read_any(path: str | Path, split: str, reference: Table) -> Table:
    """A table from a statistics file of ours (its split of that name) or from a folder of ClimSim's published ones."""
    if Path(path).is_dir():
        return read_published(path, reference)
    tables = read_tables(path)
    if split not in tables:
        raise DatasetError(f"{path}: expected a split named {split!r}, found {', '.join(tables)}")
    return tables[split]
