"""Channels that follow from the state of a column by the laws of moist air, in groups that a recipe names.

A network sees temperature and humidity level by level, each on its own scale; how close a layer is to saturation, or
whether a parcel from below would rise into it, are small differences of these that it would have to learn first. Such
channels also keep their meaning from one climate to another (Beucler et al. 2024, Sci. Adv. 10, eadj7250).

With T, qv, ql, qi, u, v of a level, p at its middle and at its edges, qs(T, p) as in ``physics.moisture``, layer
thickness dz = Rd Tv / g ln(p_below / p_above), height z from the ground (no topography), and energies

    s = cp T + g z        h = s + Lv qv        hs = s + Lv qs

each channel is below, divided by its scale and held within its limits; D x is x of the next level down less x here, 0
at the lowest level.

    humidity   relative_humidity    2 qv / qs - 1                                               up to 2
               saturation           10 (qv / qs - 1)                                            -1 to 1
               liquid_fraction      2 f - 1, f = 0 below 253.16 K, 1 above 273.16 K, linear
               condensate           (log10(ql + qi + 1e-12) + 12) / 5 - 1
    buoyancy   parcel_energy        (h of the lowest level - hs) / 2e4 J/kg                     -3 to 3
               saturation_deficit   (h - hs) / 1e4 J/kg                                         -6 to 6
               saturated_step       D hs / 1e3 J/kg                                             -5 to 5
               moist_step           D h / 1e3 J/kg                                              -5 to 5
    shear      shear_u, shear_v     D u, D v / 2 m/s                                            -5 to 5
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from subgrid.errors import SettingsError
from subgrid.physics.constants import (
    FREEZING,
    GAS_CONSTANT_DRY,
    GAS_CONSTANT_VAPOUR,
    GRAVITY,
    HEAT_CAPACITY,
    LATENT_HEAT_VAPORISATION,
)
from subgrid.physics.moisture import ICE_POWERS, LIQUID_POWERS
from subgrid.representation.constants import ConstantModule
from subgrid.representation.layout import STATE
from subgrid.representation.settings import DERIVED
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet

_TOP = 1.0  # Pa: least pressure at an edge, so that a model whose top is at zero has finite heights


@dataclass(frozen=True, eq=False)
class Air:
    """The state of columns in SI units, each (batch, level) but ``edges``, (batch, level + 1); level 0 on top."""

    temperature: Tensor
    vapour: Tensor
    liquid: Tensor
    ice: Tensor
    u: Tensor
    v: Tensor
    pressure: Tensor
    edges: Tensor

    @cached_property
    def liquid_fraction(self) -> Tensor:
        """Share of condensate that is liquid."""
        return ((self.temperature - (FREEZING - 20.0)) / 20.0).clamp(0.0, 1.0)

    @cached_property
    def saturation(self) -> Tensor:
        """Specific humidity at saturation over the mix of liquid and ice, kg/kg."""
        f = self.liquid_fraction
        vapour_pressure = f * _over_liquid(self.temperature) + (1 - f) * _over_ice(self.temperature)
        return GAS_CONSTANT_DRY * vapour_pressure / (GAS_CONSTANT_VAPOUR * self.pressure)

    @cached_property
    def thickness(self) -> Tensor:
        """Of each layer, m."""
        return self._between(self.edges[:, :-1].clamp(min=_TOP))

    def _between(self, above: Tensor) -> Tensor:
        virtual = self.temperature * (1 + (GAS_CONSTANT_VAPOUR / GAS_CONSTANT_DRY - 1) * self.vapour)
        return GAS_CONSTANT_DRY / GRAVITY * virtual * torch.log(self.edges[:, 1:] / above)

    @cached_property
    def dry_energy(self) -> Tensor:
        """s = cp T + g z, J/kg."""
        height = _from_ground(self.thickness) - self.thickness + self._between(self.pressure)
        return HEAT_CAPACITY * self.temperature + GRAVITY * height

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


Rule = Callable[[Air], Tensor]

_RULES: dict[str, Rule] = {
    "relative_humidity": lambda air: 2 * (air.vapour / air.saturation).clamp(0, 1.5) - 1,
    "saturation": lambda air: (10 * (air.vapour / air.saturation - 1)).clamp(-1, 1),
    "liquid_fraction": lambda air: 2 * air.liquid_fraction - 1,
    "condensate": lambda air: (torch.log10((air.liquid + air.ice).clamp(min=0) + 1e-12) + 12) / 5 - 1,
    "parcel_energy": lambda air: (air.parcel_energy / 2e4).clamp(-3, 3),
    "saturation_deficit": lambda air: ((air.moist_energy - air.saturated_energy) / 1e4).clamp(-6, 6),
    "saturated_step": lambda air: (_step(air.saturated_energy) / 1e3).clamp(-5, 5),
    "moist_step": lambda air: (_step(air.moist_energy) / 1e3).clamp(-5, 5),
    "shear_u": lambda air: (_step(air.u) / 2).clamp(-5, 5),
    "shear_v": lambda air: (_step(air.v) / 2).clamp(-5, 5),
}


class Derivation(ConstantModule):
    """Inputs of a column in stored units, (batch, input_width), to derived channels, (batch, channel, level).

    Args:
        variables: of the inputs; hold all of ``STATE``.
        groups: which channels, in the order of ``DERIVED``.
        grid: whose hybrid levels give pressures.

    Raises:
        SettingsError: there is no grid.
    """

    middle: Tensor  # (2, level), P0 x hyam and hybm: p = middle[0] + ps x middle[1]
    edge: Tensor  # (2, level + 1), the same at the edges of layers
    power: Tensor  # (input_width,), 2**exponent

    def __init__(self, variables: VariableSet, groups: Sequence[str], grid: Grid | None) -> None:
        super().__init__()
        if grid is None:
            raise SettingsError("representation.derived needs a grid, whose hybrid levels give pressures")
        self._rules = [_RULES[name] for group in groups for name in DERIVED[group]]
        self._places = [variables.input_slices[name] for name in STATE]
        self.hold("middle", np.stack([grid.P0 * grid.hyam, grid.hybm]))
        self.hold("edge", np.stack([grid.P0 * grid.hyai, grid.hybi]))
        self.hold("power", np.ldexp(1.0, variables.input_exponents))

    def forward(self, inputs: Tensor) -> Tensor:
        """Channels of the inputs' type; NaN in gives NaN out."""
        t, qv, ql, qi, u, v, surface = (inputs[:, place] / self.power[place] for place in self._places)
        pressure, edges = (levels[0] + surface * levels[1] for levels in (self.middle, self.edge))
        air = Air(t, qv, ql, qi, u, v, pressure, edges)
        return torch.stack([rule(air) for rule in self._rules], dim=1)


def _step(x: Tensor) -> Tensor:
    return functional.pad(x[:, 1:] - x[:, :-1], (0, 1))


def _from_ground(x: Tensor) -> Tensor:
    """Sums from the lowest level up to each."""
    return x.flip(1).cumsum(dim=1).flip(1)


def _polynomial(powers: Sequence[float], x: Tensor) -> Tensor:
    total = torch.full_like(x, powers[0])
    for power in powers[1:]:
        total = total * x + power
    return total


def _over_liquid(temperature: Tensor) -> Tensor:
    """Saturation pressure over liquid water, Pa; ``physics.moisture.saturation_pressure_liquid``, held above 100 C: the
    polynomial falls below zero in air as hot as the uppermost levels can be (1,321 K in the published data)."""
    return 100.0 * _polynomial(LIQUID_POWERS, (temperature - FREEZING).clamp(min=-80.0, max=100.0))


def _over_ice(temperature: Tensor) -> Tensor:
    """Saturation pressure over ice, Pa; ``physics.moisture.saturation_pressure_ice``."""
    celsius = temperature - FREEZING
    cold = celsius.clamp(min=-100.0)
    coldest = 100.0 * (0.00763685 + cold * (0.000151069 + 7.48215e-7 * cold))
    ice = torch.where(temperature > 185.0, 100.0 * _polynomial(ICE_POWERS, celsius), coldest)
    return torch.where(temperature > 273.15, _over_liquid(temperature), ice)
