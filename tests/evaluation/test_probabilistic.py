"""Ensembles as distributions: closed forms, a direct double sum, exchangeable members, any chunking."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import InputError
from subgrid.evaluation.probabilistic import Probabilistic, crps, rank_counts
from subgrid.evaluation.rows import Frame, Rows
from subgrid.schema.variable_sets import scored_columns, variable_set

V1 = variable_set("v1")
WIDTH = V1.target_width


def rows_of(members: np.ndarray | None, truth: np.ndarray) -> Rows:
    unknown = np.full(len(truth), -1)
    prediction = truth if members is None else members.mean(axis=0)
    return Rows(prediction, truth, unknown, unknown, np.arange(len(truth)), np.zeros((len(truth), 0)), members=members)


def part_of(members: np.ndarray | None, truth: np.ndarray, chunk: int | None = None) -> Probabilistic:
    part = Probabilistic(Frame(V1, None))
    for start in range(0, len(truth), chunk or len(truth)):
        here = slice(start, start + (chunk or len(truth)))
        part.add(rows_of(None if members is None else members[:, here], truth[here]))
    return part


def drawn(members: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Members and truth drawn from one distribution: the truth is like one more member."""
    random = np.random.default_rng(seed)
    centre = random.normal(size=(rows, WIDTH))
    return centre + random.normal(size=(members, rows, WIDTH)), centre + random.normal(size=(rows, WIDTH))


@pytest.mark.parametrize("truth", [-1.5, 0.0, 0.4, 3.0])
def test_crps_of_many_samples_is_the_gaussian_s(truth: float) -> None:
    mean, std = 0.7, 2.0
    z = (truth - mean) / std
    density, below = math.exp(-z * z / 2) / math.sqrt(2 * math.pi), 0.5 * (1 + math.erf(z / math.sqrt(2)))
    expected = std * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))
    samples = np.random.default_rng(1).normal(mean, std, size=400_000)
    assert crps(samples, np.float64(truth)) == pytest.approx(expected, abs=0.01)


def test_fair_crps_of_few_samples_has_the_expectation_of_many() -> None:
    """The mean over many ensembles of three is the Gaussian's value; the plain form would be too large by a third."""
    samples = np.random.default_rng(2).normal(size=(3, 300_000))
    expected = 2 / math.sqrt(2 * math.pi) - 1 / math.sqrt(math.pi)
    assert crps(samples, np.zeros(300_000)).mean() == pytest.approx(expected, abs=0.004)


@given(st.integers(2, 9), st.integers(0, 2**31))
def test_crps_is_the_double_sum_over_pairs(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    members, truth = random.normal(size=(count, 4)).round(1), random.normal(size=4).round(1)
    for place in range(4):
        one = members[:, place]
        pairs = sum(abs(a - b) for a in one for b in one) / (2 * count * (count - 1))
        expected = sum(abs(a - truth[place]) for a in one) / count - pairs
        assert crps(members, truth)[place] == pytest.approx(expected, abs=1e-12)


def test_fields_are_those_of_a_second_implementation() -> None:
    members, truth = drawn(5, 40)
    members[0] += 0.3
    fields = part_of(members, truth).fields()
    spread = np.sqrt(members.var(axis=0, ddof=1).mean(axis=0))
    skill = np.sqrt(((members.mean(axis=0) - truth) ** 2).mean(axis=0))
    for name, expected in (("spread", spread), ("skill", skill), ("spread_skill", np.sqrt(6 / 5) * spread / skill)):
        assert fields[name].axes == ("variable", "level")
        assert fields[name].values[0] == pytest.approx(expected[:60])
        assert fields[name].values[3, 0] == pytest.approx(expected[121])
        assert np.isnan(fields[name].values[3, 1:]).all()
    assert fields["crps"].values[1] == pytest.approx(crps(members, truth).mean(axis=0)[60:120])


def test_the_ratio_is_one_where_the_truth_is_like_a_member() -> None:
    fields = part_of(*drawn(3, 4000)).fields()
    assert np.nanmean(fields["spread_skill"].values) == pytest.approx(1.0, abs=0.01)


def test_ranks_of_exchangeable_members_are_flat() -> None:
    """Chi-square of 4,000 x 60 independent samples over 8 ranks: expected 7, standard deviation 3.7."""
    counts = part_of(*drawn(7, 4000)).fields()["rank_count"]
    assert (counts.axes, counts.values.shape) == (("variable", "rank"), (10, 8))
    expected = 4000 * 60 / 8
    assert ((counts.values[0] - expected) ** 2 / expected).sum() < 25
    narrow, truth = drawn(7, 1000)
    ends = part_of(narrow * 0.3, truth).fields()["rank_count"].values[0]
    assert ends[0] > 3 * ends[4] and ends[-1] > 3 * ends[4]


def test_ranks_count_the_scored_levels_once() -> None:
    counts = part_of(*drawn(4, 50)).fields()["rank_count"].values
    scored = scored_columns(V1)
    expected = [50 * scored[V1.target_slices[item.name]].sum() for item in V1.targets]
    assert counts.sum(axis=1) == pytest.approx(expected)


def test_ties_are_split_evenly() -> None:
    members = np.array([[[0.0, 1.0, 0.0]], [[0.0, 2.0, 2.0]], [[0.0, 2.0, 3.0]]])  # (member, row, column)
    counts = rank_counts(members, np.array([[0.0, 2.0, 2.5]]))
    assert counts == pytest.approx(np.array([[0.25] * 4, [0, 1 / 3, 1 / 3, 1 / 3], [0, 0, 1, 0]]))


def test_a_column_that_is_always_zero_has_no_ratio_and_flat_ranks() -> None:
    fields = part_of(np.zeros((3, 8, WIDTH)), np.zeros((8, WIDTH))).fields()
    assert np.isnan(fields["spread_skill"].values).all()
    assert (fields["crps"].values[0] == 0).all()
    assert fields["rank_count"].values[0] == pytest.approx(np.full(4, 8 * 60 / 4))


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_chunks_leave_no_trace(chunk: int) -> None:
    members, truth = drawn(5, 40, seed=3)
    truth[:, 5] = members[2, :, 5]
    whole, cut = part_of(members, truth).fields(), part_of(members, truth, chunk).fields()
    joined = part_of(members[:, :15], truth[:15], chunk)
    joined.merge(Probabilistic(Frame(V1, None)))
    joined.merge(part_of(members[:, 15:], truth[15:]))
    from_nothing = Probabilistic(Frame(V1, None))
    from_nothing.merge(joined)
    for name, field in whole.items():
        for other in (cut, joined.fields(), from_nothing.fields()):
            assert other[name].values == pytest.approx(field.values, rel=1e-12, nan_ok=True)


def test_an_accumulator_that_was_merged_is_left_as_it_was() -> None:
    one, other = part_of(*drawn(3, 10)), part_of(*drawn(3, 10, seed=4))
    before = other.fields()["rank_count"].values.copy()
    into = Probabilistic(Frame(V1, None))
    into.merge(other)
    into.merge(one)
    assert np.array_equal(other.fields()["rank_count"].values, before)


def test_rows_without_members_say_nothing() -> None:
    part = part_of(None, np.ones((4, WIDTH)))
    assert part.fields() == {}
    members, truth = drawn(3, 6)
    part.add(rows_of(members, truth))
    assert part.fields()["crps"].values == pytest.approx(part_of(members, truth).fields()["crps"].values, nan_ok=True)


def test_one_member_and_other_numbers_of_members_are_refused() -> None:
    with pytest.raises(InputError, match="need two members or more, found 1"):
        part_of(np.zeros((1, 4, WIDTH)), np.zeros((4, WIDTH)))
    part = part_of(*drawn(3, 4))
    with pytest.raises(InputError, match="expected 3 members in all rows of an evaluation, found 4"):
        part.add(rows_of(*drawn(4, 4)))
    with pytest.raises(InputError, match="expected 3 members"):
        part.merge(part_of(*drawn(2, 4)))
