"""The map: areas are kept, the inverse undoes the forward projection, pixels show the nearest column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.report.figures.projection import forward, inverse, nearest, outline, raster


@given(st.floats(-89.9, 89.9), st.floats(-179.9, 179.9))
def test_inverse_undoes_forward(latitude: float, longitude: float) -> None:
    found = inverse(*forward(np.array(latitude), np.array(longitude)))
    np.testing.assert_allclose(found, [latitude, longitude], atol=1e-6)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    # published check values of the projection's authors (sphere of radius 1, as in PROJ's +proj=eqearth)
    [(0, 0, (0, 0)), (0, 180, (2.7066, 0)), (90, 0, (0, 1.3173627))],
)
def test_known_points(latitude: float, longitude: float, expected: tuple[float, float]) -> None:
    np.testing.assert_allclose(forward(np.array(latitude), np.array(longitude)), expected, atol=1e-4)


def test_areas_are_kept() -> None:
    latitude, longitude = np.meshgrid(np.linspace(-85, 85, 41), np.linspace(-175, 175, 41))
    step = 1e-4
    east = np.subtract(forward(latitude, longitude + step), forward(latitude, longitude - step))
    north = np.subtract(forward(latitude + step, longitude), forward(latitude - step, longitude))
    stretched = (east[0] * north[1] - east[1] * north[0]) / (2 * np.radians(step)) ** 2
    np.testing.assert_allclose(stretched, np.cos(np.radians(latitude)), rtol=1e-6)


def test_outside_of_the_globe_is_nowhere() -> None:
    x, y = outline()
    assert np.isnan(inverse(1.01 * x[:-1], 1.01 * y[:-1])).all()
    assert np.isfinite(inverse(0.99 * x, 0.99 * y)).all()


def test_pixels_show_the_nearest_column() -> None:
    random = np.random.default_rng(0)
    latitude, longitude = np.degrees(np.arcsin(random.uniform(-1, 1, 30))), random.uniform(0, 360, 30)
    found = raster(latitude, longitude, width=60)
    height, width = found.column.shape
    left, right, bottom, top = found.extent
    for row, place in [(height // 2, 5), (3, width // 2), (height - 4, width // 2 + 3)]:
        x, y = left + (place + 0.5) / width * (right - left), top - (row + 0.5) / height * (top - bottom)
        north, east = np.radians(inverse(np.array(x), np.array(y)))
        cosine = np.sin(north) * np.sin(np.radians(latitude)) + np.cos(north) * np.cos(np.radians(latitude)) * np.cos(
            east - np.radians(longitude)
        )
        assert found.column[row, place] == np.argmax(cosine)
    assert found.column[0, 0] == -1
    assert np.isnan(found.values(np.arange(30.0))[0, 0])


def test_nearest_in_pieces_is_nearest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points, columns = np.random.default_rng(1).normal(size=(2, 50, 3))
    columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    whole = nearest(points, columns)
    monkeypatch.setattr("subgrid.report.figures.projection._AT_ONCE", 120)
    np.testing.assert_array_equal(nearest(points, columns), whole)
    np.testing.assert_array_equal(whole, np.argmin(((points[:, None] - columns) ** 2).sum(-1), axis=1))
