"""Moments against numpy and exact fractions; sums of parts against the whole."""

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from subgrid.statistics.moments import Moments

VALUES = st.floats(-1e6, 1e6).map(lambda value: 0.0 if abs(value) < 1e-100 else value)
SAMPLES = arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=VALUES)


def exact(values: list[float]) -> tuple[Fraction, Fraction]:
    """Mean and sum of squared deviations without rounding."""
    fractions = [Fraction(value) for value in values]
    mean = sum(fractions) / len(fractions)
    return mean, sum((value - mean) ** 2 for value in fractions)


def check(moments: Moments, values: np.ndarray) -> None:
    """Compare with exact arithmetic; tolerances follow from sizes, since a mean may cancel."""
    for column, row in enumerate(values.tolist()):
        mean, m2 = exact(row)
        size = max(map(abs, row))
        assert moments.count[column] == len(row)
        assert abs(moments.mean[column] - float(mean)) <= 1e-14 * size
        assert abs(moments.m2[column] - float(m2)) <= 1e-12 * float(m2) + len(row) * (1e-14 * size) ** 2
        assert (moments.minimum[column], moments.maximum[column]) == (min(row), max(row))


def same_bits(one: Moments, other: Moments) -> bool:
    return one.to_array().tobytes() == other.to_array().tobytes() and one.count.dtype == other.count.dtype == np.int64


@given(SAMPLES)
def test_moments_are_those_of_exact_arithmetic(values: np.ndarray) -> None:
    check(Moments.of(values), values)


@given(SAMPLES)
def test_known_limits_change_nothing(values: np.ndarray) -> None:
    assert same_bits(Moments.of(values, (values.min(axis=1), values.max(axis=1))), Moments.of(values))


@given(SAMPLES, st.lists(st.integers(0, 40), max_size=6))
def test_any_chunks_give_the_whole(values: np.ndarray, cuts: list[int]) -> None:
    chunks = [
        chunk for chunk in np.split(values, sorted(min(cut, values.shape[1]) for cut in cuts), axis=1) if chunk.size
    ]
    total = sum((Moments.of(chunk) for chunk in chunks), Moments.zero(values.shape[0]))
    check(total, values)
    check(reduce(lambda left, right: right + left, [Moments.of(chunk) for chunk in chunks]), values)
    assert total.constant.tolist() == [len(set(row)) == 1 for row in values.tolist()]


@given(SAMPLES)
def test_zero_is_neutral_to_the_bit(values: np.ndarray) -> None:
    moments, zero = Moments.of(values + 0.0), Moments.zero(values.shape[0])  # + 0.0: no negative zeros
    assert same_bits(moments + zero, moments) and same_bits(zero + moments, moments) and same_bits(zero + zero, zero)


@given(SAMPLES, SAMPLES)
def test_sums_commute(one: np.ndarray, other: np.ndarray) -> None:
    rows = min(len(one), len(other))
    left, right = Moments.of(one[:rows]), Moments.of(other[:rows])
    np.testing.assert_allclose((left + right).to_array(), (right + left).to_array(), rtol=1e-12, atol=1e-7)


def test_moments_of_a_large_mean_do_not_cancel() -> None:
    """Raw sums of squares lose all of this: a spread of 1 around 1e9."""
    values = 1e9 + np.tile([-1.0, 0.0, 1.0], (1, 1000))
    chunks = np.split(values, 30, axis=1)
    total = sum((Moments.of(chunk) for chunk in chunks), Moments.zero(1))
    assert total.std[0] == pytest.approx(np.sqrt(2 / 3), rel=1e-9)


def test_tiny_values_have_a_spread() -> None:
    """Cloud water aloft: squares of 1e-58 exist in float64."""
    moments = Moments.of(np.array([[1e-58, 3e-58]]))
    assert moments.std[0] == pytest.approx(1e-58) and not moments.constant[0]


@given(st.floats(1e-12, 1e6), st.integers(1, 50), st.integers(1, 50))
def test_constant_columns_have_no_deviation_at_all(value: float, one: int, other: int) -> None:
    """numpy's standard deviation of constant methane is 2e-22."""
    total = Moments.of(np.full((2, one), value)) + Moments.of(np.full((2, other), value))
    assert total.constant.all() and (total.std == 0).all() and (total.variance == 0).all()
    assert (total.mean == value).all() and (total.m2 == 0).all()


def test_columns_without_samples_are_constant() -> None:
    zero = Moments.zero(3)
    assert zero.constant.all() and (zero.std == 0).all() and zero.count.tolist() == [0, 0, 0]
    assert (zero.minimum == np.inf).all() and (zero.maximum == -np.inf).all()


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 20)), elements=VALUES),
    st.data(),
)
def test_pooled_moments_are_those_of_all_levels_as_one(values: np.ndarray, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(1, 7).filter(lambda cut: cut < len(values)), unique=True))
    parts = np.split(values, sorted(cuts), axis=0)
    pooled = Moments.of(values).pooled([len(part) for part in parts])
    for place, part in enumerate(parts):
        check(Moments(*(array[place : place + 1] for array in vars(pooled).values())), part.reshape(1, -1))


def test_pooling_leaves_out_what_has_no_samples() -> None:
    one, empty = Moments.of(np.array([[1.0, 3.0]])), Moments.zero(1)
    mixed = Moments(
        *(np.concatenate(pair) for pair in zip(*(vars(item).values() for item in (one, empty)), strict=True))
    )
    assert same_bits(mixed.pooled([2]), one)
    assert same_bits(Moments.zero(3).pooled([1, 2]), Moments.zero(2))


def test_pooled_equals_numpy_over_levels() -> None:
    values = np.random.default_rng(0).normal(size=(120, 500)) * np.logspace(-20, 3, 120)[:, None]
    pooled = Moments.of(values).pooled([60, 1, 59])
    for place, part in enumerate((values[:60], values[60:61], values[61:])):
        np.testing.assert_allclose(
            [pooled.mean[place], pooled.std[place], pooled.minimum[place], pooled.maximum[place], pooled.count[place]],
            [part.mean(), part.std(), part.min(), part.max(), part.size],
            rtol=1e-10,
        )


@given(SAMPLES)
def test_arrays_bring_the_same_bits_back(values: np.ndarray) -> None:
    moments = Moments.of(values)
    assert same_bits(Moments.from_array(moments.to_array()), moments)
    assert same_bits(Moments.from_array(Moments.zero(2).to_array()), Moments.zero(2))
