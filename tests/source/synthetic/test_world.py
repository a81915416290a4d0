"""The made-up planet: coasts and weather as functions of place, time and seed."""

import numpy as np
import pytest

from subgrid.source.synthetic import World, fibonacci_grid, reference

from .conftest import TIME


def test_weather_travels(case) -> None:
    fields = [case.world.weather("temperature", TIME + hours * 3600) for hours in (0, 1, 48)]
    near, far = (np.corrcoef(fields[0].ravel(), later.ravel())[0, 1] for later in fields[1:])
    assert near > 0.95 and far < 0.8
    assert case.world.weather("temperature", TIME).std() == pytest.approx(1.0, abs=0.3)


def test_a_planet_is_the_same_on_every_grid_and_in_every_part() -> None:
    world = World.make(fibonacci_grid(50), 4)
    half = world.columns(slice(10, 30))
    np.testing.assert_array_equal(half.land, world.land[10:30])
    whole, part = reference(world, TIME), reference(half, TIME)
    np.testing.assert_allclose(part.temperature, whole.temperature[10:30], rtol=1e-13)


def test_there_are_seas_coasts_and_land() -> None:
    world = World.make(fibonacci_grid(2000), 0)
    assert 0.15 < world.land.mean() < 0.5 and (world.land == 0).mean() > 0.3 and (world.land == 1).mean() > 0.1
