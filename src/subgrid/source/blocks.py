"""Rows without dates, as arrays and tables hold them: blocks of rows take the place of a simulation's steps.

A block has as many rows as the grid has columns. Blocks are numbered in file order, and so are their times.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from subgrid.errors import InputError
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import TIME_STEP, variable
from subgrid.source.columns import StepColumns
from subgrid.source.locations import GRID_ENDING, Location
from subgrid.source.steps import Step

Report = Callable[[int, int], None]
Places = tuple[np.ndarray, np.ndarray, np.ndarray]


class BlockSource(ABC):
    """Rows that lie in files; to a build they look like a location whose steps are blocks of rows."""

    remote: ClassVar[bool] = False
    """Whether steps are files that are fetched ahead; blocks are not."""

    @property
    @abstractmethod
    def url(self) -> str:
        """What it is called; other values are another source."""

    @property
    @abstractmethod
    def beside(self) -> Location:
        """The folder that the rows' files lie in."""

    @property
    @abstractmethod
    def placed(self) -> bool:
        """Whether it is known where and when the rows lie."""

    @abstractmethod
    def absolute(self) -> Self:
        """The same for a process in another working folder."""

    @abstractmethod
    def survey(self, variables: VariableSet, columns: int, progress: Report | None = None) -> list[Step]:
        """The blocks; ``progress`` is called with (bytes done, bytes) where that takes a pass over the file.

        Raises InputError for files that do not fit the variable set, or rows that are no whole number of blocks.
        """

    @abstractmethod
    def reader(self, variables: VariableSet, columns: int) -> Callable[[Step], StepColumns]:
        """Reads blocks, in any order, in physical units; raises InputError for NaN and what is not physical."""

    def unpacked_bytes(self, variables: VariableSet, rows: int) -> int:
        """Bytes that the rows take where they must be unpacked before blocks can be read in any order; 0 if not."""
        return 0

    def unpack(self, variables: VariableSet, path: Path, progress: Report | None = None) -> Self:
        """The same rows, read from a file ``path`` that is written now, if need be; progress is (rows, rows)."""
        return self

    def exists(self, name: str) -> bool:
        """Whether a file lies beside the rows."""
        return self.beside.exists(name)

    def grid(self) -> Path:
        """The grid file beside the rows; raises InputError for none, several, or rows that lie at a URL."""
        found = [] if self.beside.remote else sorted(self.beside.local("").glob(f"*{GRID_ENDING}"))
        if len(found) != 1:
            raise InputError(f"{self.beside.shown}: expected one grid file *{GRID_ENDING}; name it with --grid")
        return found[0]


def whole_blocks(rows: int, columns: int, where: str) -> int:
    """How many blocks there are; raises InputError for rows that are no whole number of them, or none."""
    if not rows or rows % columns:
        raise InputError(
            f"{where}: {rows} rows are no multiple of the {columns} columns of the grid; is it the grid of these rows?"
        )
    return rows // columns


def blocks(count: int) -> list[Step]:
    """Steps that stand for blocks, in file order. Their times count blocks and are no dates."""
    return [Step(number * TIME_STEP, name := f"block {number}", name) for number in range(count)]


def block_columns(time: int, values: tuple[np.ndarray, np.ndarray], places: Places, say: Callable[[str], str],
                  variables: VariableSet) -> StepColumns:  # fmt: skip
    """A block of the inputs and targets ``values``, float64 (column of the set, row), physical and finite.

    Temperature and surface pressure must be what they are on Earth: normalised values are not. ``say`` makes a message
    of what was found. Raises InputError.
    """
    inputs, targets = values
    for item in map(variable, ("state_t", "state_ps")):
        part = inputs[variables.input_slices[item.name]]
        low, high = float(part.min()), float(part.max())
        if not (item.low <= low and high <= item.high):
            found = f"found {low:g} ... {high:g}"
            raise InputError(say(f"{item.name} must lie within {item.low:g} ... {item.high:g} {item.unit}, {found}"))
    return StepColumns(time, inputs, (inputs.min(axis=1), inputs.max(axis=1)), targets, False, places)


def unknown_places(row: np.ndarray) -> Places:
    """Numbers of rows, int (row,), of which nobody knows where and when they lie."""
    nowhere = np.full(row.size, -1)
    return row, nowhere, nowhere
