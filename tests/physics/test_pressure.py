"""Pressure on hybrid levels against E3SM's own midpoints and the weight of the column."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.physics.constants import GRAVITY
from subgrid.physics.pressure import interface_pressure, layer_mass, midpoint_pressure
from subgrid.schema.grid import Grid
from subgrid.source.synthetic.grid import fibonacci_grid


@pytest.fixture(scope="module")
def grid() -> Grid:
    return fibonacci_grid(4)


def test_midpoints_are_those_of_the_model(real_source: Path) -> None:
    grid = Grid.read(real_source / "ClimSim_low-res_grid-info.nc")
    path = sorted(real_source.glob("train/*/*.mli.*.nc"))[0]
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        surface, expected = file["state_ps"][...], file["state_pmid"][...].T
    np.testing.assert_allclose(midpoint_pressure(grid, surface), expected, rtol=1e-12)


def test_formula_level_by_level(grid: Grid) -> None:
    for surface in (52_345.6, 101_325.0):
        interfaces, middles = interface_pressure(grid, surface), midpoint_pressure(grid, surface)
        for level in range(61):
            assert interfaces[level] == pytest.approx(1e5 * grid.hyai[level] + surface * grid.hybi[level], rel=1e-15)
        for level in range(60):
            assert interfaces[level] < middles[level] < interfaces[level + 1]
            mass = (interfaces[level + 1] - interfaces[level]) / 9.80616
            assert layer_mass(grid, surface)[level] == pytest.approx(mass, rel=1e-14)


def test_layers_weigh_what_the_ground_feels(grid: Grid) -> None:
    surface = np.array([[50_000.0, 70_000.0], [98_000.0, 105_000.0]])
    top = interface_pressure(grid, surface)[..., 0]
    np.testing.assert_allclose(layer_mass(grid, surface).sum(axis=-1) * GRAVITY, surface - top, rtol=1e-13)
    np.testing.assert_allclose(interface_pressure(grid, surface)[..., -1], surface, rtol=1e-13)
    assert (layer_mass(grid, surface) > 0).all()


def test_shapes_and_precision(grid: Grid) -> None:
    surface = np.full((3, 5), 1e5, dtype=np.float32)
    for function, levels in ((interface_pressure, 61), (midpoint_pressure, 60), (layer_mass, 60)):
        assert function(grid, surface).shape == (3, 5, levels) and function(grid, surface).dtype == np.float64
        assert function(grid, 1e5).shape == (levels,)


def test_pure_pressure_levels_do_not_feel_the_ground(grid: Grid) -> None:
    pure = grid.hybi == 0
    one, other = interface_pressure(grid, 6e4), interface_pressure(grid, 1e5)
    np.testing.assert_array_equal(one[pure], other[pure])
    assert pure.sum() == 23 and (one[~pure] < other[~pure]).all()
