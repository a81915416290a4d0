"""What calibration counts with: bins that a shift of bits finds, and sums of errors for each of many groups of rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

_FRACTION_BITS = 23  # of a float32: behind them stand the exponent's


@dataclass(frozen=True)
class BinarySteps:
    """Bins from 2**low to 2**high, each octave cut into equal steps, and an open bin on each side.

    The edges are the numbers whose float32 has nothing behind its first bits, so the bits that stay after a shift are
    the number of the bin: as fast as a copy. Values are rounded to float32 first.

    Attributes:
        low, high: powers of two.
        per_octave: a power of two.
    """

    low: int
    high: int
    per_octave: int

    @property
    def size(self) -> int:
        """How many bins there are, the open ones among them."""
        return (self.high - self.low) * self.per_octave + 2

    @cached_property
    def edges(self) -> np.ndarray:
        """float64 (bin + 1,), from -inf to inf; bin i holds edges[i] <= x < edges[i + 1]."""
        steps = np.arange((self.high - self.low) * self.per_octave + 1)
        octave, step = np.divmod(steps, self.per_octave)
        return np.array([-np.inf, *2.0 ** (self.low + octave) * (1 + step / self.per_octave), np.inf])

    def find(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value, int64, the same shape; negative values are in the first."""
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32)
        steps = self.per_octave.bit_length() - 1
        first = (self.low + 127) << steps
        place = (bits >> (_FRACTION_BITS - steps)) - (first - 1)
        np.maximum(place, 0, out=place)
        np.minimum(place, self.size - 1, out=place)
        return place.astype(np.int64)

    def quantiles(self, counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """The upper edge of the bin at which these shares of the counts are reached, (share,); open bins give NaN."""
        reached = np.searchsorted(np.cumsum(counts), shares * counts.sum() * (1 - 1e-12))
        edge = self.edges[reached + 1]
        return np.where(np.isfinite(edge), edge, np.nan)


class GroupedErrors:
    """Sums over rows by group (a bin of confidence), of which the scores of the first groups together follow.

    The truth's are sums of deviations from a fixed ``shift`` near its mean, so that their squares do not cancel.

    Attributes:
        count: rows of each group, (group,).
        truth, truth_squares: sums of (y - shift) and its square, (group, column).
        squares, sizes: sums of the squared and of the absolute error, (group, column).
    """

    def __init__(self, groups: int, columns: int) -> None:
        self.count = np.zeros(groups)
        self.shift = np.zeros(columns)
        self.truth, self.truth_squares, self.squares, self.sizes = (np.zeros((groups, columns)) for _ in range(4))

    def add(self, group: np.ndarray, truth: np.ndarray, error: np.ndarray) -> None:
        """Take rows in ascending order of their group (row,); truth and absolute error (row, column), overwritten."""
        if not self.count.any():
            self.shift = truth[0] + (truth - truth[0]).mean(axis=0)  # exactly the truth where that never changes
        found = group[np.flatnonzero(np.diff(group, prepend=-1))]
        members = (found[:, None] == group).astype(np.float64)  # (group, row): sums as products
        truth -= self.shift
        self.count[found] += members.sum(axis=1)
        self.truth[found] += members @ truth
        self.truth_squares[found] += members @ np.multiply(truth, truth, out=truth)
        self.sizes[found] += members @ error
        self.squares[found] += members @ np.multiply(error, error, out=error)

    def merge(self, other: Self) -> None:
        """Take the sums of another, moved to this one's shift."""
        if not self.count.any():
            self.shift = other.shift
        step, rows = other.shift - self.shift, other.count[:, None]
        self.truth_squares = self.truth_squares + other.truth_squares + 2 * step * other.truth + rows * step**2
        self.truth = self.truth + other.truth + rows * step
        self.count = self.count + other.count
        self.squares, self.sizes = self.squares + other.squares, self.sizes + other.sizes

    def kept(self, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """R2 and mean absolute error of the shares of rows in the lowest groups, each (share, column).

        Of the group that a share cuts, that part of each sum is taken. R2 is NaN where the truth does not vary.
        """
        used = np.flatnonzero(self.count)
        ends = np.concatenate([[0.0], np.cumsum(self.count[used])])
        rows = shares * ends[-1]
        last = np.clip(np.searchsorted(ends, rows, side="left") - 1, 0, used.size - 1)
        part = ((rows - ends[last]) / self.count[used[last]])[:, None]

        def upto(sums: np.ndarray) -> np.ndarray:
            total = np.concatenate([np.zeros((1, sums.shape[1])), np.cumsum(sums[used], axis=0)])
            return total[last] + part * sums[used[last]]

        count = rows[:, None]
        raw = upto(self.truth_squares)
        m2 = raw - upto(self.truth) ** 2 / count
        varies = m2 > 1e-12 * raw  # what is less is rounding
        r2 = 1.0 - np.divide(upto(self.squares), m2, out=np.full(m2.shape, np.nan), where=varies)
        return r2, upto(self.sizes) / count
