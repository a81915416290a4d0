"""The climate as a whole: step = physics + forcing, the same bits each time, and it stays a climate."""

import numpy as np
import pytest

from subgrid.schema.variables import TABLE
from subgrid.source.synthetic import (
    State,
    World,
    advance,
    boundary,
    fibonacci_grid,
    forcing,
    observe,
    physics,
    reference,
    spun_up,
    step,
)
from subgrid.source.synthetic.climate import parts

from .conftest import TIME


def assert_equal(one: State, other: State) -> None:
    for name, values in one.variables().items():
        np.testing.assert_array_equal(values, other.variables()[name], err_msg=name)


def assert_in_range(world: World, state: State, seconds: int) -> None:
    inputs, after, outputs = observe(world, state, seconds)
    for name, values in (state.variables() | inputs.variables() | outputs.variables() | after.variables()).items():
        item = TABLE[name]
        values = values[values < 1e29] if item.fill else values
        assert np.isfinite(values).all() and item.low <= values.min() and values.max() <= item.high, name
    for name, values in after.variables().items():
        limit = TABLE[name.replace("state_", "ptend_")].high
        assert np.abs(values - state.variables()[name]).max() / 1200.0 <= limit, name


def test_a_step_is_physics_then_forcing(case) -> None:
    after, _ = physics(case.state, boundary(case.world, case.state, TIME), case.grid)
    assert_equal(step(case.world, case.state, TIME), forcing(case.world, after, TIME))


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_climate() -> None:
    grid = fibonacci_grid(24)
    runs = [spun_up(World.make(grid, seed), TIME, 2) for seed in (0, 0, 1)]
    assert_equal(runs[0], runs[1])
    assert np.abs(runs[0].temperature - runs[2].temperature).max() > 1.0


def test_steps_add_up(case) -> None:
    halfway = advance(case.world, case.state, TIME, 2)
    assert_equal(advance(case.world, case.state, TIME, 3), advance(case.world, halfway, TIME + 2400, 1))


@pytest.mark.parametrize("columns", [1, 511, 512, 513, 21_600])
def test_parts_cover_all_columns_once(columns: int) -> None:
    covered = [index for part in parts(columns) for index in range(part.start, part.stop)]
    assert covered == list(range(columns))


def test_two_days_stay_in_range() -> None:
    world = World.make(fibonacci_grid(24), 5)
    state = reference(world, TIME)
    for day in range(4):
        assert_in_range(world, state, TIME + day * 43_200)
        state = advance(world, state, TIME + day * 43_200, 36)


@pytest.mark.slow
def test_ten_weeks_stay_in_range_and_do_not_drift() -> None:
    """The same ran for 400 days once: in range on all of them, and after a year back within 1.5 K and a tenth."""
    world = World.make(fibonacci_grid(24), 6)
    state, means = spun_up(world, TIME, 72), []
    for day in range(70):
        seconds = TIME + day * 86_400
        assert_in_range(world, state, seconds)
        means.append((state.temperature[:, 12:].mean(), state.vapour[:, 40:].mean()))
        state = advance(world, state, seconds, 72)
    temperature, vapour = np.array(means).T
    assert np.abs(temperature[-30:].mean() - temperature[:30].mean()) < 2.5
    assert np.abs(vapour[-30:].mean() / vapour[:30].mean() - 1.0) < 0.15
