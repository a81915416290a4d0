"""Scoring a prediction: joined with the truth on the rows' numbers, never on their order."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError
from subgrid.evaluation.scorecard import Scorecard
from subgrid.prediction.columns import Columns, open_columns
from subgrid.prediction.store import StoredPrediction
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
    prediction: str | Path, truth: str, rule: bool = True, progress: Callable[[int, int], None] | None = None
) -> Scored:
    """Score a prediction against a data set or a folder of raw steps.

    Args:
        prediction: its folder.
        truth: may hold more rows than were predicted.
        rule: whether the cloud-water rule stands in ``competition`` and ``r2_308``.
        progress: called with (rows done, rows).

    Raises:
        DatasetError: the truth is of another variable set, or lacks predicted rows (the first is named).
    """
    stored = StoredPrediction.open(prediction)
    columns = open_columns(truth, stored.variables)
    card = Scorecard.zero(stored.variables)
    seen = np.zeros(stored.rows.size, dtype=bool)
    for chunk in columns.truth(stored.rows):
        found = stored.at(chunk.row)
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


def climatology(columns: Columns, table: Table) -> Scorecard:
    """The scorecard of predicting the training mean of every column: the ground that a network must rise from."""
    card = Scorecard.zero(table.variables)
    for truth in columns.truth(columns.row_numbers()):
        card = card.update(np.broadcast_to(table.targets.mean, truth.targets.shape), truth.targets)
    return card
