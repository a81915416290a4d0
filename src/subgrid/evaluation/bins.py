"""Fixed bins and weighted counts over them: distributions that add over chunks, and quantiles that follow from them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_FRACTION_BITS = 23  # of a float32: before them stand the exponent's


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins that cover all numbers: bin i holds edges[i] <= x < edges[i + 1].

    Attributes:
        edges: float64 (bin + 1,), increasing, from -inf to inf.
    """

    edges: np.ndarray

    @classmethod
    def logarithmic(cls, low: float, high: float, per_decade: int, below: tuple[float, ...] = ()) -> "Bins":
        """Bins of equal ratio from ``low`` to ``high``, an open one above; ``below`` are edges under ``low``."""
        return cls(np.array([-np.inf, *below, *_ladder(low, high, per_decade), np.inf]))

    @classmethod
    def symmetric(cls, low: float, high: float, per_decade: int) -> "Bins":
        """Bins of equal ratio on both sides of one that holds -low ... low; the outermost are open."""
        ladder = _ladder(low, high, per_decade)
        return cls(np.array([-np.inf, *-ladder[::-1], *ladder, np.inf]))

    @property
    def size(self) -> int:
        """How many bins there are."""
        return self.edges.size - 1

    def find(self, values: np.ndarray) -> np.ndarray:
        """The bin of each value, int64, the same shape."""
        return np.searchsorted(self.edges[1:-1], values, side="right")

    def count(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sum of weights in each bin, float64 (bin,), of values and weights (row,)."""
        return np.bincount(self.find(values), weights=weights, minlength=self.size)

    def quantiles(self, counts: np.ndarray, shares: np.ndarray, lowest: float, highest: float) -> np.ndarray:
        """The values below which these shares of the counts lie, float64 (share,).

        Right to within one bin; inside it the counts are taken as spread evenly. ``lowest`` and ``highest`` are the
        ends of all values, which close the open bins. NaN without counts.
        """
        total = counts.sum()
        if not total > 0:
            return np.full(shares.shape, np.nan)
        used = np.flatnonzero(counts > 0)
        below = np.concatenate([[0.0], np.cumsum(counts[used])]) / total
        place = np.clip(np.searchsorted(below, shares, side="left") - 1, 0, used.size - 1)
        low = np.clip(self.edges[used[place]], lowest, highest)
        high = np.clip(self.edges[used[place] + 1], lowest, highest)
        inside = np.clip((shares - below[place]) / (below[place + 1] - below[place]), 0.0, 1.0)
        return np.clip(low + (high - low) * inside, lowest, highest)  # rounding may step over the ends


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


def _ladder(low: float, high: float, per_decade: int) -> np.ndarray:
    steps = round(np.log10(high / low) * per_decade)
    return low * 10.0 ** (np.arange(steps + 1) / per_decade)
