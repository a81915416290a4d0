"""Water in a column: saturation, the split of condensate into liquid and ice, cloud water that vanishes aloft."""

import numpy as np

from subgrid.physics.constants import FREEZING, GAS_CONSTANT_DRY, GAS_CONSTANT_VAPOUR
from subgrid.schema.variables import TIME_STEP

VANISHING_LEVELS = slice(12, 27)
"""Levels at which E3SM-MMF removes all cloud water within one step (competition discussion 499896)."""

# Flatau, Walko and Cotton (1992), J. Appl. Meteorol. 31, 1507: saturation pressure in hPa, powers of T - 273.16 K,
# highest first.
LIQUID_POWERS = (-0.976195544e-15, -0.952447341e-13, 0.640689451e-10, 0.206739458e-7, 0.302950461e-5, 0.264847430e-3,
           0.142986287e-1, 0.443987641, 6.11239921)  # fmt: skip
ICE_POWERS = (0.252751365e-14, 0.146898966e-11, 0.385852041e-9, 0.602588177e-7, 0.615021634e-5, 0.420895665e-3,
        0.188439774e-1, 0.503160820, 6.11147274)  # fmt: skip


def vanished_cloud_water(state_q0002: np.ndarray) -> np.ndarray:
    """The cloud-water rule: ptend_q0002 = -state_q0002 / 1200 s at levels 12-26, in kg/kg/s.

    Takes state_q0002 in kg/kg, (..., 60), and returns the tendencies of those 15 levels, float64 (..., 15).
    """
    return -np.asarray(state_q0002, dtype=np.float64)[..., VANISHING_LEVELS] / TIME_STEP


def liquid_fraction(temperature: np.ndarray) -> np.ndarray:
    """Share of condensate that is liquid: 0 below 253.16 K, 1 above 273.16 K, linear between."""
    return np.clip((np.asarray(temperature, dtype=np.float64) - (FREEZING - 20.0)) / 20.0, 0.0, 1.0)


def saturation_pressure_liquid(temperature: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure over liquid water in Pa, for a temperature in K (held at -80 C below it)."""
    return 100.0 * np.polyval(LIQUID_POWERS, np.maximum(-80.0, np.asarray(temperature, dtype=np.float64) - FREEZING))


def saturation_pressure_ice(temperature: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure over ice in Pa, for a temperature in K; over liquid above 273.15 K."""
    temperature = np.asarray(temperature, dtype=np.float64)
    celsius = temperature - FREEZING
    cold = np.maximum(-100.0, celsius)
    coldest = 100.0 * (0.00763685 + cold * (0.000151069 + 7.48215e-7 * cold))
    return np.select(
        [temperature > 273.15, temperature > 185.0],
        [saturation_pressure_liquid(temperature), 100.0 * np.polyval(ICE_POWERS, celsius)],
        coldest,
    )


def saturation_pressure(temperature: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure over the mix of liquid and ice that ``liquid_fraction`` gives, in Pa."""
    liquid = liquid_fraction(temperature)
    return liquid * saturation_pressure_liquid(temperature) + (1 - liquid) * saturation_pressure_ice(temperature)


def saturation_humidity(temperature: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Specific humidity at saturation in kg/kg, (R_dry e_s) / (R_vapour p), temperature in K and pressure in Pa."""
    return GAS_CONSTANT_DRY * saturation_pressure(temperature) / (GAS_CONSTANT_VAPOUR * np.asarray(pressure))
