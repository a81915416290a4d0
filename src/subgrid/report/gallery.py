"""A second pass over a prediction: a sample of rows for densities, the worst columns, where there is land.

Memory is bounded: what is kept does not grow with the rows. Which rows are kept follows from their numbers and values
alone, never from the chunks that they came in.
"""

from dataclasses import dataclass

import numpy as np

from subgrid.evaluation.rows import Frame, Rows
from subgrid.records.order import scattered
from subgrid.schema.variable_sets import scored_columns

_LAND = "cam_in_LANDFRAC"


@dataclass(frozen=True)
class GallerySettings:
    """How much is kept.

    Attributes:
        sample: rows for the densities.
        worst: columns to open up.
        cap: an error of more standard deviations than this counts as so many: one level that hardly ever varies must
            not decide which column is the worst.
    """

    sample: int = 4000
    worst: int = 4
    cap: float = 10.0


@dataclass(frozen=True, eq=False)
class OpenedRow:
    """One row in full.

    Attributes:
        row, column, time: as in ``Rows``.
        error: root of the mean squared error over the scored targets, in standard deviations of each (capped).
        inputs: physical units, (input_width,), or None where they are not known.
        truth, prediction: physical units, (target_width,).
    """

    row: int
    column: int
    time: int
    error: float
    inputs: np.ndarray | None
    truth: np.ndarray
    prediction: np.ndarray


class Gallery:
    """What the figures show of single rows; ``add`` every chunk once, in any order.

    Args:
        frame: variables and grid of the rows.
        scale: standard deviation of the truth of every target, (target_width,); 0 or NaN where it does not vary.
        settings: how much is kept.
    """

    def __init__(self, frame: Frame, scale: np.ndarray, settings: GallerySettings | None = None) -> None:
        self.frame, self.settings = frame, settings or GallerySettings()
        varies = np.isfinite(scale) & (scale > 0)
        self._counted = np.flatnonzero(varies & scored_columns(frame.variables))
        self._scale = scale[self._counted]
        width = frame.variables.target_width
        self._keys = np.empty(0, dtype=np.uint64)
        self.truth = np.empty((0, width))
        """Truth of the sampled rows, (sampled row, target_width), in the order of their keys."""
        self.prediction = np.empty((0, width))
        """Prediction of the sampled rows."""
        self.worst: list[OpenedRow] = []
        """The worst rows, worst first."""
        columns = frame.grid.columns if frame.grid is not None else 0
        self._land, self._seen = np.zeros(columns), np.zeros(columns)

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""
        if not rows.row.size:
            return
        self._sample(rows)
        self._open_worst(rows)
        if self._seen.size and rows.inputs is not None and _LAND in self.frame.variables.input_slices:
            known = rows.column >= 0
            land = rows.input(self.frame.variables, _LAND)[known]
            self._land += np.bincount(rows.column[known], land, minlength=self._seen.size)
            self._seen += np.bincount(rows.column[known], minlength=self._seen.size)

    def _sample(self, rows: Rows) -> None:
        keys = scattered(rows.row)
        if self._keys.size >= self.settings.sample:
            near = np.flatnonzero(keys < self._keys[-1])  # the largest key that is kept stands last
        else:
            near = np.arange(keys.size)
        keys = np.concatenate([self._keys, keys[near]])
        kept = np.argsort(keys)[: self.settings.sample]
        self._keys = keys[kept]
        self.truth = np.concatenate([self.truth, rows.truth[near]])[kept]
        self.prediction = np.concatenate([self.prediction, rows.prediction[near]])[kept]

    def _open_worst(self, rows: Rows) -> None:
        error = (rows.prediction[:, self._counted] - rows.truth[:, self._counted]) / self._scale
        np.clip(error, -self.settings.cap, self.settings.cap, out=error)
        size = np.sqrt((error**2).mean(axis=1)) if self._counted.size else np.zeros(len(error))
        inputs = rows.inputs  # a row without them still has its truth and prediction to be opened
        for place in np.lexsort((rows.row, -size))[: self.settings.worst]:
            self.worst.append(
                OpenedRow(
                    int(rows.row[place]), int(rows.column[place]), int(rows.time[place]), float(size[place]),
                    None if inputs is None else inputs[place].copy(), rows.truth[place].copy(),
                    rows.prediction[place].copy(),
                )
            )  # fmt: skip
        self.worst = sorted(self.worst, key=lambda one: (-one.error, one.row))[: self.settings.worst]

    @property
    def land(self) -> np.ndarray | None:
        """Mean land fraction of every column of the grid, NaN where none was seen; None without grid or that input."""
        if not self._seen.any():
            return None
        return np.divide(self._land, self._seen, out=np.full_like(self._land, np.nan), where=self._seen > 0)
