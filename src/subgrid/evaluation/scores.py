"""Scores as functions of sums, one a column (and group, where the sums have groups); NaN where one is not defined."""

import numpy as np

from subgrid.evaluation.sums import Sums


def r2(sums: Sums) -> np.ndarray:
    """Coefficient of determination, 1 - sum(error**2) / M2(truth), (column,).

    NaN where the truth has no variance (or there are no samples): R2 is not defined there.
    """
    with np.errstate(over="ignore"):  # against all but no variance: -inf is the right answer
        ratio = np.divide(sums.squared_error, sums.m2, out=np.full_like(sums.m2, np.nan), where=sums.m2 > 0)
    return 1.0 - ratio


def r2_competition(sums: Sums) -> np.ndarray:
    """R2 by the convention of the competition and of scikit-learn's ``r2_score``, (column,).

    Truth without variance counts 1 when every prediction is exact, else 0. NaN only without samples.
    """
    exact = np.where(sums.absolute_error == 0, 1.0, 0.0)
    defined = np.where(sums.m2 > 0, r2(sums), exact)
    return np.where(sums.weight > 0, defined, np.nan)


def mae(sums: Sums) -> np.ndarray:
    """Mean absolute error in the unit of the column, (column,); NaN without samples."""
    return _mean(sums.absolute_error, sums)


def rmse(sums: Sums) -> np.ndarray:
    """Root of the mean squared error in the unit of the column, (column,); NaN without samples."""
    return np.sqrt(_mean(sums.squared_error, sums))


def bias(sums: Sums) -> np.ndarray:
    """Mean of prediction - truth in the unit of the column, positive where too much is predicted, (column,)."""
    return _mean(sums.error, sums)


def truth_std(sums: Sums) -> np.ndarray:
    """Population standard deviation of the truth, (column,); NaN without samples."""
    return np.sqrt(_mean(sums.m2, sums))


def defined_mean(values: np.ndarray) -> np.ndarray:
    """Plain mean over the last axis of the values that are not NaN, (...); NaN where all are."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    total = np.where(defined, values, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _mean(total: np.ndarray, sums: Sums) -> np.ndarray:
    return np.divide(total, sums.weight, out=np.full_like(total, np.nan), where=sums.weight > 0)
