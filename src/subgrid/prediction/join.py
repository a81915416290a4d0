"""A prediction beside its truth: joined on the rows' numbers, never on their order."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError
from subgrid.evaluation.rows import Frame, Rows
from subgrid.prediction.columns import TruthChunk, open_columns
from subgrid.prediction.ensemble import open_members
from subgrid.prediction.store import PredictedRows, StoredPrediction
from subgrid.source.urls import shown


class Joined:
    """The predicted rows that have a truth, in the truth's order; may be gone through several times.

    Attributes:
        stored: the prediction.
        frame: variables and grid.
        without_truth: predicted rows of raw steps that have no ``mlo``; known after the first time.
        no_members: why the rows of an ensemble do not carry its members; empty where they do, or need not.

    Args:
        prediction: its folder.
        truth: a data set or a folder of raw steps; may hold more rows than were predicted.
        split: of a data set, where the predicted rows are known to be of one.
        rule: whether the rows carry the values of the cloud-water rule.
        members: whether the rows of an ensemble carry the predictions of its members, where these can be had.

    Raises:
        DatasetError: the truth is of another variable set, or counts its rows in another way.
    """

    def __init__(
        self, prediction: str | Path, truth: str, split: str | None = None, *, rule: bool = True, members: bool = False
    ) -> None:
        self.stored = StoredPrediction.open(prediction)
        self._members, self.no_members = None, ""
        if members and self.stored.manifest.members:
            self._members, self.no_members = open_members(self.stored.manifest, prediction)
        self.truth = shown(truth)
        self._columns = open_columns(truth, self.stored.variables, split)
        self._refuse_other_ids()
        self._rule = rule
        self.frame = Frame(self.stored.variables, self._columns.grid())
        self.without_truth = 0

    def _refuse_other_ids(self) -> None:
        """A Kaggle row's number counts the rows of its table, a simulation's row's follows from time and column."""
        predicted, here = self.stored.manifest.ids, self._columns.ids
        if predicted != here:
            kinds = {"": "rows of a simulation"}
            raise DatasetError(
                f"{self.truth}: holds {kinds.get(here, f'rows {here}N')}, the prediction is of "
                f"{kinds.get(predicted, f'rows {predicted}N')}; equal numbers do not mean the same rows there"
            )

    @property
    def rows(self) -> int:
        """How many rows were predicted."""
        return int(self.stored.rows.size)

    def __iter__(self) -> Iterator[Rows]:
        """Chunks of rows.

        Raises:
            DatasetError: the truth lacks predicted rows (the first is named), or has them at other places.
        """
        wanted = self.stored.rows
        seen = np.zeros(wanted.size, dtype=bool)
        for chunk in self._columns.truth(wanted):
            found = self.stored.at(chunk.row)
            _refuse_other_places(found, chunk, self.truth)
            seen[np.searchsorted(wanted, chunk.row)] = True
            yield Rows(
                prediction=found.prediction,
                truth=chunk.targets,
                column=chunk.column,
                time=chunk.time,
                row=chunk.row,
                inputs=chunk.inputs,
                rule=found.rule if self._rule else None,
                confidence=found.confidence,
                members=self._predicted_by_members(chunk.row),
            )
        self._refuse_lacking(seen)

    def _predicted_by_members(self, row: np.ndarray) -> np.ndarray | None:
        return np.stack([member.at(row).prediction for member in self._members]) if self._members else None

    def _refuse_lacking(self, seen: np.ndarray) -> None:
        unseen = self.stored.rows[~seen]
        lacking = np.setdiff1d(unseen, self._columns.without_truth)
        if lacking.size or not seen.any():
            first = f"; the first is row {lacking[0]}" if lacking.size else ""
            raise DatasetError(
                f"{self.truth}: holds no truth for {lacking.size} of the {self.rows} predicted rows{first}. "
                f"The prediction was made from {self.stored.manifest.input}"
            )
        self.without_truth = int(unseen.size)


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
