"""Sums by group: rows are sorted by their group, each group's rows are summed, and the sums join those it has already.

Groups are what a score is asked for separately: columns of the grid, or blocks of days. Memory is that of the sums,
7 x 8 bytes a group and column, however many rows pass.
"""

from dataclasses import fields

import numpy as np

from subgrid.evaluation.sums import Sums

_BLOCK = 262_144  # values worked on at once: larger temporaries leave the caches, smaller ones cost calls


class GroupedSums:
    """Sums of a known number of groups, filled in place.

    Attributes:
        sums: of all groups so far, (group, column).
    """

    def __init__(self, groups: int, columns: int) -> None:
        self.sums = Sums.zero(groups, columns)

    def add(self, prediction: np.ndarray, truth: np.ndarray, group: np.ndarray) -> None:
        """Take rows, float64 (row, column), finite; ``group`` is int (row,), each in [0, groups)."""
        if not len(group):
            return
        order = np.argsort(group, kind="stable")
        step = max(1, _BLOCK // truth.shape[1])
        for start in range(0, len(order), step):
            rows = order[start : start + step]
            first = np.flatnonzero(np.diff(group[rows], prepend=-1))
            self.join(group[rows[first]], _sums_of_runs(prediction[rows], truth[rows], first))

    def grow(self, groups: int) -> None:
        """Add empty groups behind those that are there."""
        grown = Sums.zero(groups, self.sums.columns)
        for item in fields(Sums):
            getattr(grown, item.name)[: len(self.sums.weight)] = getattr(self.sums, item.name)
        self.sums = grown

    def join(self, groups: np.ndarray | slice, sums: Sums) -> None:
        """Add sums, (one of ``groups``, column), to those of the groups, each of which must be named once."""
        joined = self.sums.take(groups) + sums
        for item in fields(Sums):
            getattr(self.sums, item.name)[groups] = getattr(joined, item.name)


def _sums_of_runs(prediction: np.ndarray, truth: np.ndarray, first: np.ndarray) -> Sums:
    """Sums of runs of rows; ``first`` are the places where a run begins, 0 among them."""
    rows = np.diff(first, append=len(truth))
    difference = prediction - truth
    if len(first) == len(truth):  # every row a run of its own, as in the steps of a raw folder
        count, mean, m2 = np.ones_like(truth), truth, np.zeros_like(truth)
        return Sums(count, count, mean, m2, difference * difference, np.abs(difference), difference)
    # Deviations from a run's first row, then from its mean: of equal numbers both are exactly 0.
    run = np.repeat(np.arange(len(first)), rows)
    deviation = truth - truth[first][run]
    shift = np.add.reduceat(deviation, first, axis=0) / rows[:, None]
    deviation -= shift[run]
    count = np.broadcast_to(rows[:, None].astype(np.float64), shift.shape)
    return Sums(
        count,
        count,
        truth[first] + shift,
        np.add.reduceat(deviation * deviation, first, axis=0),
        np.add.reduceat(difference * difference, first, axis=0),
        np.add.reduceat(np.abs(difference), first, axis=0),
        np.add.reduceat(difference, first, axis=0),
    )
