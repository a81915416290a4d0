"""The scorecard by blocks of days: the sums that headline scores and their intervals both follow from.

Weather remembers itself for days, so rows are no independent draws: what may be drawn again (see ``intervals``) is a
block of consecutive days. Block b holds the rows with time // (days x 86,400 s) = b; those of unknown time are one.
Where a period has more than ``MOST_BLOCKS`` blocks their length doubles: memory is bounded, and draws are enough.
"""

import numpy as np

from subgrid.errors import SettingsError
from subgrid.evaluation.groups import GroupedSums
from subgrid.evaluation.rows import Frame, Rows
from subgrid.evaluation.scorecard import Scorecard, ruled_columns
from subgrid.evaluation.sums import Sums
from subgrid.evaluation.terms import paired
from subgrid.records.order import scattered

DAY = 86_400
BLOCK_DAYS = 5
"""Default length of a block: about the time after which mid-latitude weather is a new draw."""
MOST_BLOCKS = 512
_UNKNOWN = -1


class Blocks:
    """Sums of all targets, and of the cloud-water rule's columns, by block of days.

    Args:
        frame: of the rows.
        days: length of a block, to begin with.
    """

    def __init__(self, frame: Frame, days: int = BLOCK_DAYS) -> None:
        if days < 1:
            raise SettingsError(f"a block must have at least one day, found {days}")
        self.frame, self.days = frame, days
        self.numbers = np.empty(0, dtype=np.int64)  # of the blocks, in the order in which they came
        self._ruled = ruled_columns(frame.variables)
        self._prints = np.empty(0, dtype=np.uint64)  # of each block, the sum of its rows' numbers scattered
        self._own = GroupedSums(0, frame.variables.target_width)
        self._rule = GroupedSums(0, self._ruled.size)

    def add(self, rows: Rows) -> None:
        """Take a chunk; raises InputError for NaN or infinity (column and count)."""
        names = self.frame.variables.target_columns
        paired(rows.prediction, rows.truth, names)
        group = self._places(np.where(rows.time >= 0, rows.time // (self.days * DAY), _UNKNOWN))
        np.add.at(self._prints, group, scattered(rows.row))
        self._own.add(rows.prediction, rows.truth, group)
        if rows.rule is not None and self._ruled.size:
            truth = rows.truth[:, self._ruled]
            paired(rows.rule, truth, [f"{names[index]} (rule)" for index in self._ruled])
            self._rule.add(rows.rule, truth, group)
        while self.numbers.size > MOST_BLOCKS:
            self._double()

    def merge(self, other: "Blocks") -> None:
        """Take what another accumulator has taken; raises SettingsError for blocks that began with another length."""
        times, rest = divmod(max(self.days, other.days), min(self.days, other.days))
        if rest or times & (times - 1):  # lengths only ever double
            raise SettingsError(f"blocks of {self.days} and of {other.days} days cannot be added")
        while self.days < other.days:
            self._double()
        groups = self._places(other.numbers // (self.days // other.days))
        np.add.at(self._prints, groups, other._prints)
        left = np.arange(groups.size)
        while left.size:  # a join names each group once: of blocks that fall into one of ours, one a round
            _, first = np.unique(groups[left], return_index=True)
            for mine, theirs in ((self._own, other._own), (self._rule, other._rule)):
                mine.join(groups[left[first]], theirs.sums.take(left[first]))
            left = np.delete(left, first)
        while self.numbers.size > MOST_BLOCKS:
            self._double()

    def _double(self) -> None:
        """Blocks of twice the length: block b becomes part of b // 2, and the unknown (-1) stays what it is."""
        whole = Blocks(self.frame, 2 * self.days)
        whole.merge(self)
        self.days, self.numbers, self._prints = whole.days, whole.numbers, whole._prints
        self._own, self._rule = whole._own, whole._rule

    def _places(self, numbers: np.ndarray) -> np.ndarray:
        """Where the blocks of these numbers stand; new ones are put behind the others."""
        new = np.setdiff1d(numbers, self.numbers)
        if new.size:
            self.numbers = np.concatenate([self.numbers, new])
            self._prints = np.concatenate([self._prints, np.zeros(new.size, dtype=np.uint64)])
            self._own.grow(self.numbers.size)
            self._rule.grow(self.numbers.size)
        order = np.argsort(self.numbers)
        return order[np.searchsorted(self.numbers, numbers, sorter=order)]

    @property
    def count(self) -> int:
        """How many blocks of known days there are."""
        return int((self.numbers != _UNKNOWN).sum())

    def same_rows(self, other: "Blocks") -> bool:
        """Whether two accumulators have taken the same rows, by their numbers, whatever the order (all but surely)."""
        if self.days != other.days or self.numbers.size != other.numbers.size:
            return False
        mine, theirs = np.argsort(self.numbers), np.argsort(other.numbers)
        return np.array_equal(self.numbers[mine], other.numbers[theirs]) and np.array_equal(
            self._prints[mine], other._prints[theirs]
        )

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
