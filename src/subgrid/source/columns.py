"""One step -> arrays: the columns of a variable set in float64, checked, with tendencies computed.

Arrays are *variable-major*, ``(variable column, grid column)``: as the files have them, and contiguous along the axis
that checks and moments reduce. Tendencies are (mlo - mli) / 1200 s in float64.
"""

from dataclasses import dataclass, field

import numpy as np

from subgrid.errors import InputError
from subgrid.netcdf import opened
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import TIME_STEP, Variable, variable
from subgrid.source.ahead import Ahead
from subgrid.source.cdf5 import HeaderReader, UnsupportedError, view
from subgrid.source.checks import check_range
from subgrid.source.locations import Location
from subgrid.source.steps import Step, label_of


class AbsentError(InputError):
    """A file that is not there at all, which a plan made elsewhere may name."""


@dataclass(frozen=True)
class StepColumns:
    """The values of one step.

    Attributes:
        time: seconds since 0001-01-01 without leap years, from the file's name.
        inputs: float64 (input_width, grid column), physical units.
        limits: smallest and largest value of every input column, (input_width,) each.
        targets: float64 (target_width, grid column); None where only inputs were read.
        other_time: whether the date inside a file differs from the one in its name.
        places: number, grid column and time of every row, int (row,) each, -1 where unknown; None where they follow
            from the step's time, because its columns are those of the grid.
    """

    time: int
    inputs: np.ndarray
    limits: tuple[np.ndarray, np.ndarray]
    targets: np.ndarray | None
    other_time: bool
    places: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


@dataclass
class StepReader:
    """Reads steps of one location for one variable set.

    Attributes:
        location: where the files are.
        variables: the set to read.
        columns: grid columns that every file must have; None takes what the first file has.
    """

    location: Location | Ahead
    variables: VariableSet
    columns: int | None = None
    _memory: dict[str, np.ndarray] = field(default_factory=dict)
    _headers: dict[str, HeaderReader] = field(default_factory=lambda: {"mli": HeaderReader(), "mlo": HeaderReader()})

    def read(self, step: Step, targets: bool = True) -> StepColumns:
        """Inputs of a step and, unless switched off, its targets.

        Raises:
            InputError: a file that is missing, cut, not netCDF, of another grid, without a variable of the set, or
                with NaN, infinity or values outside their physical range.
        """
        before = self._open(step.mli, "mli")
        inputs = np.empty((self.variables.input_width, self._grid_columns(before)))
        for item in self.variables.inputs:
            inputs[self.variables.input_slices[item.name]] = before.get(item)
        limits = inputs.min(axis=1), inputs.max(axis=1)
        self._check(inputs, limits, before.where)
        other_time = before.other_time(step.time)
        if not targets:
            return StepColumns(step.time, inputs, limits, None, other_time)
        if not step.mlo:
            raise InputError(f"{self.location.label(step.mli)}: the step has no mlo file, so it has no targets")
        after = self._open(step.mlo, "mlo")
        found = self._targets(before, after, inputs)
        return StepColumns(step.time, inputs, limits, found, other_time or after.other_time(step.time))

    def _targets(self, before: "_File", after: "_File", inputs: np.ndarray) -> np.ndarray:
        found = np.empty((self.variables.target_width, inputs.shape[1]))
        for item in self.variables.targets:
            part = found[self.variables.target_slices[item.name]]
            state = variable(item.state) if item.state else item
            part[...] = after.get(state)
            check_range(state, part, after.where)
            if item.state:
                part -= self._state(state, before, inputs)
                part /= TIME_STEP
        return found

    def _state(self, state: Variable, before: "_File", inputs: np.ndarray) -> np.ndarray:
        if state.name in self.variables.input_slices:
            return inputs[self.variables.input_slices[state.name]]
        return before.get(state)

    def _check(self, inputs: np.ndarray, limits: tuple[np.ndarray, np.ndarray], where: str) -> None:
        """A NaN makes the smallest value NaN, which fails every comparison: the limits tell of it too."""
        low, high = limits
        for item in self.variables.inputs:
            part = self.variables.input_slices[item.name]
            check_range(item, inputs[part], where, (float(low[part].min()), float(high[part].max())))

    def _grid_columns(self, file: "_File") -> int:
        if self.columns is None:
            self.columns = file.grid_columns()
        file.columns = self.columns
        return self.columns

    def _open(self, name: str, kind: str) -> "_File":
        where = self.location.label(name)
        try:
            data = self.location.read(name, self._memory.get(kind))
        except FileNotFoundError as error:
            raise AbsentError(f"{where}: the file is not there") from error
        self._memory[kind] = data.base if isinstance(data.base, np.ndarray) else data
        try:
            header = self._headers[kind].read(data)
        except UnsupportedError:
            return _File(where, _read_with_netcdf4(data, where), self.columns)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        return _File(where, {name: view(data, entry) for name, entry in header.variables.items()}, self.columns)


@dataclass
class _File:
    """Variables of one open file by name."""

    where: str
    arrays: dict[str, np.ndarray]
    columns: int | None

    def get(self, item: Variable) -> np.ndarray:
        """A variable as (levels, grid column) in the file's byte order; the shape is checked."""
        if item.name not in self.arrays:
            raise InputError(
                f"{self.where}: expected a variable {item.name}, found {', '.join(sorted(self.arrays)) or 'none'}"
            )
        values = self.arrays[item.name]
        expected = (item.levels, self.columns) if item.levels > 1 else (self.columns,)
        if values.shape != expected:
            raise InputError(
                f"{self.where}: {item.name} must have shape {expected} (levels, grid columns), found {values.shape}; "
                "is this the grid of these files?"
            )
        return values.reshape(item.levels, -1)

    def grid_columns(self) -> int:
        """The number of grid columns that the file has, from its surface pressure."""
        if "state_ps" not in self.arrays:
            raise InputError(f"{self.where}: expected a variable state_ps, found {', '.join(sorted(self.arrays))}")
        return int(self.arrays["state_ps"].size)

    def other_time(self, time: int) -> bool:
        """Whether the integers ymd and tod inside the file are there and name another instant than the file's name."""
        if "ymd" not in self.arrays or "tod" not in self.arrays:
            return False
        ymd, tod = int(self.arrays["ymd"].reshape(-1)[0]), int(self.arrays["tod"].reshape(-1)[0])
        return f"{ymd // 10000:04d}-{ymd // 100 % 100:02d}-{ymd % 100:02d}-{tod:05d}" != label_of(time)


def _read_with_netcdf4(data: np.ndarray, where: str) -> dict[str, np.ndarray]:
    try:
        with opened("memory", memory=data.tobytes()) as file:
            return {name: np.asarray(entry[...]) for name, entry in file.variables.items()}
    except (OSError, RuntimeError) as error:
        raise InputError(f"{where}: not a netCDF file, or a damaged one") from error
