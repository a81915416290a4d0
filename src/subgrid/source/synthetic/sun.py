"""Where the sun stands in a year of 365 days; times are seconds since 0001-01-01 without leap years."""

import numpy as np

from subgrid.physics.constants import SOLAR_CONSTANT
from subgrid.source.steps import DAY

_OBLIQUITY = np.radians(23.44)
_ECCENTRICITY = 0.0167
_PERIHELION_DAY = 3.0  # 4 January
_SOLSTICE_DAY = 355.0  # 22 December


def declination(seconds: float) -> float:
    """Latitude at which the sun stands overhead in radians, -23.44 degrees at the December solstice."""
    return float(-np.arcsin(np.sin(_OBLIQUITY) * np.cos(2.0 * np.pi * (seconds / DAY - _SOLSTICE_DAY) / 365.0)))


def distance_factor(seconds: float) -> float:
    """(mean distance / distance)^2 of the sun, 1 + 2 e cos(angle from perihelion) to first order."""
    return float(1.0 + 2.0 * _ECCENTRICITY * np.cos(2.0 * np.pi * (seconds / DAY - _PERIHELION_DAY) / 365.0))


def hour_angle(seconds: float, lon: np.ndarray) -> np.ndarray:
    """Angle in radians since local noon; ``lon`` in degrees east, the day counted in universal time."""
    return 2.0 * np.pi * (seconds % DAY) / DAY - np.pi + np.radians(lon)


def cosine_zenith(seconds: float, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """COSZRS = max(0, sin(lat) sin(d) + cos(lat) cos(d) cos(h)), (column,) as lat and lon in degrees."""
    d, latitude = declination(seconds), np.radians(lat)
    height = np.sin(latitude) * np.sin(d) + np.cos(latitude) * np.cos(d) * np.cos(hour_angle(seconds, lon))
    return np.maximum(0.0, height)


def insolation(seconds: float, cosine: np.ndarray) -> np.ndarray:
    """SOLIN in W/m2: the solar constant times the distance factor times COSZRS."""
    return SOLAR_CONSTANT * distance_factor(seconds) * cosine
