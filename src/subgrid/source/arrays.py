"""ClimSim's pairs of arrays, ``train_input.npy`` and ``train_target.npy``: mapped, read a block of rows at a time.

A pair has no dates. Beside it may stand ``train_row.npy`` with the rows' numbers, as ``subgrid extract`` writes it;
they say where and when a row lies. Without it that is not known: a row's number is then its place in the array.

ClimSim publishes its pairs normalised: inputs as (x - mean) / (max - min), targets as y * scale, by column.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from subgrid.errors import InputError
from subgrid.netcdf import opened
from subgrid.schema.variable_sets import VARIABLE_SETS, VariableSet
from subgrid.schema.variables import TIME_STEP, Variable
from subgrid.source.blocks import BlockSource, Places, Report, block_columns, blocks, unknown_places, whole_blocks
from subgrid.source.columns import StepColumns
from subgrid.source.locations import Location, shown
from subgrid.source.steps import Step
from subgrid.source.urls import local_path

INPUT, TARGET, ROW = "_input.npy", "_target.npy", "_row.npy"


@dataclass(frozen=True)
class Normalisation:
    """Columns of ClimSim's published tables: physical inputs are ``z * (high - low) + mean``, targets ``z / scale``.

    Where a column is constant, ``high - low`` is 0 and ClimSim's arrays hold 0: that gives the mean back.
    """

    mean: np.ndarray
    span: np.ndarray
    scale: np.ndarray

    @classmethod
    def read(cls, folder: Path, variables: VariableSet) -> "Normalisation":
        """From ``input_mean.nc``, ``input_max.nc``, ``input_min.nc`` and ``output_scale.nc``.

        Raises InputError for a missing or unreadable table, a variable that is not there, and a scale of 0.
        """
        mean, high, low = (_table(folder / f"input_{kind}.nc", variables.inputs) for kind in ("mean", "max", "min"))
        scale = _table(folder / "output_scale.nc", variables.targets)
        if not scale.all():
            raise InputError(f"{folder / 'output_scale.nc'}: a scale is 0; what was multiplied by it is lost")
        return cls(mean, high - low, scale)

    @property
    def digest(self) -> str:
        """SHA-256 of all numbers."""
        numbers = np.concatenate([self.mean, self.span, self.scale]).astype("<f8")
        return sha256(numbers.tobytes()).hexdigest()


@dataclass(frozen=True)
class ArrayPair(BlockSource):
    """A pair of arrays on this machine.

    Attributes:
        folder: where it is.
        stem: ``train`` of ``train_input.npy``.
        normalisation: how its values were normalised; None where they are physical.
    """

    folder: Path
    stem: str
    normalisation: Normalisation | None = None

    @classmethod
    def find(cls, place: str) -> "ArrayPair | None":
        """The pair that a file ``..._input.npy`` or a folder with one of these means; None for anything else.

        Raises InputError for a folder with several, or for one half of a pair.
        """
        path = local_path(place)
        if path.suffix == ".npy":
            stem = path.name.removesuffix(INPUT).removesuffix(TARGET)
            found = [path.with_name(f"{stem}{INPUT}")]
        else:
            found = sorted(path.glob(f"*{INPUT}")) if path.is_dir() else []
        if not found:
            return None
        if len(found) > 1:
            raise InputError(f"{place}: holds {', '.join(one.name for one in found)}; name the one to build from")
        pair = cls(found[0].parent, found[0].name.removesuffix(INPUT))
        for ending in (INPUT, TARGET):
            if not pair.path(ending).is_file():
                raise InputError(f"{pair.path(ending)}: no such file; a pair is NAME{INPUT} and NAME{TARGET}")
        return pair

    def absolute(self) -> "ArrayPair":
        """The same for a process in another working folder."""
        return replace(self, folder=self.folder.resolve())

    def path(self, ending: str) -> Path:
        """The file of one of the endings ``INPUT``, ``TARGET``, ``ROW``."""
        return self.folder / f"{self.stem}{ending}"

    @cached_property
    def placed(self) -> bool:
        """Whether the rows' numbers are known."""
        return self.path(ROW).is_file()

    @property
    def url(self) -> str:
        """What it is called; other values are another source."""
        undone = f" normalised by {self.normalisation.digest[:12]}" if self.normalisation else ""
        return f"{self.path(INPUT)}{undone}"

    @property
    def beside(self) -> Location:
        """The folder of the pair."""
        return Location(str(self.folder))

    def map(self, ending: str) -> np.ndarray:
        """One of the arrays, mapped; raises InputError for a file that is cut or no array of numbers."""
        path = self.path(ending)
        try:
            found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{path}: not a whole .npy file of numbers ({error})") from error
        kinds, axes, wanted = ("iu", 1, "whole numbers, (row,)") if ending == ROW else ("f", 2, "floats, (row, column)")
        if found.dtype.kind not in kinds or found.ndim != axes:
            raise InputError(f"{path}: expected {wanted}, found {found.dtype} of shape {found.shape}")
        return found

    def rows(self, variables: VariableSet) -> int:
        """How many rows there are; raises InputError where the arrays do not fit the set or each other."""
        shapes = [self.map(INPUT).shape, self.map(TARGET).shape]
        rows = shapes[0][0]
        expected = [(rows, variables.input_width), (rows, variables.target_width)]
        if shapes != expected:
            fit = [name for name, one in VARIABLE_SETS.items()
                   if [shape[1] for shape in shapes] == [one.input_width, one.target_width]]  # fmt: skip
            hint = f"; --variables {fit[0]} fits" if fit else ""
            raise InputError(f"{self.path(INPUT)}: expected arrays of {expected[0]} and {expected[1]} for the variable "
                             f"set {variables.name!r}, found {shapes[0]} and {shapes[1]}{hint}")  # fmt: skip
        if self.placed and self.map(ROW).shape != (rows,):
            raise InputError(f"{self.path(ROW)}: expected {rows} numbers of rows, found {self.map(ROW).shape[0]}")
        return rows

    def survey(self, variables: VariableSet, columns: int, progress: Report | None = None) -> list[Step]:
        """The blocks; nothing but the heads of the arrays is read. Raises InputError, see ``BlockSource``."""
        return blocks(whole_blocks(self.rows(variables), columns, shown(self.url)))

    def reader(self, variables: VariableSet, columns: int) -> Callable[[Step], StepColumns]:
        """Reads blocks of ``columns`` rows; see ``BlockSource``."""
        return _BlockReader(self, variables, columns)


class _BlockReader:
    def __init__(self, pair: ArrayPair, variables: VariableSet, columns: int) -> None:
        self.pair, self.variables, self.columns = pair, variables, columns
        self.arrays = pair.map(INPUT), pair.map(TARGET)
        self.numbers = pair.map(ROW) if pair.placed else None

    def __call__(self, step: Step) -> StepColumns:
        """The rows of a block in physical units; raises InputError for NaN, infinity and what is not physical."""
        first = step.time // TIME_STEP * self.columns
        here = slice(first, first + self.columns)
        inputs, targets = (np.ascontiguousarray(array[here].T, dtype=np.float64) for array in self.arrays)
        for values, names in ((inputs, self.variables.input_columns), (targets, self.variables.target_columns)):
            self._refuse_not_finite(values, names, first)
        if (how := self.pair.normalisation) is not None:
            inputs *= how.span[:, None]
            inputs += how.mean[:, None]
            targets /= how.scale[:, None]
        hint = "if the pair is normalised, as ClimSim's are, name the folder of its tables with --normalised"
        if self.pair.normalisation:
            hint = "was it normalised by these tables?"

        def say(wrong: str) -> str:
            return f"{self.pair.path(INPUT)}: {wrong} in the {self.columns} rows from row {first}; {hint}"

        return block_columns(step.time, (inputs, targets), self._places(here), say, self.variables)

    def _refuse_not_finite(self, values: np.ndarray, names: list[str], first: int) -> None:
        bad = ~np.isfinite(values)
        if bad.any():
            column, row = np.argwhere(bad)[0]
            raise InputError(
                f"{self.pair.path(INPUT)}: {names[column]} of the pair is {values[column, row]} in row {first + row} "
                f"({int(bad.sum())} such values in the {self.columns} rows read with it)"
            )

    def _places(self, here: slice) -> Places:
        if self.numbers is None:
            return unknown_places(np.arange(here.start, here.stop))
        row = np.asarray(self.numbers[here], dtype=np.int64)
        return row, row % self.columns, row // self.columns * TIME_STEP


def _table(path: Path, variables: tuple[Variable, ...]) -> np.ndarray:
    try:
        with opened(path) as file:
            found = [np.atleast_1d(np.asarray(file[item.name][...], dtype=np.float64)) for item in variables]
    except (OSError, IndexError) as error:
        raise InputError(f"{path}: expected one of ClimSim's published tables, but {error}") from error
    for item, values in zip(variables, found, strict=True):
        if values.shape != (item.levels,) or not np.isfinite(values).all():
            raise InputError(f"{path}: {item.name} must hold {item.levels} finite values, found shape {values.shape}")
    return np.concatenate(found)
