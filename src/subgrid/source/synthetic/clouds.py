"""Clouds: partial condensation, the split into liquid and ice, precipitation that falls, melts and evaporates."""

from dataclasses import dataclass

import numpy as np

from subgrid.physics.constants import (
    FREEZING,
    GAS_CONSTANT_VAPOUR,
    HEAT_CAPACITY,
    LATENT_HEAT_FUSION,
    LATENT_HEAT_VAPORISATION,
)
from subgrid.physics.moisture import VANISHING_LEVELS, liquid_fraction, saturation_humidity
from subgrid.schema.variables import TIME_STEP
from subgrid.source.synthetic.mixing import FIRST_LEVEL
from subgrid.source.synthetic.state import Layers

_DRYING_TIME = 900.0  # s in which cloud evaporates in air without vapour; in moister air it takes 1 / (1 - RH) as long
_RAIN_TIME, _RAIN_ONSET = 2500.0, 2e-4  # s and kg/kg, of Sundqvist's (1978) conversion of cloud to rain
_SNOW_TIME, _SNOW_ONSET = 4000.0, 5e-5
_ICE_FALL = 0.15  # m/s
_LEAST_CLOUD = 1e-9  # kg/kg: thinner cloud does not fall out
_EVAPORATION = 2.5e-4  # per m and sqrt(kg/m2) of rain in dry air (after Kessler 1969)


@dataclass(frozen=True)
class Fallen:
    """Precipitation at the surface, rain and snow in kg/m2 a step (column,), and what its way changed in the layers.

    ``water`` in kg/kg (what evaporated) and ``enthalpy`` in J/kg (what melting and sublimation took), (column, 60).
    """

    rain: np.ndarray
    snow: np.ndarray
    water: np.ndarray
    enthalpy: np.ndarray


def condensate(
    temperature: np.ndarray, total: np.ndarray, cloud: np.ndarray, ice: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Cloud water and ice together after one step in kg/kg, (column, 60).

    The total water varies within a layer, evenly by +-d around its mean, d = (1 - RHc) q* (Smith 1990): with
    Q = (q_total - q*) / d the cloud is a d (1 + Q)^2 / 4 for |Q| < 1, nothing below, a d Q above; q* is taken at the
    temperature with all cloud evaporated, a = 1 / (1 + (Lv / cp) dq*/dT). Cloud forms at once and evaporates at a rate
    that grows with 1 - RH.
    """
    clear = temperature - (LATENT_HEAT_VAPORISATION * cloud + LATENT_HEAT_FUSION * ice) / HEAT_CAPACITY
    saturation = saturation_humidity(clear, pressure)
    gamma = LATENT_HEAT_VAPORISATION**2 * saturation / (HEAT_CAPACITY * GAS_CONSTANT_VAPOUR * clear**2)
    critical = 0.65 + 0.2 * np.clip(pressure / 1e5, 0.0, 1.0) ** 2
    width = (1.0 - critical) * saturation
    excess = (total - saturation) / width
    part = np.where(excess > 1.0, excess, np.clip(1.0 + excess, 0.0, 2.0) ** 2 / 4.0)
    target = np.minimum(width * part / (1.0 + gamma), 0.9 * total)
    kept = np.exp(-TIME_STEP / _DRYING_TIME * np.clip(1.0 - total / saturation, 0.02, 1.0))
    return np.where(target > cloud, target, target + (cloud - target) * kept)


def phases(cloud: np.ndarray, temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cloud liquid and ice in kg/kg by temperature; none is liquid at the levels where liquid vanishes (12-27)."""
    share = liquid_fraction(temperature)
    share[:, VANISHING_LEVELS.start : VANISHING_LEVELS.stop + 1] = 0.0
    liquid = share * cloud
    return liquid, cloud - liquid


def falling_out(liquid: np.ndarray, ice: np.ndarray, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Cloud that turns to rain and to snow in one step, kg/kg: x (1 - exp(-dt / T (1 - exp(-(x / onset)^2)))).

    Ice also falls by itself at 0.15 m/s: a share v dt / dz of a layer leaves it as snow.
    """
    rain = liquid * -np.expm1(-TIME_STEP / _RAIN_TIME * -np.expm1(-((liquid / _RAIN_ONSET) ** 2)))
    thickness = np.maximum(-np.gradient(layers.height, axis=1), 100.0)
    rate = TIME_STEP / _SNOW_TIME * -np.expm1(-((ice / _SNOW_ONSET) ** 2)) + _ICE_FALL * TIME_STEP / thickness
    snow = ice * -np.expm1(-rate)
    return np.where(liquid > _LEAST_CLOUD, rain, 0.0), np.where(ice > _LEAST_CLOUD, snow, 0.0)


def fall(
    rain_made: np.ndarray, snow_made: np.ndarray, temperature: np.ndarray, vapour: np.ndarray, layers: Layers
) -> Fallen:
    """Take rain and snow (kg/m2 a step, made in each layer) down to the surface through the air as it stands.

    Rain evaporates and snow sublimes at a rate (1 - RH) sqrt(P) per metre, never more than a third of the layer's
    deficit; snow melts where it is warmer than freezing, at most cooling the layer half-way to it.
    """
    saturation = saturation_humidity(temperature, layers.pressure)
    gamma = LATENT_HEAT_VAPORISATION**2 * saturation / (HEAT_CAPACITY * GAS_CONSTANT_VAPOUR * temperature**2)
    deficit = np.maximum(saturation - vapour, 0.0)
    limit = layers.mass * deficit / (1.0 + gamma) / 3.0
    dryness = _EVAPORATION * deficit / saturation * np.maximum(-np.gradient(layers.height, axis=1), 0.0)
    meltable = 0.5 * layers.mass * HEAT_CAPACITY * np.maximum(temperature - FREEZING, 0.0) / LATENT_HEAT_FUSION
    rain_made, snow_made, limit, dryness, meltable = (
        np.ascontiguousarray(values.T) for values in (rain_made, snow_made, limit, dryness, meltable)
    )
    gained, melted, sublimed = (np.zeros_like(rain_made) for _ in range(3))
    rain, snow = np.zeros(len(vapour)), np.zeros(len(vapour))
    for k in range(FIRST_LEVEL, len(limit)):
        rain = rain + rain_made[k]
        snow = snow + snow_made[k]
        melted[k] = np.minimum(snow, meltable[k])
        rain, snow = rain + melted[k], snow - melted[k]
        total = rain + snow
        gained[k] = np.minimum(np.minimum(total, dryness[k] * np.sqrt(total)), limit[k])
        sublimed[k] = np.minimum(gained[k] * (snow / np.maximum(total, 1e-300)), snow)
        rain, snow = np.maximum(rain - (gained[k] - sublimed[k]), 0.0), snow - sublimed[k]
    gained, melted, sublimed = gained.T, melted.T, sublimed.T
    enthalpy = -LATENT_HEAT_FUSION * (melted + sublimed) / layers.mass
    return Fallen(rain, snow, gained / layers.mass, enthalpy)
