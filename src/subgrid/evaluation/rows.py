"""What an evaluation is fed with, and what each of its parts gives back: rows in, named fields out.

A *part* is an accumulator of float64 sums: ``add`` takes a chunk of rows, ``merge`` takes another accumulator of the
same kind (of another chunk, worker or file), ``fields`` are the scores that follow from the sums. However the rows were
cut into chunks, the fields are the same to rounding.
"""

from typing import NamedTuple, Protocol, Self

import numpy as np

from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet


class Frame(NamedTuple):
    """What all rows of an evaluation share.

    Attributes:
        variables: the set whose inputs and targets the columns of the rows are.
        grid: where the columns stand; None where it is not known (a Kaggle table, say).
    """

    variables: VariableSet
    grid: Grid | None

    def weights(self, column: np.ndarray) -> np.ndarray:
        """Area of each row's column over the grid's mean area, float64 (row,); 1 where column or grid are unknown."""
        if self.grid is None:
            return np.ones(len(column))
        area = self.grid.area / self.grid.area.mean()
        return np.where(column >= 0, area[column], 1.0)


class Rows(NamedTuple):
    """Rows of a prediction beside their truth, in physical units.

    Attributes:
        prediction, truth: float64 (row, target_width), finite.
        column: index into the grid, int (row,); -1 where unknown.
        time: seconds since 0001-01-01 without leap years, int64 (row,); -1 where unknown.
        row: the rows' numbers, int64 (row,).
        inputs: float64 (row, input_width), or None where they are not known.
        rule: ptend_q0002 at levels 12-26 by the cloud-water rule, float64 (row, 15), or None.
        confidence: absolute error that the network expects of itself, in units of its normalised targets, float
            (row, target_width), or None.
        members: predictions of an ensemble's members, float64 (member, row, target_width), or None.
    """

    prediction: np.ndarray
    truth: np.ndarray
    column: np.ndarray
    time: np.ndarray
    row: np.ndarray
    inputs: np.ndarray | None
    rule: np.ndarray | None = None
    confidence: np.ndarray | None = None
    members: np.ndarray | None = None

    def part(self, chosen: slice) -> "Rows":
        """Some of the rows, as views."""
        arrays = {name: item[chosen] for name, item in self._asdict().items() if item is not None}
        if self.members is not None:
            arrays["members"] = self.members[:, chosen]
        return self._replace(**arrays)

    def input(self, variables: VariableSet, name: str) -> np.ndarray:
        """An input variable, (row, 60) for a profile, (row,) for a scalar; KeyError where the set lacks it."""
        assert self.inputs is not None
        return _variable(self.inputs, variables.input_slices[name])

    @staticmethod
    def target(values: np.ndarray, variables: VariableSet, name: str) -> np.ndarray:
        """A target variable of ``prediction`` or ``truth``, (row, 60) or (row,); KeyError where the set lacks it."""
        return _variable(values, variables.target_slices[name])


class Field(NamedTuple):
    """An array of scores with names for its axes.

    A field with the name of its only axis is the coordinate of that axis, as in xarray: names (of variables, budgets,
    ...) or numbers (edges of bins, shares, ...). Parts that share an axis give the same coordinate.

    Attributes:
        axes: such as ``("variable", "level")``.
        values: float64, int64 or (a coordinate) text with as many axes; NaN where a score is not defined.
        unit: "1" for a pure number; "" where it differs by variable.
        meaning: one line, with the formula where it is short.
    """

    axes: tuple[str, ...]
    values: np.ndarray
    unit: str
    meaning: str


SOURCE = Field(("source",), np.array(["truth", "prediction"]), "", "what was measured: the truth or the prediction")
"""The coordinate of the axis ``source`` of all parts that look at truth and prediction side by side."""


class Part(Protocol):
    """An accumulator of an evaluation."""

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""

    def merge(self, other: Self) -> None:
        """Take what another accumulator of the same frame has taken."""

    def fields(self) -> dict[str, Field]:
        """Scores by name; empty where nothing can be said (no rows, no confidence head, ...)."""


def _variable(values: np.ndarray, place: slice) -> np.ndarray:
    return values[:, place] if place.stop - place.start > 1 else values[:, place.start]


def by_variable(variables: VariableSet, values: np.ndarray) -> np.ndarray:
    """Values of the target columns, (..., target_width), as (..., variable, 60).

    A scalar stands at level 0, the rest of its row is NaN.
    """
    table = np.full((*values.shape[:-1], len(variables.targets), 60), np.nan)
    for index, item in enumerate(variables.targets):
        table[..., index, : item.levels] = values[..., variables.target_slices[item.name]]
    return table
