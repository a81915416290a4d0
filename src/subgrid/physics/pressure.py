"""Pressure on hybrid levels and the mass of layers.

p_k = P0 * hyai_k + ps * hybi_k at interface k, level 0 on top; a layer's mass is (p_{k+1} - p_k) / g.
"""

import numpy as np

from subgrid.physics.constants import GRAVITY
from subgrid.schema.grid import Grid


def interface_pressure(grid: Grid, surface_pressure: np.ndarray) -> np.ndarray:
    """Pressure at the 61 interfaces in Pa, (..., 61), from surface pressure in Pa, (...)."""
    return grid.P0 * grid.hyai + np.asarray(surface_pressure, dtype=np.float64)[..., None] * grid.hybi


def midpoint_pressure(grid: Grid, surface_pressure: np.ndarray) -> np.ndarray:
    """Pressure at the 60 layer midpoints in Pa, (..., 60), from surface pressure in Pa, (...)."""
    return grid.P0 * grid.hyam + np.asarray(surface_pressure, dtype=np.float64)[..., None] * grid.hybm


def layer_mass(grid: Grid, surface_pressure: np.ndarray) -> np.ndarray:
    """Mass of air in each layer in kg/m2, (..., 60), from surface pressure in Pa, (...)."""
    return np.diff(interface_pressure(grid, surface_pressure), axis=-1) / GRAVITY
