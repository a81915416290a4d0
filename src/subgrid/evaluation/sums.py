"""Weighted float64 sums over samples that add: across chunks, workers and files.

Per column: weight, rows, mean and M2 of the truth, and the sums of the error, its size and its square. M2 is the sum of
squared deviations from the mean, merged by Chan's formula; a raw sum of squares would cancel. Truth that never changes
has an M2 of exactly 0, however it was chunked. Sums may have a leading axis of groups (columns of the grid, blocks of
days), which ``fold`` adds up.

Magnitudes: squares of differences below 1.5e-162 vanish in float64. Real cloud-water tendencies go down to 3e-61.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from subgrid.errors import DatasetError, InputError
from subgrid.evaluation.terms import Samples, error, paired

_ROUNDING = 1e-12
_BLOCK = 12_000  # values worked on at once: they stay in a core's cache, and in memory that malloc uses again


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over samples, each float64 (column,) or (group, column).

    Attributes:
        rows: samples seen.
        weight: sum of weights (equal to ``rows`` without weights).
        mean: weighted mean of the truth.
        m2: weighted sum of squared deviations of the truth from its mean.
        squared_error, absolute_error, error: weighted sums of (prediction - truth)**2, its absolute value, itself.
    """

    rows: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    squared_error: np.ndarray
    absolute_error: np.ndarray
    error: np.ndarray

    @classmethod
    def zero(cls, *shape: int) -> "Sums":
        """The neutral element of ``+``, of shape (column,) or (group, column)."""
        return cls(*(np.zeros(shape) for _ in fields(cls)))

    @classmethod
    def of(
        cls,
        prediction: np.ndarray,
        truth: np.ndarray,
        weights: np.ndarray | None = None,
        columns: Sequence[str] | None = None,
    ) -> "Sums":
        """Sums of a chunk of samples.

        Args:
            prediction, truth: physical units, (row, column).
            weights: non-negative, (row,) or (row, column); 1 when left out. They never touch the data.
            columns: names of the columns, for errors.

        Raises:
            InputError: shapes that do not fit, NaN or infinity (column and count), a negative weight.
        """
        prediction, truth = paired(prediction, truth, columns)
        weights = None if weights is None else _checked_weights(weights, truth.shape)
        total = cls.zero(truth.shape[1])
        step = max(1, _BLOCK // max(1, truth.shape[1]))
        for start in range(0, len(truth), step):
            block = slice(start, start + step)
            total = total + cls._of_block(prediction[block], truth[block], None if weights is None else weights[block])
        return total

    @classmethod
    def _of_block(cls, prediction: np.ndarray, truth: np.ndarray, weights: np.ndarray | None) -> "Sums":
        rows = np.full(truth.shape[1], float(len(truth)))
        weight = rows if weights is None else weights.sum(axis=0)
        # Deviations from the first row, then from the mean: of equal numbers both are exactly 0.
        deviation = truth - truth[0]
        shift = _total(deviation, weights) / np.where(weight > 0, weight, 1.0)
        deviation -= shift
        difference = error(Samples(prediction, truth))
        return cls(
            rows,
            weight,
            truth[0] + shift,
            _squares(deviation, weights),
            _squares(difference, weights),
            _total(np.abs(difference), weights),
            _total(difference, weights),
        )

    def __add__(self, other: "Sums") -> "Sums":
        weight = self.weight + other.weight
        share = _ratio(other.weight, weight)
        delta = other.mean - self.mean
        return Sums(
            self.rows + other.rows,
            weight,
            np.where(self.weight == 0, other.mean, self.mean + delta * share),
            self.m2 + other.m2 + delta * delta * (self.weight * share),
            self.squared_error + other.squared_error,
            self.absolute_error + other.absolute_error,
            self.error + other.error,
        )

    @property
    def columns(self) -> int:
        """How many columns the sums are of."""
        return self.weight.shape[-1]

    def select(self, columns: np.ndarray | slice) -> "Sums":
        """The sums of some of the columns, by index, mask or slice."""
        return Sums(*(getattr(self, item.name)[..., columns] for item in fields(self)))

    def take(self, groups: np.ndarray | slice) -> "Sums":
        """The sums of some of the groups, (group, column)."""
        return Sums(*(getattr(self, item.name)[groups] for item in fields(self)))

    def replaced(self, columns: np.ndarray, other: "Sums") -> "Sums":
        """These sums with those of ``other`` in the places of the columns that the index or mask names."""
        values = {item.name: getattr(self, item.name).copy() for item in fields(self)}
        for name, array in values.items():
            array[..., columns] = getattr(other, name)
        return Sums(**values)

    def fold(self, weights: np.ndarray | None = None) -> "Sums":
        """The sums over all groups together, (column,).

        Args:
            weights: of a sample of each group, non-negative, (group,) or, for several folds at once, (fold, group):
                then the result is (fold, column). 1 when left out. ``rows`` counts samples of groups with a weight.
        """
        weights = np.ones(len(self.weight)) if weights is None else np.asarray(weights, dtype=np.float64)
        weight = weights @ self.weight
        # Deviations from the mean of one group, then from the mean of all: of equal numbers both are exactly 0.
        anchor = self.mean[np.argmax(self.weight > 0, axis=0), np.arange(self.columns)]
        deviation = np.where(self.weight > 0, self.mean - anchor, 0.0)
        centre = _ratio((self.weight * deviation).sum(axis=0), self.weight.sum(axis=0))
        deviation = np.where(self.weight > 0, deviation - centre, 0.0)
        shift = _ratio(weights @ (self.weight * deviation), weight)
        square = weights @ (self.weight * deviation**2)
        between = square - weight * shift**2
        # Of equal means this is rounding, not variance: a fold of such groups has none.
        between = np.where(between > _ROUNDING * square, between, 0.0)
        return Sums(
            (weights > 0) @ self.rows,
            weight,
            anchor + centre + shift,
            weights @ self.m2 + between,
            *(weights @ getattr(self, name) for name in ("squared_error", "absolute_error", "error")),
        )

    def to_json(self) -> dict[str, list[float]]:
        """Plain numbers that ``from_json`` turns into the same bits."""
        return {item.name: getattr(self, item.name).tolist() for item in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Sums":
        """The inverse of ``to_json``; raises DatasetError when a sum is missing or the lengths differ."""
        names = [item.name for item in fields(cls)]
        if missing := [name for name in names if name not in data]:
            raise DatasetError(f"sums: expected {', '.join(names)}; {', '.join(missing)} missing, found {list(data)}")
        arrays = {name: np.array(data[name], dtype=np.float64) for name in names}
        if len({array.shape for array in arrays.values()}) != 1:
            shapes = {name: array.shape for name, array in arrays.items()}
            raise DatasetError(f"sums: all must have the same length, found {shapes}")
        return cls(**arrays)


def _ratio(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.divide(total, weight, out=np.zeros_like(weight), where=weight > 0)


def _total(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return values.sum(axis=0) if weights is None else np.einsum("ij,ij->j", weights, values)


def _squares(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.einsum("ij,ij->j", values, values if weights is None else values * weights)


def _checked_weights(weights: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape not in ((shape[0],), shape, (shape[0], 1)):
        raise InputError(f"score: weights must have the shape ({shape[0]},) or {shape}, found {weights.shape}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
        raise InputError(f"score: weights must be finite and not negative, found {bad} of {weights.size} that are not")
    return np.broadcast_to(weights[:, None] if weights.ndim == 1 else weights, shape)
