"""The sun against closed forms."""

import numpy as np
import pytest

from subgrid.source.synthetic.sun import cosine_zenith, declination, distance_factor, insolation

DAY = 86_400
EQUINOX = (355.0 - 365.0 / 4) * DAY  # a quarter of a year before the December solstice


def daily_mean(seconds: float, lat: float) -> float:
    """Mean of COSZRS over the hours of one day, at a declination held fixed (longitude stands in for the hour)."""
    lon = (np.arange(2880) + 0.5) / 8.0
    return float(cosine_zenith(seconds, np.full(lon.shape, lat), lon).mean())


@pytest.mark.parametrize("lat", [0.0, 30.0, -60.0])
def test_daily_mean_at_equinox_is_the_cosine_of_latitude_over_pi(lat: float) -> None:
    assert declination(EQUINOX) == pytest.approx(0.0, abs=1e-12)
    assert daily_mean(EQUINOX, lat) == pytest.approx(np.cos(np.radians(lat)) / np.pi, rel=1e-5)


def test_daily_mean_in_any_season_follows_the_half_day_length() -> None:
    seconds, lat = 200.0 * DAY, 45.0
    d, latitude = declination(seconds), np.radians(lat)
    half_day = np.arccos(-np.tan(latitude) * np.tan(d))
    expected = half_day * np.sin(latitude) * np.sin(d) + np.cos(latitude) * np.cos(d) * np.sin(half_day)
    assert daily_mean(seconds, lat) == pytest.approx(expected / np.pi, rel=1e-5)


def test_polar_night_and_polar_day() -> None:
    june = 355.0 * DAY - 365.0 * DAY / 2
    assert daily_mean(june, -80.0) == 0.0
    assert daily_mean(june, 90.0) == pytest.approx(np.sin(np.radians(23.44)), rel=1e-9)


def test_noon_is_at_12_h_universal_time_on_the_meridian_of_greenwich() -> None:
    lon = np.array([0.0, 90.0, 180.0, 270.0])
    height = cosine_zenith(EQUINOX - EQUINOX % DAY + DAY / 2, np.zeros(4), lon)
    assert height[0] > 0.999 and height[2] == 0.0


def test_a_year_of_the_globe_gets_a_quarter_of_the_solar_constant() -> None:
    rng = np.random.default_rng(0)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 4000))), rng.uniform(0, 360, 4000)
    year = [insolation(t, cosine_zenith(t, lat, lon)).mean() for t in np.linspace(0, 365 * DAY, 400, endpoint=False)]
    assert np.mean(year) == pytest.approx(1360.9 / 4, rel=5e-3)


def test_the_sun_is_nearest_in_january() -> None:
    assert distance_factor(3 * DAY) == pytest.approx(1.0334, abs=1e-4)
    assert distance_factor(3 * DAY + 365 * DAY / 2) == pytest.approx(0.9666, abs=1e-4)
