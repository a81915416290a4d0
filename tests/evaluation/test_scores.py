"""Scores against scikit-learn and closed forms."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from subgrid.evaluation import scores
from subgrid.evaluation.sums import Sums


def sample(rows: int = 400, columns: int = 30) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    scale = 10.0 ** random.integers(-30, 5, columns)
    truth = random.normal(size=(rows, columns)) * scale
    return truth + 0.5 * scale * random.normal(size=(rows, columns)), truth


def test_equal_scikit_learn() -> None:
    prediction, truth = sample()
    sums = Sums.of(prediction, truth)
    each = {"multioutput": "raw_values"}
    np.testing.assert_allclose(scores.r2(sums), r2_score(truth, prediction, **each), rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.mae(sums), mean_absolute_error(truth, prediction, **each), rtol=1e-12)
    np.testing.assert_allclose(scores.rmse(sums), root_mean_squared_error(truth, prediction, **each), rtol=1e-12)
    np.testing.assert_allclose(scores.bias(sums), (prediction - truth).mean(axis=0), rtol=1e-9, atol=1e-40)
    np.testing.assert_allclose(scores.truth_std(sums), truth.std(axis=0), rtol=1e-12)


def test_weighted_equal_scikit_learn() -> None:
    prediction, truth = sample()
    weights = np.random.default_rng(2).random(len(truth))
    expected = r2_score(truth, prediction, sample_weight=weights, multioutput="raw_values")
    np.testing.assert_allclose(scores.r2(Sums.of(prediction, truth, weights)), expected, rtol=0, atol=1e-12)


def test_truth_without_variance() -> None:
    truth = np.array([[0.0, 0.0, 2.0, 2.0, 1.0], [0.0, 0.0, 2.0, 2.0, 3.0]])
    prediction = np.array([[0.0, 0.0, 2.0, 2.5, 1.5], [0.0, 1e-30, 2.0, 1.5, 3.0]])
    sums = Sums.of(prediction, truth)
    np.testing.assert_array_equal(scores.r2(sums), [np.nan] * 4 + [1 - 0.25 / 2])
    expected = r2_score(truth, prediction, multioutput="raw_values")
    np.testing.assert_allclose(scores.r2_competition(sums), [1.0, 0.0, 1.0, 0.0, expected[4]])
    np.testing.assert_array_equal(expected[:4], [1.0, 0.0, 1.0, 0.0])


def test_closed_forms() -> None:
    """Truth uniform on n points, a prediction off by a constant c: R2 = 1 - 12 c2 / (n2 - 1), RMSE = MAE = bias = c."""
    n, c = 1001, 20.0
    truth = np.arange(float(n))[:, None]
    sums = Sums.of(truth + c, truth)
    assert scores.r2(sums)[0] == pytest.approx(1 - 12 * c**2 / (n**2 - 1), rel=1e-12)
    assert [score(sums)[0] for score in (scores.rmse, scores.mae, scores.bias)] == pytest.approx([c, c, c], rel=1e-12)
    assert scores.bias(Sums.of(truth - c, truth))[0] == pytest.approx(-c)
    climatology = Sums.of(np.full_like(truth, truth.mean()), truth)
    assert scores.r2(climatology)[0] == pytest.approx(0.0, abs=1e-12)


def test_without_samples_nothing_is_defined() -> None:
    for score in (scores.r2, scores.r2_competition, scores.mae, scores.rmse, scores.bias, scores.truth_std):
        assert np.isnan(score(Sums.zero(3))).all()
