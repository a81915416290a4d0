"""Mergeable moments: count, mean, sum of squared deviations, minimum, maximum; float64, one entry a column.

Two sets of samples merge by Chan's formula (Chan, Golub and LeVeque 1979):

    delta = mean_b - mean_a        mean = mean_a + delta * n_b / n        M2 = M2_a + M2_b + delta**2 * n_a * n_b / n

so moments are the same algebra as scores: a zero, a plus, a way to save. Raw sums of squares would cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of n columns, each array float64 (column,) but ``count``, int64 (column,).

    A column without samples has count 0, mean 0, M2 0, minimum +inf and maximum -inf.
    """

    count: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray

    @classmethod
    def zero(cls, columns: int) -> "Moments":
        """The neutral element of ``+``."""
        return cls(
            np.zeros(columns, dtype=np.int64),
            np.zeros(columns),
            np.zeros(columns),
            np.full(columns, np.inf),
            np.full(columns, -np.inf),
        )

    @classmethod
    def of(cls, values: np.ndarray, limits: tuple[np.ndarray, np.ndarray] | None = None) -> "Moments":
        """Moments of samples that lie along the last axis: float64 (column, sample), at least one sample.

        ``limits`` are the smallest and largest value of each column, where they are known already.
        """
        columns, samples = values.shape
        mean = values.mean(axis=1)
        minimum, maximum = limits or (values.min(axis=1), values.max(axis=1))
        # The mean of equal numbers may differ from them in the last bit; a constant column has no deviation.
        mean = np.where(minimum == maximum, minimum, mean)
        deviation = values - mean[:, None]
        m2 = np.einsum("ij,ij->i", deviation, deviation)
        return cls(np.full(columns, samples, dtype=np.int64), mean, m2, minimum, maximum)

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        total = np.maximum(count, 1)
        delta = other.mean - self.mean
        # Where a side has no samples the sum is the other side to the bit.
        mean = np.where(self.count == 0, other.mean, self.mean + delta * (other.count / total))
        m2 = self.m2 + other.m2 + delta * delta * (self.count * (other.count / total))
        return Moments(
            count, mean, m2, np.minimum(self.minimum, other.minimum), np.maximum(self.maximum, other.maximum)
        )

    @property
    def constant(self) -> np.ndarray:
        """Columns whose smallest value is their largest, or that have no samples: bool (column,)."""
        return self.minimum >= self.maximum

    @property
    def variance(self) -> np.ndarray:
        """Population variance M2 / n, 0 for constant columns, (column,)."""
        return np.where(self.constant, 0.0, self.m2 / np.maximum(self.count, 1))

    @property
    def std(self) -> np.ndarray:
        """Population standard deviation, exactly 0 for constant columns, (column,)."""
        return np.sqrt(self.variance)

    @property
    def inverse_std(self) -> np.ndarray:
        """1 / std of every column, float64 (column,); 0 where the std is 0 (constant, or a spread below 1e-308)."""
        std = self.std
        return np.divide(1.0, std, out=np.zeros_like(std), where=std > 1 / np.finfo(np.float64).max)

    def pooled(self, sizes: Sequence[int]) -> "Moments":
        """Moments of consecutive groups of columns taken as one: ``sizes`` columns each, (len(sizes),).

        Used to pool a profile over its 60 levels; exact, because moments of parts give those of the whole.
        """
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        count = np.add.reduceat(self.count, starts)
        mean = np.add.reduceat(self.mean * self.count, starts) / np.maximum(count, 1)
        deviation = self.mean - np.repeat(mean, sizes)
        m2 = np.add.reduceat(self.m2 + self.count * deviation * deviation, starts)
        minimum = np.minimum.reduceat(self.minimum, starts)
        maximum = np.maximum.reduceat(self.maximum, starts)
        return Moments(count, mean, m2, minimum, maximum)

    def to_array(self) -> np.ndarray:
        """All five as one float64 array (5, column), for saving; counts are exact up to 2**53."""
        return np.stack([self.count.astype(np.float64), self.mean, self.m2, self.minimum, self.maximum])

    @classmethod
    def from_array(cls, array: np.ndarray) -> "Moments":
        """The inverse of ``to_array``."""
        count, mean, m2, minimum, maximum = np.asarray(array, dtype=np.float64)
        return cls(count.astype(np.int64), mean, m2, minimum, maximum)
