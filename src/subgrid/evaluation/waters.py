"""Negative humidity and cloud water that one step would leave: q + 1200 s dq/dt < 0.

Stored values are float32(x 2**k), k the exponent of the schema's table (64; 120 for cloud liquid): each is right to
2**-24 of itself and loses what is below 2**-(126 + k). Where a step takes all water of a cell, as E3SM-MMF does aloft,
the stored sum is a rounding of 0 of either sign. A cell counts as negative where no rounding explains it:

    q + D < -(2**-23 (q + |D|) + 1201 * 2**-(126 + k)),    D = 1200 s dq/dt

twice the rounding that can be. The prediction is the network's own, without the cloud-water rule.
"""

from typing import Self

import numpy as np

from subgrid.evaluation.rows import SOURCE, Field, Frame, Rows
from subgrid.physics.constants import GRAVITY
from subgrid.schema.variables import LEVELS, TIME_STEP, variable

WATERS = ("q0001", "q0002", "q0003")
"""Specific humidity, cloud liquid, cloud ice: the axis ``water`` holds those of which a set has state and tendency."""

_ROUNDING = 2.0**-23
_BLOCK = 256  # rows worked on at once: a profile of theirs stays in a core's cache


def least_tendency(name: str, state: np.ndarray) -> np.ndarray:
    """The tendency in kg/kg/s below which a cell of ``state`` (kg/kg) turns negative beyond rounding, the same shape.

    The condition of the module is, for D < 0, D < -((1 + e) q + f) / (1 - e) with e = 2**-23.
    """
    smallest = (1 + TIME_STEP) * 2.0 ** -(126 + variable(f"state_{name}").exponent)
    limit = state * (-(1 + _ROUNDING) / (1 - _ROUNDING) / TIME_STEP)
    limit -= smallest / (1 - _ROUNDING) / TIME_STEP
    return limit


class NegativeWater:
    """Area-weighted sums over cells that a step leaves negative, by water, source and level.

    Rows whose column is unknown have the mean weight; without a grid all have, and there are no masses.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        names = frame.variables.input_slices.keys() | frame.variables.target_slices.keys()
        self.waters = [name for name in WATERS if {f"state_{name}", f"ptend_{name}"} <= names]
        shape = (len(self.waters), 2, LEVELS)
        self.weight = 0.0
        self.cells, self.lacking, self.pressed = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.columns, self.least = np.zeros(shape[:2]), np.zeros(shape[:2])

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""
        if not self.waters or not len(rows.truth):
            return
        weights = self.frame.weights(rows.column)
        self.weight += weights.sum()
        both = np.stack([weights, weights * rows.input(self.frame.variables, "state_ps")])
        for start in range(0, len(weights), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._add_block(rows.part(block), both[:, block])

    def _add_block(self, rows: Rows, both: np.ndarray) -> None:
        variables, weights = self.frame.variables, both[0]
        for water, name in enumerate(self.waters):
            state = rows.input(variables, f"state_{name}")
            limit = least_tendency(name, state)
            for source, values in enumerate((rows.truth, rows.prediction)):
                tendency = rows.target(values, variables, f"ptend_{name}")
                negative = tendency < limit
                if not negative.any():
                    continue
                cells = negative.astype(np.float64)
                after = tendency * float(TIME_STEP)
                after += state
                after *= cells
                self.least[water, source] = min(self.least[water, source], after.min())
                self.cells[water, source] += weights @ cells
                self.columns[water, source] += weights @ negative.any(axis=1)
                lacking, pressed = both @ after
                self.lacking[water, source] += lacking
                self.pressed[water, source] += pressed

    def merge(self, other: Self) -> None:
        """Take what another accumulator of the same frame has taken."""
        for name in ("weight", "cells", "lacking", "pressed", "columns"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.least = np.minimum(self.least, other.least)

    def fields(self) -> dict[str, Field]:
        """Shares of cells and columns, and with a grid the missing masses, all by water and source."""
        if not self.weight or not self.waters:
            return {}
        axes = ("water", "source")
        share = self.cells / self.weight
        meaning = "where one step leaves q + 1200 s dq/dt below 0 by more than rounding"
        found = {
            "source": SOURCE,
            "water": Field(("water",), np.array(self.waters), "", "specific humidity, cloud liquid, cloud ice"),
            "negative_share": Field(axes, share.mean(axis=-1), "1", f"share of cells (layers of columns) {meaning}"),
            "negative_share_by_level": Field((*axes, "level"), share, "1", f"share of columns {meaning}, at a level"),
            "negative_columns": Field(axes, self.columns / self.weight, "1", f"share of columns with a cell {meaning}"),
            "negative_least": Field(axes, self.least, "kg/kg", "least q + 1200 s dq/dt of these cells, 0 without any"),
        }
        return found | self._masses(axes)

    def _masses(self, axes: tuple[str, ...]) -> dict[str, Field]:
        grid = self.frame.grid
        if grid is None:
            return {}
        mass = (grid.P0 * np.diff(grid.hyai) * self.lacking + np.diff(grid.hybi) * self.pressed) / GRAVITY
        mass = mass / -self.weight + 0.0  # no minus zero
        meaning = "water that is missing in the negative cells, mean over all columns"
        return {
            "negative_mass": Field(axes, mass.sum(axis=-1), "kg/m2", meaning),
            "negative_mass_by_level": Field((*axes, "level"), mass, "kg/m2", f"{meaning}, of a level"),
        }
