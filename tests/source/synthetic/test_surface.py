"""Boundary inputs: signs and exact values."""

from dataclasses import replace

import numpy as np

from subgrid.source.synthetic import boundary
from subgrid.source.synthetic.surface import ground_temperature, surface_pressure

from .conftest import TIME


def test_fluxes_go_upwards_over_warm_ground_and_downwards_over_cold(case) -> None:
    ground = ground_temperature(case.world, TIME)
    for offset, sign in ((-8.0, 1.0), (8.0, -1.0)):
        air = np.repeat((ground + offset)[:, None], 60, axis=1)
        fluxes = boundary(case.world, replace(case.state, temperature=air), TIME)
        assert (sign * fluxes.sensible_heat > 0).all()


def test_evaporation_needs_drier_air_and_dew_moister(case) -> None:
    dry = boundary(case.world, replace(case.state, vapour=np.full((96, 60), 1e-6)), TIME)
    moist = boundary(case.world, replace(case.state, vapour=np.full((96, 60), 0.05)), TIME)
    assert (dry.latent_heat > 0).all() and (moist.latent_heat < 0).all()


def test_longwave_up_is_a_black_body_at_ground_temperature(case) -> None:
    expected = 5.670374419e-8 * ground_temperature(case.world, TIME) ** 4
    np.testing.assert_allclose(case.boundary.longwave_up, expected, rtol=1e-15)


def test_pressure_falls_with_the_height_of_the_ground(case) -> None:
    sea_level = surface_pressure(replace(case.world, height=np.zeros(96)), TIME)
    np.testing.assert_allclose(surface_pressure(case.world, TIME), sea_level * np.exp(-case.world.height / 8000.0))
    assert sea_level.min() > 95_000 and sea_level.max() < 106_000


def test_ozone_peaks_in_the_stratosphere(case) -> None:
    peak = np.argmax(case.boundary.ozone, axis=1)
    assert ((peak >= 5) & (peak <= 12)).all()
