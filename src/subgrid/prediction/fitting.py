"""Weights fitted on a truth: on every second block of days, with the gain over equal weights on the other blocks.

Two passes over the rows, each in bounded memory: products of errors on the one half, and scores of both means on the
other. Weather remembers itself for days, so halves of alternate blocks are all but independent, and both hold all
seasons that there are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from subgrid.errors import SettingsError
from subgrid.evaluation.blending import By, ErrorProducts, fitted_weights, hill, least_squares
from subgrid.evaluation.blocks import BLOCK_DAYS, DAY, Blocks
from subgrid.evaluation.intervals import differences, statistics
from subgrid.evaluation.rows import Rows
from subgrid.evaluation.scorecard import with_rule
from subgrid.prediction.ensemble import mean_of
from subgrid.prediction.join import Joined
from subgrid.prediction.members import Fit, Gain
from subgrid.prediction.shares import units
from subgrid.prediction.store import StoredPrediction
from subgrid.prediction.together import Together
from subgrid.source.urls import shown

_ROWS = 512  # looked at at once: some 1.5 MB a member
_METHODS = {"least-squares": least_squares, "hill": hill}
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class FitSettings:
    """How weights are fitted.

    Attributes:
        truth: a data set or a folder of raw steps.
        method: least squares on the simplex, or greedy selection on r2_294.
        by: which targets share weights.
        block_days: length of the blocks of days that alternate.
    """

    truth: str
    method: Literal["least-squares", "hill"] = "least-squares"
    by: By = "kind"
    block_days: int = BLOCK_DAYS


def fit(together: Together, settings: FitSettings, progress: Report | None = None) -> tuple[np.ndarray, Fit]:
    """Weights (member, target variable) and what they gain; of groups where there are, equal inside them.

    Raises:
        SettingsError: rows of unknown time, or all of one block of days.
        DatasetError: a truth that lacks rows or is of another variable set.
    """
    _, shares = units(together)
    fitting = fitting_blocks(together.stored[0], settings.block_days)
    work = _Pass(together, settings, fitting, progress)
    variables = together.variables
    sums = ErrorProducts(len(shares), variables.target_width)
    for rows, values in work.pieces(fitted=True):
        sums.add(np.tensordot(shares, values, axes=1), rows.truth)
    weights = shares.T @ fitted_weights(sums, variables, settings.by, _METHODS[settings.method])
    equal = np.full_like(weights, 1 / len(weights))
    scored = [Blocks(work.joined.frame, settings.block_days) for _ in range(2)]
    repeats = [item.levels for item in variables.targets]
    for rows, values in work.pieces(fitted=False):
        for blocks, share in zip(scored, (equal, weights), strict=True):
            blocks.add(rows._replace(prediction=mean_of(list(values), np.repeat(share, repeats, axis=1))))
    tested = int(scored[0].card().rows)
    if not sums.rows or not tested:
        raise SettingsError(
            f"{shown(settings.truth)}: one half of the blocks of days has no truth; nothing can be fitted"
        )
    return weights, Fit(
        truth=shown(settings.truth),
        by=settings.by,
        block_days=settings.block_days,
        rows=sums.rows,
        test_rows=tested,
        test_blocks=scored[0].count,
        gain=_gain(*scored),
    )


def fitting_blocks(stored: StoredPrediction, days: int) -> np.ndarray:
    """Numbers of the blocks of days that weights are fitted on: the first, third, ... of those that hold rows.

    Raises SettingsError for rows of unknown time, or of fewer than two blocks.
    """
    found = np.unique(np.concatenate([np.unique(rows.time) for rows in stored.scan()]))
    blocks = np.unique(found // (days * DAY))
    if found[0] < 0 or blocks.size < 2:
        what = "rows of unknown time" if found[0] < 0 else f"rows of one block of {days} days"
        raise SettingsError(
            f"{stored.folder}: holds {what}; weights are fitted on every second block of days and tested on the "
            "others. Fit them on predictions of other rows, and take them over with --like"
        )
    return blocks[::2]


class _Pass:
    """Goes through the rows of one half, with what every member predicts for them."""

    def __init__(self, together: Together, settings: FitSettings, fitting: np.ndarray, progress: Report | None) -> None:
        self.joined = Joined(together.given[0].folder, settings.truth)
        self._together, self._days, self._fitting = together, settings.block_days, fitting
        self._progress, self._done = progress, 0

    def pieces(self, fitted: bool) -> Iterator[tuple[Rows, np.ndarray]]:
        """Rows of the half that is fitted on (or of the other), and predictions (member, row, target_width)."""
        for chunk in self.joined:
            here = np.isin(chunk.time // (self._days * DAY), self._fitting) == fitted
            places = np.flatnonzero(here)
            for start in range(0, places.size, _ROWS):
                rows = _taken(chunk, places[start : start + _ROWS])
                yield rows, np.stack([found.prediction for found in self._together.at(rows.row)])
            self._done += places.size
            if self._progress:
                self._progress(self._done, self.joined.rows)


def _taken(rows: Rows, places: np.ndarray) -> Rows:
    rows = rows._replace(members=None)  # of one of the predictions, should it be an ensemble itself
    return rows._replace(**{name: values[places] for name, values in rows._asdict().items() if values is not None})


def _gain(equal: Blocks, fitted: Blocks) -> dict[str, Gain]:
    variables = equal.frame.variables
    before, after = (statistics(variables, blocks.card().own, with_rule(blocks.card())) for blocks in (equal, fitted))
    return {
        name: Gain(equal=_plain(before[name]), fitted=_plain(after[name]), low=_plain(one.low), high=_plain(one.high))
        for name, one in differences(equal, fitted).items()
    }


def _plain(value: float | np.ndarray) -> float | None:
    return float(value) if np.isfinite(value) else None
