"""What one sample contributes to a score; everything is checked here, so that NaN never reaches a sum."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from subgrid.errors import InputError


class Samples(NamedTuple):
    """Predictions beside the truth, float64 (row, column), finite, in the same physical units."""

    prediction: np.ndarray
    truth: np.ndarray


def paired(prediction: np.ndarray, truth: np.ndarray, columns: Sequence[str] | None = None) -> Samples:
    """Both as float64 (row, column); ``columns`` are the names that an error uses.

    Raises:
        InputError: shapes that differ or are not (row, column), NaN or infinity (with column and count).
    """
    prediction = np.asarray(prediction, dtype=np.float64)
    truth = np.asarray(truth, dtype=np.float64)
    width = truth.shape[-1] if columns is None else len(columns)
    if truth.ndim != 2 or truth.shape != prediction.shape or truth.shape[1] != width:
        raise InputError(
            f"score: prediction and truth must both have the shape (rows, {width}), found {prediction.shape} and "
            f"{truth.shape}"
        )
    for name, values in (("prediction", prediction), ("truth", truth)):
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum()  # one fast pass; a sum that only overflows is looked at and let go
        if not np.isfinite(total):
            _refuse_not_finite(name, values, columns)
    return Samples(prediction, truth)


def error(samples: Samples) -> np.ndarray:
    """prediction - truth, positive where too much is predicted, (row, column)."""
    return samples.prediction - samples.truth


def _refuse_not_finite(name: str, values: np.ndarray, columns: Sequence[str] | None) -> None:
    counts = (~np.isfinite(values)).sum(axis=0)
    bad = np.flatnonzero(counts)
    if not bad.size:
        return
    named = [f"{columns[index] if columns else f'column {index}'}: {counts[index]}" for index in bad[:8]]
    more = f" and {bad.size - 8} more columns" if bad.size > 8 else ""
    raise InputError(
        f"score: the {name} must be finite, found NaN or infinity in {int(counts.sum())} of {values.size} values "
        f"({', '.join(named)}{more})"
    )
