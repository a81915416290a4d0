"""Bins hold what they say, and quantiles follow from their counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.evaluation.bins import BinarySteps, Bins


@pytest.mark.parametrize(
    "bins", [Bins.logarithmic(0.1, 1e4, 10, (0.0,)), Bins.symmetric(0.1, 1e4, 5), BinarySteps(-3, 2, 8)]
)
def test_every_number_is_in_the_bin_that_its_edges_say(bins: Bins | BinarySteps) -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=500) * 10.0 ** random.uniform(-4, 6, 500), bins.edges[1:-1], [0.0]])
    values = values.astype(np.float32).astype(np.float64)  # BinarySteps rounds to float32
    place = bins.find(values)
    assert (bins.edges[place] <= values).all() and (values < bins.edges[place + 1]).all()
    assert (np.diff(bins.edges) > 0).all() and bins.size == bins.edges.size - 1


def test_edges_are_of_equal_ratio() -> None:
    np.testing.assert_allclose(Bins.logarithmic(0.1, 10, 1).edges[1:-1], [0.1, 1.0, 10.0], rtol=1e-15)
    np.testing.assert_allclose(Bins.symmetric(1, 100, 1).edges[1:-1], [-100, -10, -1, 1, 10, 100], rtol=1e-15)
    np.testing.assert_array_equal(BinarySteps(-1, 1, 2).edges, [-np.inf, 0.5, 0.75, 1.0, 1.5, 2.0, np.inf])


def test_counts_are_numpys_histogram() -> None:
    random = np.random.default_rng(1)
    values, weights = random.normal(size=300), random.random(300)
    bins = Bins.symmetric(0.01, 10, 4)
    edges = np.clip(bins.edges, -1e9, 1e9)
    np.testing.assert_allclose(bins.count(values, weights), np.histogram(values, edges, weights=weights)[0])


@given(st.lists(st.floats(-1, 1e5), min_size=1, max_size=200))
def test_quantiles_are_right_to_a_bin(values: list[float]) -> None:
    array = np.array(values)
    bins, shares = Bins.logarithmic(0.1, 1e4, 100, (0.0,)), np.array([0.01, 0.5, 0.9, 0.999, 1.0])
    found = bins.quantiles(bins.count(array, np.ones(array.size)), shares, array.min(), array.max())
    exact = np.quantile(array, shares, method="inverted_cdf")
    place = bins.find(exact)
    assert (found >= bins.edges[place] - 1e-9).all() and (found <= bins.edges[place + 1] + 1e-9).all()
    assert (found >= array.min()).all() and (found <= array.max()).all()


def test_no_counts_have_no_quantiles() -> None:
    bins = Bins.logarithmic(0.1, 10, 1)
    assert np.isnan(bins.quantiles(np.zeros(bins.size), np.array([0.5]), np.inf, -np.inf)).all()


def test_steps_of_counts_end_where_their_share_does() -> None:
    steps = BinarySteps(0, 2, 1)  # edges -inf, 1, 2, 4, inf
    counts = np.array([0.0, 3.0, 1.0, 0.0])
    np.testing.assert_array_equal(steps.quantiles(counts, np.array([0.1, 0.75, 0.76, 1.0])), [2, 2, 4, 4])
    assert np.isnan(steps.quantiles(np.array([1.0, 0, 0, 1]), np.array([1.0]))).all()
