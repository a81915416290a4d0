"""The scorecard by blocks of days: the sums that headline scores and their intervals both follow from.

Weather remembers itself for days, so rows are no independent draws: what may be drawn again (see ``intervals``) is a
block of consecutive days. Block b holds the rows with time // (days x 86,400 s) = b; those of unknown time are one.
"""

import numpy as np

from subgrid.errors import SettingsError
from subgrid.evaluation.groups import GroupedSums
from subgrid.evaluation.rows import Frame, Rows
from subgrid.evaluation.scorecard import Scorecard, ruled_columns
from subgrid.evaluation.sums import Sums
from subgrid.evaluation.terms import paired

DAY = 86_400
BLOCK_DAYS = 5
"""Default length of a block: about the time after which mid-latitude weather is a new draw."""
_UNKNOWN = -1


class Blocks:
    """Sums of all targets, and of the cloud-water rule's columns, by block of days.

    Args:
        frame: of the rows.
        days: length of a block.
    """

    def __init__(self, frame: Frame, days: int = BLOCK_DAYS) -> None:
        if days < 1:
            raise SettingsError(f"a block must have at least one day, found {days}")
        self.frame, self.days = frame, days
        self.numbers = np.empty(0, dtype=np.int64)  # of the blocks, in the order in which they came
        self._ruled = ruled_columns(frame.variables)
        self._own = GroupedSums(0, frame.variables.target_width)
        self._rule = GroupedSums(0, self._ruled.size)

    def add(self, rows: Rows) -> None:
        """Take a chunk; raises InputError for NaN or infinity (column and count)."""
        names = self.frame.variables.target_columns
        paired(rows.prediction, rows.truth, names)
        number = np.where(rows.time >= 0, rows.time // (self.days * DAY), _UNKNOWN)
        group = self._places(number)
        self._own.add(rows.prediction, rows.truth, group)
        if rows.rule is not None and self._ruled.size:
            truth = rows.truth[:, self._ruled]
            paired(rows.rule, truth, [f"{names[index]} (rule)" for index in self._ruled])
            self._rule.add(rows.rule, truth, group)

    def merge(self, other: "Blocks") -> None:
        """Take what another accumulator has taken; raises SettingsError for blocks of another length."""
        if other.days != self.days:
            raise SettingsError(f"blocks of {self.days} and of {other.days} days cannot be added")
        places = self._places(other.numbers)
        for mine, theirs in ((self._own, other._own), (self._rule, other._rule)):
            mine.join(places, theirs.sums)

    def _places(self, numbers: np.ndarray) -> np.ndarray:
        """Where the blocks of these numbers stand; new ones are put behind the others."""
        new = np.setdiff1d(numbers, self.numbers)
        if new.size:
            self.numbers = np.concatenate([self.numbers, new])
            self._own.grow(self.numbers.size)
            self._rule.grow(self.numbers.size)
        order = np.argsort(self.numbers)
        return order[np.searchsorted(self.numbers, numbers, sorter=order)]

    @property
    def count(self) -> int:
        """How many blocks of known days there are."""
        return int((self.numbers != _UNKNOWN).sum())

    def sorted(self) -> tuple[np.ndarray, Sums, Sums]:
        """Numbers of the blocks in their order, the sums of each, (block, column), and those of the rule."""
        order = np.argsort(self.numbers)
        return self.numbers[order], self._own.sums.take(order), self._rule.sums.take(order)

    def card(self) -> Scorecard:
        """The scorecard of all rows."""
        if not self.numbers.size:
            return Scorecard.zero(self.frame.variables)
        _, own, rule = self.sorted()
        return Scorecard(self.frame.variables, own.fold(), rule.fold())
