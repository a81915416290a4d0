"""The state of columns, and what follows from it by the laws of moist air; all in SI units, level 0 on top.

With T, qv, ql, qi of a level, p at its middle and at its edges, qs(T, p) as in ``physics.moisture``, layer thickness
dz = Rd Tv / g ln(p_below / p_above) and height z from the ground (no topography), energies are

    s = cp T + g z        h = s + Lv qv        hs = s + Lv qs
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from subgrid.physics.constants import (
    FREEZING,
    GAS_CONSTANT_DRY,
    GAS_CONSTANT_VAPOUR,
    GRAVITY,
    HEAT_CAPACITY,
    LATENT_HEAT_VAPORISATION,
)
from subgrid.physics.moisture import ICE_POWERS, LIQUID_POWERS

_TOP = 1.0  # Pa: least pressure at an edge, so that a model whose top is at zero has finite heights
_LIGHTER = GAS_CONSTANT_VAPOUR / GAS_CONSTANT_DRY - 1  # how much lighter vapour makes air: Tv = T (1 + 0.61 qv)


@dataclass(frozen=True, eq=False)
class Air:
    """The state of columns, each (batch, level) but ``edges``, (batch, level + 1).

    Attributes:
        temperature: K.
        vapour, liquid, ice: specific humidity and condensate, kg/kg.
        u, v: winds, m/s.
        pressure, edges: at the middles of layers and at their edges, Pa.
    """

    temperature: Tensor
    vapour: Tensor
    liquid: Tensor
    ice: Tensor
    u: Tensor
    v: Tensor
    pressure: Tensor
    edges: Tensor

    @cached_property
    def condensate(self) -> Tensor:
        """Liquid and ice, kg/kg."""
        return self.liquid + self.ice

    @cached_property
    def liquid_fraction(self) -> Tensor:
        """Share of condensate that is liquid at this temperature: ``physics.moisture.liquid_fraction``."""
        return ((self.temperature - (FREEZING - 20.0)) / 20.0).clamp(0.0, 1.0)

    @cached_property
    def saturation(self) -> Tensor:
        """Specific humidity at saturation over the mix of liquid and ice, kg/kg."""
        f = self.liquid_fraction
        vapour_pressure = f * over_liquid(self.temperature) + (1 - f) * over_ice(self.temperature)
        return GAS_CONSTANT_DRY * vapour_pressure / (GAS_CONSTANT_VAPOUR * self.pressure)

    @cached_property
    def thickness(self) -> Tensor:
        """Of each layer, m."""
        return _depth(self, self.edges[:, :-1].clamp(min=_TOP))

    @cached_property
    def height(self) -> Tensor:
        """Of the middle of each layer above the ground, m."""
        return _from_ground(self.thickness) - self.thickness + _depth(self, self.pressure)

    @cached_property
    def dry_energy(self) -> Tensor:
        """s = cp T + g z, J/kg."""
        return HEAT_CAPACITY * self.temperature + GRAVITY * self.height

    @cached_property
    def virtual_energy(self) -> Tensor:
        """s + cp (Tv - T), J/kg: its increase with height is the stability of air without condensate."""
        return self.dry_energy + HEAT_CAPACITY * _LIGHTER * self.temperature * self.vapour

    @cached_property
    def moist_energy(self) -> Tensor:
        """h = s + Lv qv, J/kg."""
        return self.dry_energy + LATENT_HEAT_VAPORISATION * self.vapour

    @cached_property
    def saturated_energy(self) -> Tensor:
        """hs = s + Lv qs, J/kg."""
        return self.dry_energy + LATENT_HEAT_VAPORISATION * self.saturation

    @cached_property
    def parcel_energy(self) -> Tensor:
        """What a parcel of the lowest level has more than saturated air here, J/kg."""
        return self.moist_energy[:, -1:] - self.saturated_energy

    @cached_property
    def condensation(self) -> Tensor:
        """1 + Lv / cp dqs/dT = 1 + Lv**2 qs / (cp Rv T**2), how much harder saturated air is to warm."""
        return 1 + LATENT_HEAT_VAPORISATION**2 * self.saturation / (
            HEAT_CAPACITY * GAS_CONSTANT_VAPOUR * self.temperature**2
        )

    def richardson(self, energy_step: Tensor) -> Tensor:
        """Ri = g / (cp T) dE/dz / ((du/dz)**2 + (dv/dz)**2) from a level to the next one down.

        E is an energy, J/kg, whose ``step_down`` is given. A shear of 1e-3 1/s is added to the winds', so that calm air
        has a number; 0 at the lowest level.
        """
        depth = 1e-3 - step_down(self.height)
        shear = (step_down(self.u).square() + step_down(self.v).square()) / depth.square() + 1e-6
        return -energy_step / depth * GRAVITY / (HEAT_CAPACITY * self.temperature) / shear


def step_down(x: Tensor) -> Tensor:
    """x of the next level down less x here, 0 at the lowest level."""
    return functional.pad(x[:, 1:] - x[:, :-1], (0, 1))


def _depth(air: Air, above: Tensor) -> Tensor:
    """From the lower edge of each layer up to a pressure within it, m: Rd Tv / g ln(p_below / p)."""
    virtual = air.temperature * (1 + _LIGHTER * air.vapour)
    return GAS_CONSTANT_DRY / GRAVITY * virtual * torch.log(air.edges[:, 1:] / above)


def _from_ground(x: Tensor) -> Tensor:
    """Sums from the lowest level up to each."""
    return x.flip(1).cumsum(dim=1).flip(1)


def _polynomial(powers: Sequence[float], x: Tensor) -> Tensor:
    total = torch.full_like(x, powers[0])
    for power in powers[1:]:
        total = total * x + power
    return total


def over_liquid(temperature: Tensor) -> Tensor:
    """Saturation pressure over liquid water, Pa; ``physics.moisture.saturation_pressure_liquid``, held above 100 C: the
    polynomial falls below zero in air as hot as the uppermost levels can be (1,321 K in the published data)."""
    return 100.0 * _polynomial(LIQUID_POWERS, (temperature - FREEZING).clamp(min=-80.0, max=100.0))


def over_ice(temperature: Tensor) -> Tensor:
    """Saturation pressure over ice, Pa; ``physics.moisture.saturation_pressure_ice``."""
    celsius = temperature - FREEZING
    cold = celsius.clamp(min=-100.0)
    coldest = 100.0 * (0.00763685 + cold * (0.000151069 + 7.48215e-7 * cold))
    ice = torch.where(temperature > 185.0, 100.0 * _polynomial(ICE_POWERS, celsius), coldest)
    return torch.where(temperature > 273.15, over_liquid(temperature), ice)
