"""ClimSim's published tables of statistics, under the names they are published by.

    input_{mean,std,min,max}.nc         of every level of the inputs
    multirep_per_lev_{sub,div}.nc       mean and std of every level, of the Kaggle edition
    multirep_per_col_{sub,div}.nc       mean and std over all levels, repeated for each of them

Two others hold no statistic of data, see ``NO_STATISTICS``. Each file holds what it holds: some inputs, no targets, and
variables that ClimSim derives (state_rh, state_qn, liq_partition).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import DatasetError
from subgrid.netcdf import opened
from subgrid.schema.variables import FILL_LIMIT, Variable

NO_STATISTICS = {
    "output_scale.nc": "it holds factors that ClimSim multiplies targets by (ptend_t by 1004.64, the heat capacity of"
    " air, at every level): a convention, not the spread of any data",
    "multirep_per_lev_min_norm.nc": "it is known to be wrong: (min - mean) / mean, where (min - mean) / std was meant",
}
"""Published files that nothing of a data set can be compared with, and why."""


@dataclass(frozen=True)
class _Kind:
    """Files that belong together: by statistic, their names; whether they are pooled over levels."""

    files: Mapping[str, str]
    pooled: bool = False


_KINDS = (
    _Kind({name: f"input_{name}.nc" for name in ("mean", "std", "min", "max")}),
    _Kind({"mean": "multirep_per_lev_sub.nc", "std": "multirep_per_lev_div.nc"}),
    _Kind({"mean": "multirep_per_col_sub.nc", "std": "multirep_per_col_div.nc"}, pooled=True),
)
NAMES = (*(name for kind in _KINDS for name in kind.files.values()), *NO_STATISTICS)


@dataclass(frozen=True)
class PublishedTable:
    """What one or several files that belong together say.

    Attributes:
        files: their names.
        pooled: whether a number is that of a variable over all its levels.
        values: by variable and statistic (mean, std, min, max), float64 (level,), or (1,) of pooled ones.
        foreign: variables of the files that are none of ours.
        filled: statistics in which fill values were counted, by variable; they are not in ``values``.
    """

    files: tuple[str, ...]
    pooled: bool
    values: dict[str, dict[str, np.ndarray]]
    foreign: tuple[str, ...]
    filled: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Published:
    """Tables of a folder or a file, and by name the files that hold no statistic, with the reason."""

    tables: tuple[PublishedTable, ...]
    left_out: dict[str, str]


def is_published(path: Path) -> bool:
    """Whether this is a folder or has the name of one of the published files."""
    return path.is_dir() or path.name in NAMES


def read_published(path: Path, inputs: tuple[Variable, ...]) -> Published:
    """Read a folder of published tables, or one file of it.

    Args:
        path: the folder, which may hold some of the files only, or a file with a published name.
        inputs: the variables to read; all tables are of inputs.

    Raises:
        DatasetError: nothing there that can be compared, a file that cannot be read or has other shapes.
    """
    folder, names = (path, NAMES) if path.is_dir() else (path.parent, (path.name,))
    there = [name for name in names if (folder / name).exists()]
    left_out = {name: NO_STATISTICS[name] for name in there if name in NO_STATISTICS}
    tables = []
    for kind in _KINDS:
        files = {statistic: folder / name for statistic, name in kind.files.items() if name in there}
        if files:
            tables.append(_read_table(files, kind.pooled, inputs))
    if not tables:
        why = "; ".join(f"nothing of a data set can be compared with {name}: {text}" for name, text in left_out.items())
        raise DatasetError(
            f"{path}: expected a data set, a statistics.nc, or one or several of ClimSim's published tables "
            f"({', '.join(NAMES[: -len(NO_STATISTICS)])}), found none of them{f'; {why}' if why else ''}"
        )
    return Published(tuple(tables), left_out)


def _read_table(files: Mapping[str, Path], pooled: bool, inputs: tuple[Variable, ...]) -> PublishedTable:
    values: dict[str, dict[str, np.ndarray]] = {}
    filled: dict[str, tuple[str, ...]] = {}
    foreign: dict[str, None] = {}
    for statistic, path in files.items():
        found, others = _read_file(path, pooled, inputs)
        foreign |= dict.fromkeys(others)
        for name, numbers in found.items():
            if (np.abs(numbers) >= FILL_LIMIT).any():
                filled[name] = (*filled.get(name, ()), statistic)
            else:
                values.setdefault(name, {})[statistic] = numbers
    return PublishedTable(tuple(path.name for path in files.values()), pooled, values, tuple(foreign), filled)


def _read_file(path: Path, pooled: bool, inputs: tuple[Variable, ...]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Numbers of the inputs that a file holds, and its other variables. Coordinates are variables here too."""
    try:
        with opened(path) as file:
            found = {item.name: _numbers(file, item, pooled) for item in inputs if item.name in file.variables}
            others = [name for name in file.variables if name not in found]
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(f"{path}: expected ClimSim's published table of the inputs, but {error}") from error
    if not found:
        raise DatasetError(
            f"{path}: expected ClimSim's published table of the inputs, such as {inputs[0].name}, found "
            f"{', '.join(others) or 'no variable'}"
        )
    return found, others


def _numbers(file: Any, item: Variable, pooled: bool) -> np.ndarray:
    numbers = np.atleast_1d(np.asarray(file[item.name][...], dtype=np.float64))
    if numbers.shape != (item.levels,):
        raise ValueError(f"{item.name} has shape {numbers.shape} where {(item.levels,)} was expected")
    if np.isnan(numbers).any():
        raise ValueError(f"{item.name} holds NaN")
    if pooled and (numbers != numbers[0]).any():
        raise ValueError(f"{item.name} differs between levels, where one number over all levels was expected")
    return numbers[:1] if pooled else numbers
