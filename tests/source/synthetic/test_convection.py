"""The plume: what it conserves, where it goes, and where there is none."""

from dataclasses import replace

import numpy as np
import pytest

from subgrid.physics.moisture import saturation_humidity
from subgrid.source.synthetic.convection import Air, convection
from subgrid.source.synthetic.state import Layers


@pytest.fixture
def air(case) -> Air:
    layers = Layers.of(case.state.temperature, case.boundary.surface_pressure, case.grid)
    saturation = saturation_humidity(case.state.temperature, layers.pressure)
    winds = np.stack([case.state.zonal, case.state.meridional])
    return Air(case.state.temperature, case.state.vapour, saturation, winds, layers)


def test_column_keeps_energy_momentum_and_water_but_for_the_rain(air) -> None:
    found, mass = convection(air), air.layers.mass
    assert (found.rain.sum(axis=1) > 0.01).sum() > 5
    moved = np.abs(mass * found.energy).sum(axis=1) + 1.0
    assert (np.abs((mass * found.energy).sum(axis=1)) < 1e-13 * moved).all()
    np.testing.assert_allclose((mass * found.water).sum(axis=1), -found.rain.sum(axis=1), rtol=0, atol=1e-13)
    np.testing.assert_allclose((mass * found.winds).sum(axis=2), 0.0, atol=1e-10)


def test_no_layer_loses_more_water_than_it_has(air) -> None:
    assert (air.vapour + convection(air).water > 0.5 * air.vapour).all()


def test_a_stable_dry_column_has_no_plume(air) -> None:
    warm_aloft = np.linspace(330.0, 260.0, 60) * np.ones((96, 1))
    found = convection(replace(air, temperature=warm_aloft, vapour=np.full((96, 60), 1e-6)))
    for values in (found.energy, found.water, found.winds, found.rain):
        assert (values == 0).all()


def test_moister_ground_air_makes_plumes_reach_higher(air) -> None:
    moister = np.where(np.arange(60) >= 55, np.minimum(1.3 * air.vapour, air.saturation), air.vapour)
    tops = []
    for vapour in (air.vapour, moister):
        changed = convection(replace(air, vapour=vapour)).energy != 0
        tops.append(np.where(changed.any(axis=1), np.argmax(changed, axis=1), 60))
    assert tops[1].mean() < tops[0].mean()


def test_air_around_the_plume_warms_by_sinking_where_it_is_stable(air) -> None:
    found = convection(air)
    heating = found.energy - 2.501e6 * found.water
    raining = found.rain.sum(axis=1) > 0.1
    assert heating[raining][:, 30:45].mean() > 0
