"""The schedule against its closed form, worked out by hand where that is possible."""

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.training.schedule import Schedule
from subgrid.training.settings import TrainingSettings


def schedule(**settings: object) -> Schedule:
    return Schedule(TrainingSettings.model_validate({"rows": 4000, "batch": 10, "sub_epochs": 4, **settings}))


def test_rates_of_four_sub_epochs_are_the_half_cosine() -> None:
    found = [schedule(learning_rate=1.0).learning_rate(step) for step in (0, 99, 100, 200, 300, 399)]
    assert found == pytest.approx([1.0, 1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0.5 - 0.5**1.5])


@pytest.mark.parametrize(("shape", "base"), [("exp", 2.0), ("log", 10.0)])
def test_warm_up_by_sub_epoch(shape: str, base: float) -> None:
    made = schedule(learning_rate=0.8, sub_epochs=8, warm_up=2, warm_up_shape=shape)
    found = [made.learning_rate(step) for step in range(25, 400, 50)]
    cosine = [0.8 * 0.5 * (1 + cos(pi * s / 6)) for s in range(6)]
    assert found == pytest.approx([0.8 / base**2, 0.8 / base, *cosine])


def test_linear_warm_up_by_step_starts_above_zero_and_reaches_the_largest_rate() -> None:
    made = schedule(learning_rate=1.0, warm_up=0.5, warm_up_shape="linear", schedule="step")
    assert [made.learning_rate(step) for step in (0, 24, 49, 50)] == pytest.approx([1 / 51, 25 / 51, 50 / 51, 1.0])


def test_by_step_the_rate_is_one_smooth_cosine() -> None:
    made = schedule(learning_rate=2.0, schedule="step")
    assert [made.learning_rate(step) for step in (0, 100, 200, 399)] == pytest.approx(
        [2.0, 1 + 0.5**0.5, 1.0, 1 + cos(pi * 399 / 400)]
    )


def test_weight_decay_follows_the_rate() -> None:
    made = schedule(learning_rate=1e-3, decay_ratio=4)
    assert made.weight_decay(0) == pytest.approx(4e-3)
    assert made.weight_decay(250) == pytest.approx(4 * made.learning_rate(250))


@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 9))
def test_sub_epochs_cut_the_steps_into_pieces_that_differ_by_one_at_most(steps: int, pieces: int, batch: int) -> None:
    pieces = min(pieces, steps)
    made = schedule(rows=steps * batch + batch - 1, batch=batch, sub_epochs=pieces)
    assert (made.steps, made.rows, made.end(pieces - 1), made.end(-1)) == (steps, steps * batch, steps, 0)
    lengths = [made.end(k) - made.end(k - 1) for k in range(pieces)]
    assert max(lengths) - min(lengths) <= 1
    for step in range(steps):
        assert made.end(made.sub_epoch(step) - 1) <= step < made.end(made.sub_epoch(step))
