"""Maps without a mapping library: the Equal Earth projection and a raster of the nearest columns.

Equal Earth (Savric, Patterson and Jenny 2019, doi:10.1080/13658816.2018.1504949) keeps areas and looks like Robinson's.
With sin(theta) = sqrt(3)/2 sin(latitude):

    x = 2 sqrt(3) longitude cos(theta) / (3 (9 A4 theta^8 + 7 A3 theta^6 + 3 A2 theta^2 + A1))
    y = A4 theta^9 + A3 theta^7 + A2 theta^3 + A1 theta
"""

from dataclasses import dataclass

import numpy as np

_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_HALF_ROOT = np.sqrt(3) / 2
_AT_ONCE = 4_000_000  # products of pixels and columns held in memory at once


def _height(theta: np.ndarray) -> np.ndarray:
    return theta * (_A1 + _A2 * theta**2 + _A3 * theta**6 + _A4 * theta**8)


def _slope(theta: np.ndarray) -> np.ndarray:
    return _A1 + 3 * _A2 * theta**2 + 7 * _A3 * theta**6 + 9 * _A4 * theta**8


def forward(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x, y (in radii of the Earth) of points in degrees, longitude in -180 ... 180; any equal shapes."""
    theta = np.arcsin(_HALF_ROOT * np.sin(np.radians(latitude)))
    x = 2 * np.sqrt(3) / 3 * np.radians(longitude) * np.cos(theta) / _slope(theta)
    return x, _height(theta)


def inverse(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude in degrees of x, y; NaN for points that lie outside the globe."""
    theta = np.clip(y / _A1, -np.pi / 3, np.pi / 3)
    for _ in range(12):  # Newton's steps; the slope stays above 0.9
        theta = theta - (_height(theta) - y) / _slope(theta)
    sine = np.sin(theta) / _HALF_ROOT
    longitude = np.degrees(np.sqrt(3) / 2 * x * _slope(theta) / np.cos(theta))
    outside = (np.abs(sine) > 1) | (np.abs(longitude) > 180)
    latitude = np.degrees(np.arcsin(np.clip(sine, -1, 1)))
    return np.where(outside, np.nan, latitude), np.where(outside, np.nan, longitude)


@dataclass(frozen=True, eq=False)
class Raster:
    """Pixels of a map and the column that each one shows.

    Attributes:
        column: index of the nearest column, int (row, pixel), northernmost row first; -1 outside the globe.
        extent: left, right, bottom, top in radii of the Earth.
    """

    column: np.ndarray
    extent: tuple[float, float, float, float]

    def values(self, field: np.ndarray) -> np.ndarray:
        """A field of the columns, (column,), as pixels; NaN outside the globe."""
        return np.where(self.column >= 0, np.asarray(field, dtype=float)[self.column], np.nan)


def raster(latitude: np.ndarray, longitude: np.ndarray, width: int = 480) -> Raster:
    """The map on which every pixel shows the nearest of the columns: their Voronoi cells on the sphere.

    Args:
        latitude, longitude: degrees (column,), in any of the usual ranges of longitude.
        width: pixels from the left to the right.
    """
    right, top = float(forward(np.array(0.0), np.array(180.0))[0]), float(_height(np.array(np.pi / 3)))
    height = round(width * top / right)
    x = (np.arange(width) + 0.5) / width * 2 * right - right
    y = top - (np.arange(height) + 0.5) / height * 2 * top
    north, east = inverse(*np.meshgrid(x, y))
    inside = np.isfinite(north)
    column = np.full(north.shape, -1)
    column[inside] = nearest(_vectors(north[inside], east[inside]), _vectors(latitude, longitude))
    return Raster(column, (-right, right, -top, top))


def nearest(points: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Index of the column nearest to each point; unit vectors (point, 3) and (column, 3) -> int (point,)."""
    step = max(1, _AT_ONCE // len(columns))
    found = [np.argmax(points[start : start + step] @ columns.T, axis=1) for start in range(0, len(points), step)]
    return np.concatenate(found)


def _vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    north, east = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], axis=-1)


def outline(points: int = 181) -> tuple[np.ndarray, np.ndarray]:
    """x, y of the globe's edge, a closed line."""
    latitude = np.linspace(-90, 90, points)
    x, y = forward(latitude, np.full(points, 180.0))
    return np.concatenate([x, -x[::-1], x[:1]]), np.concatenate([y, y[::-1], y[:1]])
