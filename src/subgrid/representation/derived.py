"""Channels that follow from the state of a column by the laws of moist air, in groups that a recipe names.

A network sees temperature and humidity level by level, each on its own scale; how close a layer is to saturation, or
whether a parcel from below would rise into it, are small differences of these that it would have to learn first. Such
channels also keep their meaning from one climate to another (Beucler et al. 2024, Sci. Adv. 10, eadj7250).

With the quantities of ``air.Air`` each channel is below, divided by its scale and held within its limits; f is the
liquid fraction, qc = ql + qi, and D x is x of the next level down less x here, 0 at the lowest level.

    humidity   relative_humidity    2 qv / qs - 1                                               up to 2
               saturation           10 (qv / qs - 1)                                            -1 to 1
               liquid_fraction      2 f - 1, f = 0 below 253.16 K, 1 above 273.16 K, linear
               condensate           (log10(qc + 1e-12) + 12) / 5 - 1
    buoyancy   parcel_energy        (h of the lowest level - hs) / 2e4 J/kg                     -3 to 3
               saturation_deficit   (h - hs) / 1e4 J/kg                                         -6 to 6
               saturated_step       D hs / 1e3 J/kg                                             -5 to 5
               moist_step           D h / 1e3 J/kg                                              -5 to 5
    shear      shear_u, shear_v     D u, D v / 2 m/s                                            -5 to 5
    stability  richardson           Ri / (|Ri| + 1/2) of virtual dry energy                     -1 to 1
               moist_richardson     the same of hs, less what condensation takes
    phase      liquid_excess        (f qc - ql) / 1200 s, in standard deviations of ptend_q0002
               ice_excess           ((1 - f) qc - qi) / 1200 s, in those of ptend_q0003

The last group reads what dynamics did since physics was last at work. E3SM-MMF's physics ends each step with condensate
split into liquid and ice by temperature (in seven layers of eight ql = f qc within a thousandth of qc; the rest are
clouds whose air is not all of one temperature): what differs from that in the state it gets, in one layer of three, was
brought there by transport, or by air that warmed or cooled meanwhile, and it goes at once.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from subgrid.errors import SettingsError
from subgrid.representation.air import Air, step_down
from subgrid.representation.constants import ConstantModule
from subgrid.representation.layout import STATE
from subgrid.representation.settings import DERIVED
from subgrid.representation.transforms import soft_clip_1, soft_clip_2
from subgrid.schema.grid import Grid
from subgrid.schema.variables import TIME_STEP
from subgrid.statistics.table import Table

Rule = Callable[[Air], Tensor]


def _bounded(richardson: Tensor) -> Tensor:
    return richardson / (richardson.abs() + 0.5)


_RULES: dict[str, Rule] = {
    "relative_humidity": lambda air: 2 * (air.vapour / air.saturation).clamp(0, 1.5) - 1,
    "saturation": lambda air: (10 * (air.vapour / air.saturation - 1)).clamp(-1, 1),
    "liquid_fraction": lambda air: 2 * air.liquid_fraction - 1,
    "condensate": lambda air: (torch.log10(air.condensate.clamp(min=0) + 1e-12) + 12) / 5 - 1,
    "parcel_energy": lambda air: (air.parcel_energy / 2e4).clamp(-3, 3),
    "saturation_deficit": lambda air: ((air.moist_energy - air.saturated_energy) / 1e4).clamp(-6, 6),
    "saturated_step": lambda air: (step_down(air.saturated_energy) / 1e3).clamp(-5, 5),
    "moist_step": lambda air: (step_down(air.moist_energy) / 1e3).clamp(-5, 5),
    "shear_u": lambda air: (step_down(air.u) / 2).clamp(-5, 5),
    "shear_v": lambda air: (step_down(air.v) / 2).clamp(-5, 5),
    "richardson": lambda air: _bounded(air.richardson(step_down(air.virtual_energy))),
    "moist_richardson": lambda air: _bounded(air.richardson(step_down(air.saturated_energy) / air.condensation)),
    "liquid_excess": lambda air: (air.liquid_fraction * air.condensate - air.liquid) / TIME_STEP,
    "ice_excess": lambda air: ((1 - air.liquid_fraction) * air.condensate - air.ice) / TIME_STEP,
}

_IN_DEVIATIONS = {"liquid_excess": "ptend_q0002", "ice_excess": "ptend_q0003"}
"""Channels that are tendencies, measured in standard deviations of a target."""


class Derivation(ConstantModule):
    """Inputs of a column in stored units, (batch, input_width), to derived channels, (batch, channel, level).

    Args:
        table: of the run; its inputs hold all of ``STATE``.
        groups: which channels, in the order of ``DERIVED``.
        grid: whose hybrid levels give pressures.

    Raises:
        SettingsError: there is no grid, or a target whose deviations are a unit is not in the table.
    """

    middle: Tensor  # (2, level), P0 x hyam and hybm: p = middle[0] + ps x middle[1]
    edge: Tensor  # (2, level + 1), the same at the edges of layers
    power: Tensor  # (input_width,), 2**exponent
    unit: Tensor  # (channel, level), what a channel is multiplied by: 1, or 1 / std of a target (0 where that is 0)

    def __init__(self, table: Table, groups: Sequence[str], grid: Grid | None) -> None:
        super().__init__()
        if grid is None:
            raise SettingsError("representation.derived needs a grid, whose hybrid levels give pressures")
        names = [name for group in groups for name in DERIVED[group]]
        variables = table.variables
        self._rules = [_RULES[name] for name in names]
        self._places = [variables.input_slices[name] for name in STATE]
        self.hold("middle", np.stack([grid.P0 * grid.hyam, grid.hybm]))
        self.hold("edge", np.stack([grid.P0 * grid.hyai, grid.hybi]))
        self.hold("power", np.ldexp(1.0, variables.input_exponents))
        self.hold("unit", np.stack([_unit(name, table, grid.hyam.size) for name in names]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Channels of the inputs' type; NaN in gives NaN out."""
        t, qv, ql, qi, u, v, surface = (inputs[:, place] / self.power[place] for place in self._places)
        pressure, edges = (levels[0] + surface * levels[1] for levels in (self.middle, self.edge))
        air = Air(t, qv, ql, qi, u, v, pressure, edges)
        return soft_clip_2(soft_clip_1(torch.stack([rule(air) for rule in self._rules], dim=1) * self.unit))


def _unit(name: str, table: Table, levels: int) -> np.ndarray:
    target = _IN_DEVIATIONS.get(name)
    if target is None:
        return np.ones(levels)
    if target not in table.variables.target_slices:
        raise SettingsError(
            f"representation.derived: {name} is measured in standard deviations of {target}, which the variable set "
            f"{table.variables.name!r} is without; leave the group out"
        )
    return table.targets.inverse_std[table.variables.target_slices[target]]
