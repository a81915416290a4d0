"""The made-up grid: valid, even, and of ClimSim's character."""

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.schema.grid import Grid
from subgrid.source.synthetic.grid import fibonacci_grid, hybrid_interfaces


@pytest.mark.parametrize("columns", [2, 3, 24, 384, 21_600])
def test_areas_add_to_the_sphere(columns: int) -> None:
    grid = fibonacci_grid(columns)
    assert grid.columns == columns
    assert grid.area.sum() == pytest.approx(4 * np.pi, rel=1e-13)


def test_columns_are_spread_evenly() -> None:
    grid = fibonacci_grid(400)
    lat, lon = np.radians(grid.lat), np.radians(grid.lon)
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    cosines = points.T @ points - 2 * np.eye(400)
    nearest = np.arccos(cosines.max(axis=1))
    assert nearest.max() / nearest.min() < 1.7
    assert np.abs(points.mean(axis=1)).max() < 5e-3


def test_levels_are_pure_pressure_aloft_and_follow_the_ground_below() -> None:
    hyai, hybi = hybrid_interfaces()
    assert (hybi[:23] == 0).all() and (np.diff(hybi[22:]) > 0).all()
    assert hybi[-1] == 1.0 and hyai[-1] == 0.0


def test_levels_resemble_those_of_climsim(climsim) -> None:
    real = Grid.read(climsim / "ClimSim_low-res" / "ClimSim_low-res_grid-info.nc")
    made_up = fibonacci_grid(24)
    ratio = (made_up.hyam + made_up.hybm) / (real.hyam + real.hybm)
    assert ratio.min() > 0.85 and ratio.max() < 1.15


def test_a_grid_survives_writing_and_reading(tmp_path) -> None:
    grid = fibonacci_grid(24)
    grid.write(tmp_path / "grid.nc")
    assert Grid.read(tmp_path / "grid.nc").digest == grid.digest


def test_one_column_is_no_grid() -> None:
    with pytest.raises(SettingsError, match="at least 2 columns, found 1"):
        fibonacci_grid(1)
