"""Clouds and precipitation in limits that can be worked out by hand."""

import numpy as np
import pytest

from subgrid.physics.moisture import saturation_humidity
from subgrid.source.synthetic.clouds import condensate, fall, falling_out, phases
from subgrid.source.synthetic.state import Layers

LV, CP, RV = 2.501e6, 1004.64, 461.0


def profile(value: float) -> np.ndarray:
    return np.full((1, 60), value)


@pytest.fixture
def layers(case) -> Layers:
    layers = Layers.of(case.state.temperature, case.boundary.surface_pressure, case.grid)
    return layers.columns(slice(0, 1))


def test_dry_air_holds_no_cloud_and_what_is_there_evaporates_in_an_hour_or_so() -> None:
    none = condensate(profile(280.0), profile(1e-3), profile(0.0), profile(0.0), profile(9e4))
    assert (none == 0).all()
    some = condensate(profile(280.0), profile(1e-3), profile(1e-4), profile(0.0), profile(9e4))
    assert ((some > 0) & (some < 5e-5)).all()


def test_strong_supersaturation_condenses_back_to_saturation() -> None:
    temperature, pressure = profile(285.0), profile(9e4)
    saturation = saturation_humidity(temperature, pressure)
    total = 1.5 * saturation
    cloud = condensate(temperature, total, profile(0.0), profile(0.0), pressure)
    gamma = LV**2 * saturation / (CP * RV * temperature**2)
    np.testing.assert_allclose(cloud, (total - saturation) / (1 + gamma), rtol=1e-12)
    after = saturation_humidity(temperature + LV / CP * cloud, pressure)
    np.testing.assert_allclose(total - cloud, after, rtol=0.05)  # one linear step of the wet-bulb problem


def test_cloud_starts_below_saturation_of_the_mean() -> None:
    saturation = saturation_humidity(profile(285.0), profile(9e4))
    assert (condensate(profile(285.0), 0.95 * saturation, profile(0.0), profile(0.0), profile(9e4)) > 0).all()


def test_phases_follow_temperature_but_liquid_vanishes_aloft() -> None:
    liquid, ice = phases(profile(1e-4), profile(280.0))
    assert (liquid[:, 12:28] == 0).all() and (ice[:, 28:] == 0).all()
    np.testing.assert_allclose(liquid + ice, 1e-4, rtol=1e-15)
    assert (phases(profile(1e-4), profile(250.0))[0] == 0).all()


def test_thin_cloud_does_not_rain_and_thick_cloud_does(layers) -> None:
    rain, snow = falling_out(profile(1e-10), profile(1e-10), layers)
    assert (rain == 0).all() and (snow == 0).all()
    rain, snow = falling_out(profile(1e-3), profile(1e-3), layers)
    assert ((rain > 1e-4) & (rain < 1e-3)).all() and ((snow > 1e-4) & (snow < 1e-3)).all()


def test_precipitation_through_saturated_air_arrives_whole(layers) -> None:
    made = np.where(np.arange(60) == 40, 0.5, 0.0)[None]
    for temperature, frozen in ((profile(260.0), True), (profile(290.0), False)):
        saturated = saturation_humidity(temperature, layers.pressure)
        fallen = fall(np.zeros((1, 60)), made, temperature, saturated, layers)
        assert fallen.rain + fallen.snow == pytest.approx(0.5, rel=1e-14)
        assert (fallen.snow[0] == 0.5) == frozen and (fallen.water == 0).all()


def test_rain_that_falls_through_dry_air_moistens_it(layers) -> None:
    made = np.where(np.arange(60) == 40, 0.2, 0.0)[None]
    fallen = fall(made, np.zeros((1, 60)), profile(295.0), profile(1e-3), layers)
    evaporated = (layers.mass * fallen.water).sum()
    assert evaporated > 0.05
    assert fallen.rain[0] + evaporated == pytest.approx(0.2, rel=1e-13)


def test_melting_takes_the_latent_heat_of_fusion(layers) -> None:
    made = np.where(np.arange(60) == 40, 0.2, 0.0)[None]
    temperature = profile(290.0)
    fallen = fall(np.zeros((1, 60)), made, temperature, saturation_humidity(temperature, layers.pressure), layers)
    assert (layers.mass * fallen.enthalpy).sum() == pytest.approx(-3.337e5 * 0.2, rel=1e-13)
