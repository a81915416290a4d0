"""Radiation against closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from subgrid.source.synthetic.radiation import longwave_fluxes, radiation, shortwave_fluxes
from subgrid.source.synthetic.state import Layers

SIGMA = 5.670374419e-8


@pytest.fixture
def layers(case) -> Layers:
    return Layers.of(case.state.temperature, case.boundary.surface_pressure, case.grid)


def test_an_isothermal_atmosphere_over_ground_of_its_temperature_sends_out_a_black_body(case, layers) -> None:
    state = replace(case.state, temperature=np.full_like(case.state.temperature, 260.0))
    ground = replace(case.boundary, longwave_up=np.full(96, SIGMA * 260.0**4))
    _, up = longwave_fluxes(state, ground, layers)
    np.testing.assert_allclose(up, SIGMA * 260.0**4, rtol=1e-13)


def test_flux_down_from_isothermal_air_is_its_emissivity_times_a_black_body(case, layers) -> None:
    state = replace(case.state, temperature=np.full_like(case.state.temperature, 260.0))
    down, _ = longwave_fluxes(state, case.boundary, layers)
    no_ground = replace(case.boundary, longwave_up=np.zeros(96))
    _, up = longwave_fluxes(state, no_ground, layers)
    np.testing.assert_allclose(down[:, -1], up[:, 0], rtol=1e-12)  # the same air seen from below and from above
    assert (down[:, 0] == 0).all()


def test_heating_adds_up_to_what_crosses_top_and_ground(case, layers) -> None:
    rays = radiation(case.state, case.boundary, layers)
    longwave = case.boundary.longwave_up - rays.longwave_down - rays.outgoing_longwave
    solar = case.boundary.insolation - rays.reflected_solar - rays.net_solar
    np.testing.assert_allclose(rays.heating.sum(axis=1), longwave + solar, rtol=0, atol=1e-10)


def test_visible_light_that_nothing_absorbs_is_conserved_at_every_interface(case, layers) -> None:
    clear_of_ozone = replace(case.boundary, ozone=np.zeros_like(case.boundary.ozone))
    direct, diffuse, up = shortwave_fluxes(case.state, clear_of_ozone, layers)
    net = (direct + diffuse - up)[0]
    sunlit = case.boundary.insolation > 0
    np.testing.assert_allclose(net, net[:, -1:] * np.ones(61), rtol=0, atol=1e-9)
    assert (up[0, sunlit] > 0).all() and (up[:, ~sunlit] == 0).all()


def test_white_ground_under_clear_sky_sends_everything_back(case, layers) -> None:
    names = ("albedo_visible_direct", "albedo_visible_diffuse", "albedo_infrared_direct", "albedo_infrared_diffuse")
    white = replace(case.boundary, **dict.fromkeys(names, np.ones(96)), ozone=np.zeros((96, 60)))
    state = replace(case.state, liquid=np.zeros((96, 60)), ice=np.zeros((96, 60)), vapour=np.zeros((96, 60)))
    rays = radiation(state, white, layers)
    np.testing.assert_allclose(rays.reflected_solar, case.boundary.insolation, rtol=1e-12)
    np.testing.assert_allclose(rays.net_solar, 0.0, atol=1e-9)


def test_cloud_dims_the_ground_and_warms_it(case, layers) -> None:
    clear = replace(case.state, liquid=np.zeros((96, 60)))
    cloudy = replace(clear, liquid=np.where(np.arange(60) == 50, 5e-4, 0.0) * np.ones((96, 1)))
    without, covered = (radiation(state, case.boundary, layers) for state in (clear, cloudy))
    sunlit = case.boundary.cosine_zenith > 0.1
    assert (covered.net_solar[sunlit] < without.net_solar[sunlit]).all()
    assert (covered.longwave_down > without.longwave_down).all()
    assert (covered.direct[0] <= without.direct[0]).all()
