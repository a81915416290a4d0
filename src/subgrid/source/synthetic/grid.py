"""A quasi-uniform grid of any size and 60 hybrid levels of ClimSim-like character, both in closed form."""

import numpy as np

from subgrid.errors import SettingsError
from subgrid.schema.grid import Grid
from subgrid.schema.variables import LEVELS

_GOLDEN_ANGLE = 180.0 * (3.0 - np.sqrt(5.0))  # degrees
_LAST_PURE_PRESSURE_INTERFACE = 22  # ClimSim's hybi is 0 at interfaces 0-22
# d(ln eta)/dk = STRETCH / (1 + exp((k - CENTRE) / WIDTH)) + FLOOR: constant ratios aloft, thin layers near the ground;
# the four numbers follow ClimSim's interfaces within a tenth.
_STRETCH, _CENTRE, _WIDTH, _FLOOR = 1.581, -2.5, 9.969, 0.014


def fibonacci_grid(columns: int) -> Grid:
    """A Fibonacci lattice with ``columns`` points of equal area 4 pi / columns, and the hybrid levels below.

    sin(lat_i) = 1 - (2 i + 1) / columns, lon_i = i * golden angle (Gonzalez 2010, Math. Geosci. 42, 49).
    Raises SettingsError for fewer than two columns.
    """
    if columns < 2:
        raise SettingsError(f"a synthetic grid needs at least 2 columns, found {columns}")
    index = np.arange(columns)
    hyai, hybi = hybrid_interfaces()
    return Grid(
        lat=np.degrees(np.arcsin(1.0 - (2.0 * index + 1.0) / columns)),
        lon=np.mod(index * _GOLDEN_ANGLE, 360.0),
        area=np.full(columns, 4.0 * np.pi / columns),
        hyam=(hyai[:-1] + hyai[1:]) / 2,
        hybm=(hybi[:-1] + hybi[1:]) / 2,
        hyai=hyai,
        hybi=hybi,
    )


def hybrid_interfaces() -> tuple[np.ndarray, np.ndarray]:
    """hyai and hybi, each (61,): hybi is 0 down to interface 22 and grows linearly in eta = hyai + hybi to 1 below."""
    k = np.arange(LEVELS + 1.0)
    log_eta = _STRETCH * (k - _WIDTH * np.logaddexp(0.0, (k - _CENTRE) / _WIDTH)) + _FLOOR * k
    eta = np.exp(log_eta - log_eta[-1])
    threshold = eta[_LAST_PURE_PRESSURE_INTERFACE]
    hybi = np.maximum(0.0, (eta - threshold) / (1.0 - threshold))
    return eta - hybi, hybi
