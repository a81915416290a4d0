"""Column integrals of water and energy, and what the surface gives and takes.

Signs: a column budget is positive when the column gains; surface fluxes are positive upwards (into the column),
precipitation downwards (out of it).
"""

import numpy as np

from subgrid.physics.constants import HEAT_CAPACITY, LATENT_HEAT_FUSION, LATENT_HEAT_VAPORISATION


def column_water(mass: np.ndarray, vapour: np.ndarray, liquid: np.ndarray, ice: np.ndarray) -> np.ndarray:
    """Total water of a column, sum of mass * (vapour + liquid + ice) over levels.

    ``mass`` in kg/m2, (..., 60); waters in kg/kg give kg/m2, their tendencies in kg/kg/s give kg/m2/s. Returns (...).
    """
    return np.sum(mass * (vapour + liquid + ice), axis=-1)


def column_enthalpy(mass: np.ndarray, temperature: np.ndarray, vapour: np.ndarray, ice: np.ndarray) -> np.ndarray:
    """Moist enthalpy of a column relative to liquid water, sum of mass * (cp T + Lv qv - Lf qi) over levels.

    ``mass`` in kg/m2, (..., 60); states give J/m2, their tendencies W/m2. Returns (...). Condensation and freezing
    leave it unchanged; rain that falls out takes nothing, snow takes -Lf of its mass.
    """
    moist = HEAT_CAPACITY * temperature + LATENT_HEAT_VAPORISATION * vapour - LATENT_HEAT_FUSION * ice
    return np.sum(mass * moist, axis=-1)
