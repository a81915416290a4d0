"""One step of column physics: what an emulator stands in for.

``physics(state, boundary, grid)`` takes what stands in an ``mli`` file and gives what stands in the ``mlo`` file. It is
deterministic and knows no neighbours, no time and no place. In this order: radiation, turbulence with the surface
fluxes, convection, clouds, precipitation. Physics other than radiation acts from level 12 down.

The budget is kept in the two quantities that phase changes leave alone, total water w = q1 + q2 + q3 and moist enthalpy
h = cp T + Lv q1 - Lf q3. Every process adds exchanges to these; vapour and temperature are recovered from them in the
last lines. So every column closes to rounding, from its raw file alone (m: layer mass, W/m2 and kg/m2/s, up positive):

    sum m dw/dt = LHFLX / Lv - rho_w PRECC
    sum m dh/dt = LHFLX + SHFLX + LWUP - FLWDS - OLR + SOLIN - reflected - NETSW + Lf rho_w PRECSC
    sum m du/dt = TAUX,    sum m dv/dt = TAUY

PRECC is all precipitation, PRECSC the snow in it. OLR and reflected solar are ``top_fluxes(state, boundary, grid)`` of
the same inputs; NETSW = SOLS (1 - ASDIR) + SOLL (1 - ALDIR) + SOLSD (1 - ASDIF) + SOLLD (1 - ALDIF). Kinetic energy
that mixing dissipates is not turned into heat.
"""

from dataclasses import dataclass

import numpy as np

from subgrid.physics.constants import (
    HEAT_CAPACITY,
    LATENT_HEAT_FUSION,
    LATENT_HEAT_VAPORISATION,
    WATER_DENSITY,
)
from subgrid.physics.moisture import liquid_fraction, saturation_humidity
from subgrid.schema.grid import Grid
from subgrid.schema.variables import TIME_STEP
from subgrid.source.synthetic.clouds import Fallen, condensate, fall, falling_out, phases
from subgrid.source.synthetic.convection import Air, convection
from subgrid.source.synthetic.mixing import FIRST_LEVEL, mixing
from subgrid.source.synthetic.radiation import Radiation, radiation
from subgrid.source.synthetic.state import Boundary, Layers, Outputs, State


def physics(state: State, boundary: Boundary, grid: Grid) -> tuple[State, Outputs]:
    """The state 1,200 s later and the outputs to the surface; of ``grid`` only the hybrid levels are used.

    Columns are independent: any number of them, in any order, give the same bits each.
    """
    layers = Layers.of(state.temperature, boundary.surface_pressure, grid)
    rays = radiation(state, boundary, layers)
    budget = _Budget.zero(state)
    budget.enthalpy += TIME_STEP * rays.heating / layers.mass
    _molecular_exchange(budget, layers)
    _turbulence(budget, boundary, layers)
    rain = _convect(budget, layers)
    fallen = _condense_and_fall(budget, rain, layers)
    return budget.state(layers.mass), _outputs(rays, fallen)


def top_fluxes(state: State, boundary: Boundary, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Outgoing longwave and reflected solar flux at the top in W/m2, each (column,), from the inputs of physics."""
    rays = radiation(state, boundary, Layers.of(state.temperature, boundary.surface_pressure, grid))
    return rays.outgoing_longwave, rays.reflected_solar


@dataclass
class _Budget:
    """A step in the making: changes of water in kg/kg, enthalpy in J/kg, winds in m/s; and the cloud as it now is."""

    before: State
    water: np.ndarray
    enthalpy: np.ndarray
    winds: np.ndarray
    liquid: np.ndarray
    ice: np.ndarray

    @classmethod
    def zero(cls, state: State) -> "_Budget":
        shape = state.vapour.shape
        return cls(
            state, np.zeros(shape), np.zeros(shape), np.zeros((2, *shape)), state.liquid.copy(), state.ice.copy()
        )

    def vapour(self) -> np.ndarray:
        """q1 = what total water leaves beside the cloud."""
        return self.before.vapour + (self.water - self.cloud_change())

    def cloud_change(self) -> np.ndarray:
        """Liquid and ice gained since the start of the step."""
        return (self.liquid - self.before.liquid) + (self.ice - self.before.ice)

    def temperature(self, vapour: np.ndarray) -> np.ndarray:
        """T from the enthalpy, the vapour and the ice as they now are."""
        latent = LATENT_HEAT_VAPORISATION * (vapour - self.before.vapour) - LATENT_HEAT_FUSION * (
            self.ice - self.before.ice
        )
        return self.before.temperature + (self.enthalpy - latent) / HEAT_CAPACITY

    def state(self, mass: np.ndarray) -> State:
        """The state after the step.

        Rounding vapour near the ground loses some 1e-15 kg/m2, as much as a weak flux brings in a step; it is put back
        at level 12, where vapour is little and the numbers are fine enough to hold it.
        """
        vapour = self.vapour()
        lost = np.sum(mass * (self.water - (vapour - self.before.vapour) - self.cloud_change()), axis=1)
        vapour[:, FIRST_LEVEL] += lost / mass[:, FIRST_LEVEL]
        zonal, meridional = self.before.zonal + self.winds[0], self.before.meridional + self.winds[1]
        return State(self.temperature(vapour), vapour, self.liquid, self.ice, zonal, meridional)


def _molecular_exchange(budget: _Budget, layers: Layers) -> None:
    """Vapour that diffuses between the three top layers, D = 2.2e-5 m2/s (1,000 hPa / p): some 1e-16 kg/kg/s."""
    top = slice(0, 3)
    height, vapour, mass = layers.height[:, top], budget.before.vapour[:, top], layers.mass[:, top]
    density = mass[:, 1:] / -np.gradient(height, axis=1)[:, 1:]
    flux = density * 2.2e-5 * 1e5 / layers.pressure[:, 1:3] * np.diff(vapour) / np.diff(height)  # downwards
    change = np.diff(np.pad(flux, ((0, 0), (1, 1)))) * -TIME_STEP / mass
    budget.water[:, top] += change
    budget.enthalpy[:, top] += LATENT_HEAT_VAPORISATION * change


def _turbulence(budget: _Budget, boundary: Boundary, layers: Layers) -> None:
    static, vapour, zonal, meridional = mixing(budget.before, boundary, layers)
    budget.water += vapour
    budget.enthalpy += static + LATENT_HEAT_VAPORISATION * vapour
    budget.winds += np.stack([zonal, meridional])


def _convect(budget: _Budget, layers: Layers) -> np.ndarray:
    """Adds the plume's changes; returns the rain it made in each layer, kg/m2."""
    vapour = budget.vapour()
    temperature = budget.temperature(vapour)
    winds = np.stack([budget.before.zonal, budget.before.meridional]) + budget.winds
    plume = convection(Air(temperature, vapour, saturation_humidity(temperature, layers.pressure), winds, layers))
    budget.water += plume.water
    budget.enthalpy += plume.energy
    budget.winds += plume.winds
    return plume.rain


def _condense_and_fall(budget: _Budget, convective_rain: np.ndarray, layers: Layers) -> Fallen:
    """Cloud condenses, splits into phases, rains out; all precipitation falls through the column."""
    low = slice(FIRST_LEVEL, None)
    vapour = budget.vapour()
    temperature = budget.temperature(vapour)
    cloud = budget.liquid + budget.ice
    formed = condensate(temperature, vapour + cloud, cloud, budget.ice, layers.pressure)
    temperature = temperature + LATENT_HEAT_VAPORISATION / HEAT_CAPACITY * (formed - cloud)
    liquid, ice = phases(formed, temperature)
    rain, snow = falling_out(liquid, ice, layers)
    budget.liquid[:, low], budget.ice[:, low] = (liquid - rain)[:, low], (ice - snow)[:, low]
    budget.water[:, low] -= (rain + snow)[:, low]
    frozen = convective_rain * (1.0 - liquid_fraction(temperature))
    rain_made = layers.mass * rain + (convective_rain - frozen)
    snow_made = layers.mass * snow + frozen
    budget.enthalpy[:, low] += (LATENT_HEAT_FUSION * snow_made / layers.mass)[:, low]
    vapour = budget.vapour()
    fallen = fall(rain_made, snow_made, budget.temperature(vapour), vapour, layers)
    budget.water += fallen.water
    budget.enthalpy += fallen.enthalpy
    return fallen


def _outputs(rays: Radiation, fallen: Fallen) -> Outputs:
    per_second = 1.0 / (TIME_STEP * WATER_DENSITY)
    return Outputs(
        net_solar=rays.net_solar,
        longwave_down=rays.longwave_down,
        snow=fallen.snow * per_second,
        precipitation=(fallen.rain + fallen.snow) * per_second,
        visible_direct=rays.direct[0],
        infrared_direct=rays.direct[1],
        visible_diffuse=rays.diffuse[0],
        infrared_diffuse=rays.diffuse[1],
    )
