"""ClimSim's units: every target as W/m2 of a column of mean area, so that all of them can be compared.

As in the ClimSim paper (Yu et al. 2023, arXiv:2306.08754) and its published code:

    profiles         x dp/g, the layer's mass, from the column's own surface pressure
    temperature      x cp;  water x Lv (vapour, liquid and ice alike);  precipitation x Lv x 1,000 kg/m3;  fluxes x 1
    winds            x sqrt((250 du/dt)**2 + (500 dv/dt)**2), the array's own scaled acceleration: a prediction is
                     weighted by what it predicts itself. The numbers are ClimSim's output scale
    all              x area / mean(area)
"""

import numpy as np

from subgrid.errors import SettingsError
from subgrid.evaluation.rows import Frame
from subgrid.physics.constants import HEAT_CAPACITY, LATENT_HEAT_VAPORISATION, WATER_DENSITY
from subgrid.physics.pressure import layer_mass
from subgrid.schema.grid import Grid

SURFACE_PRESSURE = "state_ps"
_HEAT_OF_RAIN = LATENT_HEAT_VAPORISATION * WATER_DENSITY
_FACTORS = {
    "ptend_t": HEAT_CAPACITY,
    "ptend_q0001": LATENT_HEAT_VAPORISATION,
    "ptend_q0002": LATENT_HEAT_VAPORISATION,
    "ptend_q0003": LATENT_HEAT_VAPORISATION,
    "cam_out_PRECSC": _HEAT_OF_RAIN,
    "cam_out_PRECC": _HEAT_OF_RAIN,
}
_WIND_SCALE = {"ptend_u": 250.0, "ptend_v": 500.0}


class EnergyUnits:
    """Turns rows of a frame into W/m2.

    Args:
        frame: with a grid, and a variable set that has the surface pressure.

    Raises:
        SettingsError: the frame lacks one of them.
    """

    def __init__(self, frame: Frame) -> None:
        if frame.grid is None or SURFACE_PRESSURE not in frame.variables.input_slices:
            raise SettingsError(
                f"ClimSim's units need a grid and {SURFACE_PRESSURE}; this evaluation lacks one of them"
            )
        self._variables = frame.variables
        self._grid: Grid = frame.grid
        self._area = frame.grid.area / frame.grid.area.mean()
        self._factor = np.ones(frame.variables.target_width)
        for name, factor in _FACTORS.items():
            if name in frame.variables.target_slices:
                self._factor[frame.variables.target_slices[name]] = factor

    def weights(self, surface_pressure: np.ndarray, column: np.ndarray) -> np.ndarray:
        """W/m2 per unit of each target but for the winds' own factor, (row, target_width).

        Args:
            surface_pressure: Pa, (row,).
            column: index into the grid, int (row,).
        """
        mass, slices = layer_mass(self._grid, surface_pressure), self._variables.target_slices
        weights = np.broadcast_to(self._factor, (len(column), self._factor.size)) * self._area[column][:, None]
        for item in self._variables.targets:
            if item.levels > 1:
                weights[:, slices[item.name]] *= mass
        return weights

    def energy(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Targets in physical units (row, target_width) as W/m2, given ``weights`` of their rows."""
        energy = values * weights
        slices = self._variables.target_slices
        winds = [name for name in _WIND_SCALE if name in slices]
        if winds:
            speed = np.sqrt(sum((_WIND_SCALE[name] * values[:, slices[name]]) ** 2 for name in winds))
            for name in winds:
                energy[:, slices[name]] *= speed
        return energy
