"""Sums add: any chunking gives the same to rounding, and what is saved comes back to the bit."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from subgrid.errors import DatasetError, InputError
from subgrid.evaluation.sums import Sums

FIELDS = ("rows", "weight", "mean", "m2", "squared_error", "absolute_error", "error")


def sample(rows: int, columns: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scale = 10.0 ** np.linspace(-60, 6, columns)
    truth = (random.normal(size=(rows, columns)) + 100) * scale
    return truth + random.normal(size=(rows, columns)) * scale, truth


def assert_close(found: Sums, expected: Sums, rtol: float = 1e-11) -> None:
    for name in FIELDS[:-1]:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=0, err_msg=name)
    slack = 1e-13 * expected.absolute_error  # a sum of both signs is exact to the size of its terms
    assert (np.abs(found.error - expected.error) <= slack).all()


def by_hand(prediction: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> Sums:
    """The definition in extended precision, all samples at once."""
    w, y, p = (np.broadcast_to(item, truth.shape).astype(np.longdouble) for item in (weights, truth, prediction))
    mean = (w * y).sum(0) / w.sum(0)
    values = (np.full(truth.shape[1], len(truth)), w.sum(0), mean, (w * (y - mean) ** 2).sum(0))
    values += ((w * (p - y) ** 2).sum(0), (w * np.abs(p - y)).sum(0), (w * (p - y)).sum(0))
    return Sums(*(np.asarray(item, dtype=np.float64) for item in values))


@pytest.mark.parametrize("rows", [1, 2, 500, 2401])
@pytest.mark.parametrize("kind", ["none", "row", "value"])
def test_equals_the_definition(rows: int, kind: str) -> None:
    prediction, truth = sample(rows)
    random = np.random.default_rng(1)
    weights = {"none": None, "row": random.random(rows), "value": random.random((rows, 5))}[kind]
    by_row = np.ones((rows, 1)) if weights is None else weights if weights.ndim == 2 else weights[:, None]
    assert_close(Sums.of(prediction, truth, weights), by_hand(prediction, truth, by_row))


@given(st.lists(st.integers(1, 399), max_size=12), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_chunked_in_any_way_it_stays_the_same(cuts: list[int], seed: int) -> None:
    prediction, truth = sample(400, seed=seed)
    edges = sorted({0, 400, *cuts})
    total = Sums.zero(5)
    for start, stop in zip(edges, edges[1:], strict=False):
        total = total + Sums.of(prediction[start:stop], truth[start:stop])
    assert_close(total, Sums.of(prediction, truth))


@given(arrays.arrays(np.float64, (3, 7, 2), elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 3))))
@settings(max_examples=60, deadline=None)
def test_adding_is_associative_commutative_and_has_a_zero(values: np.ndarray) -> None:
    a, b, c = (Sums.of(item + 1.5, item) for item in values)
    for name in FIELDS:
        left, right, turned = (getattr(item, name) for item in ((a + b) + c, a + (b + c), c + (b + a)))
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(left, turned, rtol=1e-9, atol=1e-6)
        for neutral in (a + Sums.zero(2), Sums.zero(2) + a):
            np.testing.assert_array_equal(getattr(neutral, name), getattr(a, name))


def test_weights_of_two_equal_samples_seen_twice() -> None:
    prediction, truth = sample(50)
    twice = Sums.of(np.repeat(prediction, 2, axis=0), np.repeat(truth, 2, axis=0))
    weighted = Sums.of(prediction, truth, np.full(50, 2.0))
    for name in FIELDS[1:-1]:
        np.testing.assert_allclose(getattr(weighted, name), getattr(twice, name), rtol=1e-11)


def test_samples_without_weight_do_not_count() -> None:
    prediction, truth = sample(100)
    weights = np.zeros(100)
    weights[40:70] = 0.5
    assert_close(Sums.of(prediction, truth, weights), by_hand(prediction, truth, weights[:, None]))
    nothing = Sums.of(prediction, truth, np.zeros(100))
    np.testing.assert_array_equal((nothing + Sums.of(prediction, truth)).mean, Sums.of(prediction, truth).mean)


@given(st.floats(-1e6, 1e6).filter(lambda value: value != 0), st.integers(1, 200))
@settings(deadline=None)
def test_truth_that_never_changes_has_no_m2_to_the_last_bit(value: float, cut: int) -> None:
    truth = np.full((300, 1), value)
    total = Sums.of(truth, truth) + Sums.of(truth[:cut], truth[:cut])
    assert total.m2[0] == 0
    assert total.mean[0] == value


def test_a_large_mean_does_not_cancel_the_variance() -> None:
    truth = 1e9 + np.arange(1000.0)[:, None] % 2
    assert Sums.of(truth, truth).m2[0] == pytest.approx(250.0, rel=1e-12)


def test_magnitudes_of_real_cloud_water_survive() -> None:
    truth = np.array([[3e-61], [1e-60], [2e-60]])
    sums = Sums.of(truth * 1.5, truth)
    assert sums.m2[0] == pytest.approx(3 * np.var([3e-61 * 1e60, 1, 2]) * 1e-120, rel=1e-12)
    assert sums.squared_error[0] > 0


def test_saved_as_json_the_bits_come_back() -> None:
    sums = Sums.of(*sample(77))
    back = Sums.from_json(json.loads(json.dumps(sums.to_json())))
    for name in FIELDS:
        assert getattr(back, name).tobytes() == getattr(sums, name).tobytes()


def test_damaged_sums_are_refused() -> None:
    data = Sums.zero(2).to_json()
    with pytest.raises(DatasetError, match="m2 missing"):
        Sums.from_json({name: values for name, values in data.items() if name != "m2"})
    with pytest.raises(DatasetError, match="same length"):
        Sums.from_json({**data, "mean": [0.0]})


@pytest.mark.parametrize("weights", [np.ones(3), np.ones((4, 3)), -np.ones(4), np.array([1, np.nan, 1, 1])])
def test_weights_that_do_not_fit_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(InputError, match="weights"):
        Sums.of(np.zeros((4, 2)), np.zeros((4, 2)), weights)


def test_select_and_replace_by_column() -> None:
    sums, other = Sums.of(*sample(20)), Sums.of(*sample(20, columns=2, seed=4))
    mixed = sums.replaced(np.array([1, 3]), other)
    np.testing.assert_array_equal(mixed.m2[[0, 2, 4]], sums.m2[[0, 2, 4]])
    np.testing.assert_array_equal(mixed.select(np.array([1, 3])).m2, other.m2)
    assert sums.columns == 5
