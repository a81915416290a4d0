"""The frozen table of statistics: moments of every column of a variable set, per level and pooled over levels.

In a NetCDF file a variable keeps its name: ``state_t(split, statistic, lev)`` per level and
``state_t_pooled(split, statistic)`` over all its levels, with ``statistic`` = count, mean, m2, min, max, std. So

    xr.open_dataset("statistics.nc").state_t.sel(split="training", statistic="mean")

Only the per-level moments are read back: everything else follows from them. Their numbers carry checksums (Fletcher32
of HDF5), so that a wrong byte is an error, wherever the file has been.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import DatasetError, SettingsError
from subgrid.netcdf import opened
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.schema.variables import LEVELS, Variable
from subgrid.statistics.moments import Moments

STATISTICS = ("count", "mean", "m2", "min", "max", "std")
_TITLE = "statistics of a subgrid data set"
_STORED = 5  # all but the std, which follows


@dataclass(frozen=True, eq=False)
class Table:
    """Moments of raw physical values, fill values left out.

    Attributes:
        variables: the set whose order the columns have.
        inputs: moments of the input columns, (input_width,).
        targets: moments of the target columns, (target_width,).
    """

    variables: VariableSet
    inputs: Moments
    targets: Moments

    @classmethod
    def zero(cls, variables: VariableSet) -> "Table":
        """A table that has seen nothing."""
        return cls(variables, Moments.zero(variables.input_width), Moments.zero(variables.target_width))

    def __add__(self, other: "Table") -> "Table":
        return Table(self.variables, self.inputs + other.inputs, self.targets + other.targets)

    @property
    def rows(self) -> int:
        """How many rows the table has seen."""
        return int(self.targets.count.max(initial=0))

    @property
    def pooled_inputs(self) -> Moments:
        """Moments of each input variable over all its levels, (number of input variables,)."""
        return self.inputs.pooled([item.levels for item in self.variables.inputs])

    @property
    def pooled_targets(self) -> Moments:
        """Moments of each target variable over all its levels, (number of target variables,)."""
        return self.targets.pooled([item.levels for item in self.variables.targets])

    def constant_columns(self) -> list[str]:
        """Names of the columns that never change (pbuf_CH4_27 and the like), inputs before targets."""
        names = self.variables.input_columns + self.variables.target_columns
        flags = np.concatenate([self.inputs.constant, self.targets.constant])
        return [name for name, constant in zip(names, flags, strict=True) if constant]

    def per_variable(self) -> dict[str, tuple[Variable, Moments]]:
        """Per-level moments of every variable by name, inputs before targets."""
        found = {}
        for items, slices, moments in (
            (self.variables.inputs, self.variables.input_slices, self.inputs),
            (self.variables.targets, self.variables.target_slices, self.targets),
        ):
            for item in items:
                found[item.name] = (item, Moments.from_array(moments.to_array()[:, slices[item.name]]))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain numbers that ``from_json`` turns into the same bits; infinities of empty columns become null."""
        return {
            "variables": self.variables.name,
            "inputs": _plain(self.inputs.to_array()),
            "targets": _plain(self.targets.to_array()),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Table":
        """The inverse of ``to_json``; raises DatasetError when the sizes do not fit the named set."""
        variables = variable_set(data["variables"])
        try:
            inputs, targets = _numbers(data["inputs"]), _numbers(data["targets"])
        except ValueError as error:
            raise DatasetError(
                f"statistics of set {variables.name!r} are not five rows of numbers ({error})"
            ) from error
        return cls.from_arrays(variables, inputs, targets)

    @classmethod
    def from_arrays(cls, variables: VariableSet, inputs: np.ndarray, targets: np.ndarray) -> "Table":
        """A table from two float64 arrays (5, column); raises DatasetError when the sizes do not fit the set."""
        expected = ((_STORED, variables.input_width), (_STORED, variables.target_width))
        if (inputs.shape, targets.shape) != expected:
            raise DatasetError(
                f"statistics of set {variables.name!r} must have shapes {expected[0]} and {expected[1]}, "
                f"found {inputs.shape} and {targets.shape}"
            )
        return cls(variables, Moments.from_array(inputs), Moments.from_array(targets))


def _plain(array: np.ndarray) -> list[list[float | None]]:
    return [[value if np.isfinite(value) else None for value in row] for row in array.tolist()]


def _numbers(rows: list[list[float | None]]) -> np.ndarray:
    empty = (0.0, 0.0, 0.0, np.inf, -np.inf)
    return np.array(
        [[default if value is None else value for value in row] for row, default in zip(rows, empty, strict=True)]
    )


def write_tables(path: str | Path, tables: Mapping[str, Table], attributes: Mapping[str, str] | None = None) -> None:
    """Write tables by split as one self-describing NetCDF file (layout in the module's docstring)."""
    with opened(path, "w", format="NETCDF4") as file:
        file.setncatts({"title": _TITLE, **(attributes or {})})
        first = next(iter(tables.values()))
        file.variable_set = first.variables.name
        for name, values in (("split", list(tables)), ("statistic", list(STATISTICS))):
            file.createDimension(name, len(values))
            entry = file.createVariable(name, str, (name,))
            entry[:] = np.array(values, dtype=object)
        file.createDimension("lev", LEVELS)
        per_split = [table.per_variable() for table in tables.values()]
        for name, (item, _) in per_split[0].items():
            _write_variable(file, item, [found[name][1] for found in per_split])


def _write_variable(file: Any, item: Variable, moments: list[Moments]) -> None:
    values = np.stack([_with_std(one) for one in moments])  # (split, statistic, level)
    pooled = np.stack([_with_std(one.pooled([item.levels])) for one in moments])[..., 0]
    levels = ("lev",) if item.levels > 1 else ()
    entry = file.createVariable(item.name, "f8", ("split", "statistic", *levels), fletcher32=True)
    entry.setncatts({"units": item.unit, "long_name": item.meaning})
    entry[...] = values if levels else values[..., 0]
    if levels:
        entry = file.createVariable(f"{item.name}_pooled", "f8", ("split", "statistic"), fletcher32=True)
        entry.setncatts({"units": item.unit, "long_name": f"{item.meaning}, over all levels"})
        entry[...] = pooled


def _with_std(moments: Moments) -> np.ndarray:
    return np.concatenate([moments.to_array(), moments.std[None]])


def read_tables(path: str | Path) -> dict[str, Table]:
    """Read what ``write_tables`` wrote, by split; raises DatasetError for anything else."""
    try:
        with opened(path) as file:
            variables = variable_set(file.variable_set)
            splits = [str(name) for name in file["split"][:]]
            return {split: _read_split(file, variables, place) for place, split in enumerate(splits)}
    except (OSError, IndexError, AttributeError, RuntimeError) as error:
        raise DatasetError(
            f"{path}: expected a statistics file written by subgrid, but {getattr(error, 'strerror', '') or error}"
        ) from error


def refuse_other_file(path: Path) -> None:
    """Raise SettingsError where a file is there that ``write_tables`` did not write, or that belongs to a data set."""
    if not path.exists():
        return
    try:
        with opened(path) as file:
            ours, owned = getattr(file, "title", "") == _TITLE, hasattr(file, "dataset")
    except OSError:
        ours, owned = False, False
    if not ours or owned:
        what = "are those of the data set it lies in" if owned else "is there and holds no statistics"
        raise SettingsError(f"{path}: {what}; choose another name")


def read_table(path: str | Path, split: str) -> Table:
    """The table of one split of such a file; raises DatasetError where there is none of that name."""
    tables = read_tables(path)
    if split not in tables:
        raise DatasetError(f"{path}: expected a split named {split!r}, found {', '.join(tables)}")
    return tables[split]


def _read_split(file: Any, variables: VariableSet, place: int) -> Table:
    def gather(items: tuple[Variable, ...]) -> np.ndarray:
        columns = [np.asarray(file[item.name][place, :_STORED]).reshape(_STORED, item.levels) for item in items]
        return np.concatenate(columns, axis=1)

    return Table.from_arrays(variables, gather(variables.inputs), gather(variables.targets))
