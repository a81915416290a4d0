"""Scoring a prediction: joined with the truth on the rows' numbers, never on their order."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError
from subgrid.evaluation.scorecard import Scorecard
from subgrid.prediction.columns import Columns, TruthChunk, open_columns
from subgrid.prediction.store import PredictedRows, StoredPrediction
from subgrid.statistics.table import Table


@dataclass(frozen=True)
class Scored:
    """A scorecard and what it is made of.

    Attributes:
        card: the scores.
        rows: rows that were scored.
        without_truth: predicted rows of raw steps that have no ``mlo``, left out.
    """

    card: Scorecard
    rows: int
    without_truth: int


def score(
    prediction: str | Path,
    truth: str,
    rule: bool = True,
    progress: Callable[[int, int], None] | None = None,
    split: str | None = None,
) -> Scored:
    """Score a prediction against a data set or a folder of raw steps.

    Args:
        prediction: its folder.
        truth: may hold more rows than were predicted.
        rule: whether the cloud-water rule stands in ``competition`` and ``r2_308``.
        progress: called with (rows done, rows).
        split: of a data set, where the predicted rows are known to be of one.

    Raises:
        DatasetError: the truth is of another variable set, or lacks predicted rows (the first is named).
    """
    stored = StoredPrediction.open(prediction)
    columns = open_columns(truth, stored.variables, split)
    card = Scorecard.zero(stored.variables)
    seen = np.zeros(stored.rows.size, dtype=bool)
    for chunk in columns.truth(stored.rows):
        found = stored.at(chunk.row)
        _refuse_other_places(found, chunk, truth)
        card = card.update(found.prediction, chunk.targets, found.rule if rule else None)
        seen[np.searchsorted(stored.rows, chunk.row)] = True
        if progress:
            progress(int(seen.sum()), stored.rows.size)
    excused = np.isin(stored.rows, columns.without_truth)
    lacking = stored.rows[~seen & ~excused]
    if lacking.size or not seen.any():
        first = f"; the first is row {lacking[0]}" if lacking.size else ""
        raise DatasetError(
            f"{truth}: holds no truth for {lacking.size} of the {stored.rows.size} predicted rows{first}. "
            f"The prediction was made from {stored.manifest.input}"
        )
    return Scored(card, int(seen.sum()), int((excused & ~seen).sum()))


def _refuse_other_places(found: PredictedRows, chunk: TruthChunk, truth: str) -> None:
    """Numbers of rows on grids of other sizes may be the same by chance; column and time then are not."""
    for name, one, other in (("column", found.column, chunk.column), ("time", found.time, chunk.time)):
        differs = (one != other) & (one >= 0) & (other >= 0)
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise DatasetError(
                f"{truth}: row {chunk.row[row]} has {name} {other[row]} there and {one[row]} in the prediction; these "
                "are not the same columns (another grid?)"
            )


def climatology(columns: Columns, table: Table) -> Scorecard:
    """The scorecard of predicting the training mean of every column: the ground that a network must rise from."""
    card = Scorecard.zero(table.variables)
    for truth in columns.truth(columns.row_numbers()):
        card = card.update(np.broadcast_to(table.targets.mean, truth.targets.shape), truth.targets)
    return card
