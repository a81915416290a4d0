"""Scores of an ensemble as a distribution: CRPS, spread against skill, rank histograms.

All members count as equally likely, whatever weights their mean was taken with. With members s_1 ... s_n of a sample,
sorted, their mean m and the truth y:

    CRPS      mean|s - y| - sum_{k=1}^{n-1} k (n - k) (s_(k+1) - s_k) / (n (n - 1)), the fair form of ClimSim: its
              expectation is that of a large ensemble of the same kind, however few the members
    spread    root of the mean over samples of sum (s - m)**2 / (n - 1)
    skill     root of the mean over samples of (m - y)**2
    ratio     sqrt((n + 1) / n) spread / skill: 1 where the truth is like one more member
    rank      how many members lie below the truth, 0 ... n. A truth that equals t members has t + 1 ranks open to it,
              1 / (t + 1) of a sample each: a column that is zero in truth and members alike is flat, not a peak
"""

import numpy as np

from subgrid.errors import InputError
from subgrid.evaluation.rows import Field, Frame, Rows, by_variable
from subgrid.schema.variable_sets import VariableSet, scored_columns

_BLOCK = 200_000  # values worked on at once, members included: they stay in a core's cache


def crps(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Fair CRPS of every sample, in the unit of the truth, smaller is better; may fall below 0 for a single sample.

    Args:
        members: (member, ...), two or more.
        truth: (...).
    """
    count = len(members)
    apart = _along_members(np.arange(1, count) * np.arange(count - 1, 0, -1), np.diff(np.sort(members, axis=0), axis=0))
    return np.abs(members - truth).mean(axis=0) - apart / (count * (count - 1))


def _along_members(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.tensordot(weights.astype(np.float64), values, axes=1)


class Probabilistic:
    """Sums of what members say beside the truth, by target column; a ``Part`` of an evaluation.

    Rows without members are passed over, so the fields are of the rows that have them.
    """

    def __init__(self, frame: Frame) -> None:
        self.variables = frame.variables
        self.members = 0
        """Members of the ensemble; 0 before the first row."""
        self._rows = 0
        self._crps = self._variance = self._squared_error = np.zeros(self.variables.target_width)
        self._ranks = np.zeros((self.variables.target_width, 0))

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows; raises InputError for one member alone, or for another number than before."""
        if rows.members is None or not rows.truth.size:
            return
        self._expect(len(rows.members))
        step = max(1, _BLOCK // (self.members * rows.truth.shape[1]))
        for start in range(0, len(rows.truth), step):
            self._add(rows.members[:, start : start + step], rows.truth[start : start + step])

    def _expect(self, members: int) -> None:
        if members < 2:
            raise InputError("an ensemble's spread and CRPS need two members or more, found 1")
        if self.members not in (0, members):
            raise InputError(f"expected {self.members} members in all rows of an evaluation, found {members}")
        if not self.members:
            self.members = members
            self._ranks = np.zeros((self.variables.target_width, members + 1))

    def _add(self, members: np.ndarray, truth: np.ndarray) -> None:
        mean = members.mean(axis=0)
        deviation, error = members - mean, mean - truth
        self._rows += len(truth)
        self._crps = self._crps + crps(members, truth).sum(axis=0)
        self._variance = self._variance + np.einsum("mij,mij->j", deviation, deviation) / (len(members) - 1)
        self._squared_error = self._squared_error + np.einsum("ij,ij->j", error, error)
        self._ranks += rank_counts(members, truth)

    def merge(self, other: "Probabilistic") -> None:
        """Take what another one of the same variable set has taken; raises InputError for other numbers of members."""
        if not other.members:
            return
        self._expect(other.members)
        self._rows += other._rows
        self._crps = self._crps + other._crps
        self._variance = self._variance + other._variance
        self._squared_error = self._squared_error + other._squared_error
        self._ranks = self._ranks + other._ranks

    def fields(self) -> dict[str, Field]:
        """crps, spread, skill, spread_skill (variable, level) and rank_count (variable, rank); none without members."""
        if not self.members:
            return {}
        spread, skill = np.sqrt(self._variance / self._rows), np.sqrt(self._squared_error / self._rows)
        factor = np.sqrt((self.members + 1) / self.members)
        ratio = np.divide(factor * spread, skill, out=np.full_like(skill, np.nan), where=skill > 0)

        def by_level(values: np.ndarray, unit: str, meaning: str) -> Field:
            return Field(("variable", "level"), by_variable(self.variables, values), unit, meaning)

        return {
            "crps": by_level(self._crps / self._rows, "", "fair continuous ranked probability score of the members"),
            "spread": by_level(spread, "", "root of the mean unbiased variance of the members"),
            "skill": by_level(skill, "", "root mean squared error of the members' plain mean"),
            "spread_skill": by_level(ratio, "1", "sqrt((n + 1) / n) spread / skill of n members; 1 is reliable"),
            "rank_count": Field(
                ("variable", "rank"),
                pooled_ranks(self.variables, self._ranks),
                "1",
                "samples of the scored levels by how many members lie below the truth; flat is reliable",
            ),
        }


def rank_counts(members: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How often the truth has each rank among the members, ties split evenly, float64 (column, member + 1).

    Args:
        members: (member, row, column).
        truth: (row, column).
    """
    ranks, columns = len(members) + 1, truth.shape[1]
    first = (members < truth).sum(axis=0) + np.arange(columns) * ranks
    ties = (members == truth).sum(axis=0)
    counts = np.zeros(columns * ranks)
    for offset in range(int(ties.max(initial=0)) + 1):
        open_to = ties >= offset
        counts += np.bincount(first[open_to] + offset, 1.0 / (ties[open_to] + 1), minlength=counts.size)
    return counts.reshape(columns, ranks)


def pooled_ranks(variables: VariableSet, ranks: np.ndarray) -> np.ndarray:
    """Rank counts (column, rank) pooled over the scored levels of every variable, (variable, rank)."""
    scored = scored_columns(variables)[:, None] * ranks
    return np.stack([scored[variables.target_slices[item.name]].sum(axis=0) for item in variables.targets])
