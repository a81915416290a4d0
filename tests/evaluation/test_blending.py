"""Fitted weights: conditions of the optimum checked apart from the solver, known weights found again, sums that add."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from subgrid.errors import InputError
from subgrid.evaluation.blending import (
    KINDS,
    ErrorProducts,
    fitted_weights,
    hill,
    least_squares,
    parts_of,
    simplex_minimum,
)
from subgrid.evaluation.scorecard import compared_columns
from subgrid.schema.variable_sets import VARIABLE_SETS, variable_set

V1 = variable_set("v1")
WIDTH = V1.target_width


def optimum(products: np.ndarray) -> float:
    """The least w' A w on the simplex: over all supports, the best affine minimum that is not negative."""
    best, members = np.inf, len(products)
    for size in range(1, members + 1):
        for support in combinations(range(members), size):
            inverse = np.linalg.pinv(products[np.ix_(support, support)])
            weights = inverse.sum(axis=1) / inverse.sum()
            if (weights >= -1e-12).all():
                best = min(best, float(weights @ products[np.ix_(support, support)] @ weights))
    return best


@given(st.integers(1, 6), st.integers(0, 2**31), st.floats(0, 3))
def test_the_minimum_is_that_over_all_supports(members: int, seed: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    errors = random.normal(size=(members, 9)) * random.uniform(0.1, 3, size=(members, 1)) + shift
    products = errors @ errors.T
    weights = simplex_minimum(products)
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
    gradient, value = products @ weights, weights @ products @ weights
    assert gradient.min() >= value - 1e-9 * products.max()  # Karush-Kuhn-Tucker: no member could bring it down
    assert value == pytest.approx(optimum(products), rel=1e-9)


@pytest.mark.parametrize("members", [2, 13, 40])
def test_degenerate_products_have_an_optimum(members: int) -> None:
    """Members that are the same, all exact, or more than there are rows: many optima, one value."""
    random = np.random.default_rng(1)
    same = np.ones((members, 5))
    for errors in (same, same * 0, random.normal(size=(members, 5)), np.repeat(random.normal(size=(1, 5)), members, 0)):
        products = errors @ errors.T
        weights = simplex_minimum(products)
        value = weights @ products @ weights
        assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
        assert (products @ weights).min() >= value - 1e-9 * max(products.max(), 1e-300)


def drawn(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three members and a truth that is 0.3 of the first and 0.7 of the second, with noise."""
    random = np.random.default_rng(seed)
    members = random.normal(size=(3, rows, WIDTH)) * np.geomspace(1e-9, 1e3, WIDTH)
    members[2] += 2 * np.geomspace(1e-9, 1e3, WIDTH)
    noise = 0.05 * random.normal(size=(rows, WIDTH)) * np.geomspace(1e-9, 1e3, WIDTH)
    return members, 0.3 * members[0] + 0.7 * members[1] + noise


def sums_of(members: np.ndarray, truth: np.ndarray) -> ErrorProducts:
    sums = ErrorProducts(len(members), truth.shape[1])
    sums.add(members, truth)
    return sums


@pytest.mark.parametrize("method", [least_squares, hill])
@pytest.mark.parametrize("by", ["all", "kind", "variable"])
def test_known_weights_are_found_again(method, by: str) -> None:
    weights = fitted_weights(sums_of(*drawn()), V1, by, method)
    assert weights.shape == (3, len(V1.targets))
    assert weights == pytest.approx(np.repeat([[0.3], [0.7], [0.0]], len(V1.targets), axis=1), abs=0.02)
    assert weights.sum(axis=0) == pytest.approx(np.ones(len(V1.targets)))


def test_r2_of_a_weighted_mean_is_scikit_learn_s() -> None:
    members, truth = drawn()
    weights = np.array([0.5, 0.1, 0.4])
    mean = np.tensordot(weights, members, axes=1)
    expected = r2_score(truth, mean, multioutput="raw_values")
    assert sums_of(members, truth).r2(weights) == pytest.approx(expected, rel=1e-10)


def test_sums_add() -> None:
    members, truth = drawn(60)
    whole, joined = sums_of(members, truth), ErrorProducts(3, WIDTH)
    for start in (0, 20, 40):
        joined.merge(sums_of(members[:, start : start + 20], truth[start : start + 20]))
    assert joined.rows == whole.rows == 60
    scale = whole.products.max(axis=(1, 2), keepdims=True)
    assert joined.products / scale == pytest.approx(whole.products / scale, rel=1e-12, abs=1e-14)
    assert joined.truth.m2 == pytest.approx(whole.truth.m2, rel=1e-12)
    with pytest.raises(InputError, match=r"expected members of shape \(3, 128\), found \(2, 128\)"):
        joined.add(members[:2], truth)


def test_a_column_without_signal_does_not_decide() -> None:
    """One column of 61 whose variance is a trillionth of every member's error there: the others decide."""
    members, truth = drawn()
    truth[:, 7] *= 1e-6
    members[2, :, 7] *= 0.5
    weights = fitted_weights(sums_of(members, truth), V1, "all", least_squares)
    assert weights[:, 0] == pytest.approx([0.3, 0.7, 0.0], abs=0.03)


def test_a_part_of_dead_columns_keeps_equal_weights() -> None:
    members, truth = drawn()
    truth[:, V1.target_slices["ptend_q0001"]] = 0.0
    weights = fitted_weights(sums_of(members, truth), V1, "variable", least_squares)
    assert weights[:, 1] == pytest.approx(np.full(3, 1 / 3))
    assert weights[:, 0] == pytest.approx([0.3, 0.7, 0.0], abs=0.02)


def test_hill_climbing_never_falls_behind_the_best_member() -> None:
    random = np.random.default_rng(2)
    truth = random.normal(size=(300, WIDTH))
    members = truth + random.normal(size=(5, 300, WIDTH)) * random.uniform(0.5, 1.2, size=(5, 1, WIDTH))
    sums = sums_of(members, truth)
    columns = compared_columns(V1)

    def score(weights: np.ndarray) -> float:
        return float(np.maximum(sums.r2(weights)[columns], 0).mean())

    found = hill(sums, columns)
    assert (found >= 0).all() and found.sum() == pytest.approx(1)
    assert score(found) >= max(score(one) for one in np.eye(5))
    assert score(found) > score(np.full(5, 0.2))


def test_hill_climbing_without_any_skill_keeps_equal_weights() -> None:
    random = np.random.default_rng(3)
    members = 100 + random.normal(size=(3, 50, WIDTH))
    assert hill(sums_of(members, random.normal(size=(50, WIDTH))), np.arange(5)) == pytest.approx(np.full(3, 1 / 3))


@pytest.mark.parametrize("name", VARIABLE_SETS)
@pytest.mark.parametrize("by", ["all", "kind", "variable"])
def test_every_target_stands_in_one_part(name: str, by: str) -> None:
    variables = variable_set(name)
    parts = parts_of(variables, by)
    assert sorted(sum(parts.values(), ())) == sorted(item.name for item in variables.targets)
    assert len(parts) == {"all": 1, "kind": 5 if name != "v1" else 4, "variable": len(variables.targets)}[by]
    assert sorted(sum(KINDS.values(), ())) == sorted(item.name for item in variable_set("v2").targets)
