"""Sums by group are the sums of each group's rows, however rows were cut and mixed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.evaluation.groups import GroupedSums
from subgrid.evaluation.sums import Sums

NAMES = ("rows", "weight", "mean", "m2", "squared_error", "absolute_error", "error")


def sample(rows: int, groups: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    group = random.integers(0, groups, rows)
    truth = random.normal(size=(rows, 4)) * [1, 1e-40, 1e6, 0] + [300, 0, -1, 5.1]
    return truth + random.normal(size=truth.shape) * [0.1, 1e-41, 1e5, 1], truth, group


@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 99), st.lists(st.integers(0, 60), max_size=4))
def test_every_group_has_the_sums_of_its_rows(rows: int, groups: int, seed: int, cuts: list[int]) -> None:
    prediction, truth, group = sample(rows, groups, seed)
    found = GroupedSums(groups, 4)
    edges = sorted({0, rows, *(cut for cut in cuts if cut < rows)})
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        found.add(prediction[start:stop], truth[start:stop], group[start:stop])
    for index in range(groups):
        expected = Sums.of(prediction[group == index], truth[group == index])
        for name in NAMES:
            one, other = getattr(found.sums, name)[index], getattr(expected, name)
            slack = expected.absolute_error * 1e-12 if name == "error" else 0
            np.testing.assert_array_less(np.abs(one - other), np.abs(other) * 1e-9 + slack + 1e-300)
        assert found.sums.m2[index, 3] == 0  # truth that never changes


@given(st.integers(2, 60), st.integers(0, 99))
def test_folded_groups_are_the_sums_of_all_rows(rows: int, seed: int) -> None:
    prediction, truth, group = sample(rows, 5, seed)
    found = GroupedSums(5, 4)
    found.add(prediction, truth, group)
    folded, expected = found.sums.fold(), Sums.of(prediction, truth)
    for name in NAMES[:-1]:
        np.testing.assert_allclose(getattr(folded, name), getattr(expected, name), rtol=1e-9, err_msg=name)
    assert folded.m2[3] == 0


def test_weights_of_groups_are_weights_of_their_rows() -> None:
    prediction, truth, group = sample(300, 5, 3)
    weights = np.array([[1.0, 0.0, 2.0, 0.5, 1.0], [0.0, 3.0, 0.0, 0.0, 0.0]])
    found = GroupedSums(5, 4)
    found.add(prediction, truth, group)
    folded = found.sums.fold(weights)
    for fold in range(2):
        inside = weights[fold][group] > 0
        expected = Sums.of(prediction[inside], truth[inside], weights[fold][group][inside])
        for name in NAMES[:-1]:
            np.testing.assert_allclose(getattr(folded, name)[fold], getattr(expected, name), rtol=1e-9, err_msg=name)


def test_groups_grow_and_join() -> None:
    prediction, truth, group = sample(100, 3, 1)
    whole, one, other = (GroupedSums(3, 4) for _ in range(3))
    whole.add(prediction, truth, group)
    one.add(prediction[:40], truth[:40], group[:40])
    other.add(prediction[40:], truth[40:], group[40:])
    one.grow(4)
    one.join(np.array([0, 1, 3]), other.sums.take(np.array([0, 1, 2])))
    np.testing.assert_allclose(one.sums.m2[:2], whole.sums.m2[:2], rtol=1e-12)
    np.testing.assert_array_equal(one.sums.rows[3], other.sums.rows[2])
    np.testing.assert_array_equal(one.sums.rows[2] + one.sums.rows[3], whole.sums.rows[2])


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    found = GroupedSums(2, 4)
    found.add(*sample(rows, 2, 0))
    assert found.sums.rows.sum() == 4 * rows


def test_groups_of_equal_means_have_no_variance_in_a_fold_of_their_own() -> None:
    random = np.random.default_rng(0)
    truth = np.full((90, 3), [1e-9 / 3, 1e-60 / 7, 301.7])
    group = np.arange(90) // 10
    truth[group == 4] += random.normal(size=(10, 3)) * [1e-9, 1e-60, 2.0]
    found = GroupedSums(9, 3)
    found.add(truth + 1e-9, truth, group)
    inside = random.integers(0, 3, size=(50, 9)).astype(float)
    folded = found.sums.fold(inside)
    assert (folded.m2[inside[:, 4] == 0] == 0).all() and (folded.m2[inside[:, 4] > 0][:, [0, 2]] > 0).all()
