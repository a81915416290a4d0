"""Moist convection as one entraining plume per column: how deep it reaches depends on the whole profile.

The plume rises from the layer with the most moist static energy h = cp T + g z + Lv q near the ground and mixes with
the air around it: what it carries obeys dx/dz = -e (x_plume - x). Its temperature follows from Arakawa and Schubert
(1974): Tu = T + (h_plume - h*) / (cp (1 + gamma)), h* the saturated energy of the air around, gamma = (Lv / cp) dq*/dT.
It goes on while the buoyancy met so far leaves it kinetic energy. Its mass flux M falls from the base to nothing at the
top, the air around it sinks, and every layer changes by the fluxes through its two interfaces (Tiedtke 1989):

    m_k dx_k = F_{k+1} - F_k,    F_k = M_k (x_plume,k - x_{k-1})    upwards through the top of layer k
"""

from dataclasses import dataclass

import numpy as np

from subgrid.physics.constants import (
    GAS_CONSTANT_DRY,
    GAS_CONSTANT_VAPOUR,
    GRAVITY,
    HEAT_CAPACITY,
    LATENT_HEAT_VAPORISATION,
)
from subgrid.schema.variables import TIME_STEP
from subgrid.source.synthetic.mixing import FIRST_LEVEL
from subgrid.source.synthetic.state import Layers

_BASE_LEVELS = slice(48, 60)  # where a plume may start: the lowest 2 km or so
_ENTRAINMENT = 1.3e-4  # per m
_TRIGGER = 15.0  # J/kg a plume starts with: the inhibition it can break through
_EXCESS = 1200.0  # J/kg by which a plume is warmer and moister than the mean of its layer
_RAIN_SHARE = 0.3  # of a plume's condensate falls out at each level, the rest goes on up
_CLOSURE = 5e-4  # kg/m2/s of mass flux per m/s of sqrt(2 CAPE)
_LARGEST_SHARE = 0.3  # of a layer's air that may move on in one step


@dataclass(frozen=True)
class Air:
    """What convection looks at: temperature in K, vapour and its saturation in kg/kg, winds (2, column, 60) in m/s."""

    temperature: np.ndarray
    vapour: np.ndarray
    saturation: np.ndarray
    winds: np.ndarray
    layers: Layers

    @property
    def energy(self) -> np.ndarray:
        """Moist static energy in J/kg."""
        dry = HEAT_CAPACITY * self.temperature + GRAVITY * self.layers.height
        return dry + LATENT_HEAT_VAPORISATION * self.vapour


@dataclass(frozen=True)
class Convection:
    """Changes in one step, (column, 60): energy in J/kg, water in kg/kg, winds (2, ...) in m/s; rain made in kg/m2."""

    energy: np.ndarray
    water: np.ndarray
    winds: np.ndarray
    rain: np.ndarray


@dataclass(frozen=True)
class _Plume:
    """Air through the top of each layer in one step in kg/m2, what it carries, and the rain it lost there in kg/kg."""

    flux: np.ndarray
    energy: np.ndarray
    water: np.ndarray
    winds: np.ndarray
    rained: np.ndarray


def convection(air: Air) -> Convection:
    """One step of the plume. The column keeps its energy and momentum, and its water but for the rain.

    Detrained condensate is handed over as vapour, without its latent heat: the cloud scheme condenses it again.
    """
    plume = _rise(air)
    mass = air.layers.mass

    def moved(inside: np.ndarray, around: np.ndarray) -> np.ndarray:
        through = np.zeros((mass.shape[0], mass.shape[1] + 1))
        through[:, 1:-1] = plume.flux[:, 1:] * (inside[:, 1:] - around[:, :-1])
        return (through[:, 1:] - through[:, :-1]) / mass

    rain = plume.flux * plume.rained
    return Convection(
        energy=moved(plume.energy, air.energy),
        water=moved(plume.water, air.vapour) - rain / mass,
        winds=np.stack([moved(inside, around) for inside, around in zip(plume.winds, air.winds, strict=True)]),
        rain=rain,
    )


def _rise(air: Air) -> _Plume:
    """Follow the plume from its base up: energy and winds by sums from the ground, water level by level as it rains."""
    energy, layers = air.energy, air.layers
    base = (np.argmax(energy[:, _BASE_LEVELS], axis=1) + _BASE_LEVELS.start)[:, None]
    above = np.arange(energy.shape[1]) < base
    thickness = GAS_CONSTANT_DRY * air.temperature * layers.mass / layers.pressure
    mixing = np.where(above, -np.expm1(-_ENTRAINMENT * thickness), 0.0)  # share of the air around in the plume
    growth = np.exp(_upward_sum(np.where(above, _ENTRAINMENT * thickness, 0.0)))
    mixture, zonal, meridional = (_diluted(values, growth, base, above) for values in (energy, *air.winds))
    gamma = LATENT_HEAT_VAPORISATION**2 * air.saturation
    gamma = gamma / (HEAT_CAPACITY * GAS_CONSTANT_VAPOUR * air.temperature**2)
    lead = mixture + _EXCESS - energy - LATENT_HEAT_VAPORISATION * (air.saturation - air.vapour)
    saturated = np.maximum(air.saturation + gamma / (1.0 + gamma) * lead / LATENT_HEAT_VAPORISATION, 0.0)
    water, rained = _condensing(air.vapour, mixing, np.where(above, saturated, np.inf), base)
    vapour = np.minimum(saturated, water)
    warmth = (mixture + _EXCESS - GRAVITY * layers.height - LATENT_HEAT_VAPORISATION * vapour) / HEAT_CAPACITY
    buoyancy = warmth / air.temperature * (1.0 + 0.61 * (vapour - air.vapour)) - 1.0
    kinetic = _TRIGGER + _upward_sum(np.where(above, GRAVITY * buoyancy * thickness, 0.0))
    alive = np.minimum.accumulate(kinetic[:, ::-1], axis=1)[:, ::-1] > 0.0
    alive[:, : FIRST_LEVEL + 2] = False
    flux = _mass_flux(alive & above, kinetic, base, layers)
    return _Plume(flux, mixture, water, np.stack([zonal, meridional]), rained)


def _condensing(
    around: np.ndarray, mixing: np.ndarray, saturated: np.ndarray, base: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Total water of the plume and the rain it loses at each level in kg/kg: a share of what exceeds saturation."""
    around, mixing, saturated = (np.ascontiguousarray(values.T) for values in (around, mixing, saturated))
    water, rained = around.copy(), np.zeros_like(around)
    start = base[:, 0]
    for k in range(len(around) - 2, FIRST_LEVEL - 1, -1):
        mixed = water[k + 1] + mixing[k] * (around[k] - water[k + 1])
        rained[k] = _RAIN_SHARE * np.maximum(mixed - saturated[k], 0.0)
        water[k] = np.where(k < start, mixed - rained[k], around[k])
    return water.T, rained.T


def _mass_flux(inside: np.ndarray, kinetic: np.ndarray, base: np.ndarray, layers: Layers) -> np.ndarray:
    """kg/m2 a step through the top of each layer: M_b (1 - x^2), x the height above the base over the plume's depth.

    M_b grows with the square root of the convective available potential energy; plumes under 300 m are none.
    """
    start = np.take_along_axis(layers.height, base, axis=1)
    depth = np.max(np.where(inside, layers.height, 0.0), axis=1, keepdims=True) - start
    shape = 1.0 - ((layers.height - start) / np.maximum(depth, 1.0)) ** 2
    available = np.max(np.where(inside, kinetic, 0.0), axis=1, keepdims=True) - _TRIGGER
    at_base = TIME_STEP * _CLOSURE * np.sqrt(2.0 * np.maximum(available, 0.0))
    ceiling = _LARGEST_SHARE * np.min(np.where(inside, layers.mass, np.inf), axis=1, keepdims=True)
    level = np.arange(inside.shape[1])
    carrying = (inside | (level == base)) & (depth > 300.0)
    return np.where(carrying, np.minimum(at_base, ceiling) * np.maximum(shape, 0.0), 0.0)


def _upward_sum(values: np.ndarray) -> np.ndarray:
    return np.cumsum(values[:, ::-1], axis=1)[:, ::-1]


def _diluted(values: np.ndarray, growth: np.ndarray, base: np.ndarray, above: np.ndarray) -> np.ndarray:
    """dx/dz = -e (x - around) from the base up, solved: x_k = (x_{k+1} E_{k+1} + (E_k - E_{k+1}) around_k) / E_k."""
    step = growth - np.concatenate([growth[:, 1:], np.ones((len(growth), 1))], axis=1)
    return (np.take_along_axis(values, base, axis=1) + _upward_sum(np.where(above, step * values, 0.0))) / growth
