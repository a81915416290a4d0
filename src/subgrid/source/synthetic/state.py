"""What a step of the synthetic climate carries: state, boundary inputs and outputs, and their names in files.

All arrays are float64 with columns first: profiles are (column, 60) with level 0 on top, scalars (column,). The field
metadata hold ClimSim's names, so a raw step or a row of a data set turns into these objects and back without a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from subgrid.physics.constants import GAS_CONSTANT_DRY
from subgrid.physics.pressure import layer_mass, midpoint_pressure
from subgrid.schema.grid import Grid

FILL = 1e30
"""What SNOWHICE holds where there is no sea ice."""


def _named(name: str) -> Any:
    return field(metadata={"variable": name})


class _ByColumn:
    """Dataclasses of arrays with columns first."""

    def columns(self, part: slice | np.ndarray) -> Self:
        """The same for some of the columns: a slice, or a mask."""
        return type(self)(**{item.name: getattr(self, item.name)[part] for item in fields(self)})  # type: ignore[arg-type]


class _Named(_ByColumn):
    """Those whose fields also know ClimSim's names."""

    @classmethod
    def of(cls, variables: Mapping[str, np.ndarray]) -> Self:
        """From arrays by ClimSim's names; an absent SNOWHICE (not in the ``kaggle`` set) counts as fill."""
        values = {}
        for item in fields(cls):  # type: ignore[arg-type]
            name = item.metadata["variable"]
            absent = name == "cam_in_SNOWHICE" and name not in variables
            array = np.full(np.shape(variables["state_ps"]), FILL) if absent else variables[name]
            values[item.name] = np.ascontiguousarray(array, dtype=np.float64)
        return cls(**values)

    @classmethod
    def names(cls) -> list[str]:
        """ClimSim's names of the fields."""
        return [item.metadata["variable"] for item in fields(cls)]  # type: ignore[arg-type]

    def variables(self) -> dict[str, np.ndarray]:
        """The arrays by ClimSim's names."""
        return {item.metadata["variable"]: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Columns of several parts behind one another."""
        return cls(
            **{item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)}  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class State(_Named):
    """Temperature in K, vapour, cloud liquid and cloud ice in kg/kg, winds in m/s; each (column, 60)."""

    temperature: np.ndarray = _named("state_t")
    vapour: np.ndarray = _named("state_q0001")
    liquid: np.ndarray = _named("state_q0002")
    ice: np.ndarray = _named("state_q0003")
    zonal: np.ndarray = _named("state_u")
    meridional: np.ndarray = _named("state_v")


@dataclass(frozen=True)
class Boundary(_Named):
    """What physics is told from outside, in ClimSim's units: surface fluxes positive upwards, stress on the air."""

    surface_pressure: np.ndarray = _named("state_ps")
    insolation: np.ndarray = _named("pbuf_SOLIN")
    cosine_zenith: np.ndarray = _named("pbuf_COSZRS")
    latent_heat: np.ndarray = _named("pbuf_LHFLX")
    sensible_heat: np.ndarray = _named("pbuf_SHFLX")
    zonal_stress: np.ndarray = _named("pbuf_TAUX")
    meridional_stress: np.ndarray = _named("pbuf_TAUY")
    albedo_visible_direct: np.ndarray = _named("cam_in_ASDIR")
    albedo_visible_diffuse: np.ndarray = _named("cam_in_ASDIF")
    albedo_infrared_direct: np.ndarray = _named("cam_in_ALDIR")
    albedo_infrared_diffuse: np.ndarray = _named("cam_in_ALDIF")
    longwave_up: np.ndarray = _named("cam_in_LWUP")
    ice_fraction: np.ndarray = _named("cam_in_ICEFRAC")
    land_fraction: np.ndarray = _named("cam_in_LANDFRAC")
    ocean_fraction: np.ndarray = _named("cam_in_OCNFRAC")
    snow_on_ice: np.ndarray = _named("cam_in_SNOWHICE")
    snow_on_land: np.ndarray = _named("cam_in_SNOWHLAND")
    ozone: np.ndarray = _named("pbuf_ozone")
    methane: np.ndarray = _named("pbuf_CH4")
    nitrous_oxide: np.ndarray = _named("pbuf_N2O")


@dataclass(frozen=True)
class Outputs(_Named):
    """What physics tells the surface: downward fluxes in W/m2 and precipitation in m/s of liquid water; (column,)."""

    net_solar: np.ndarray = _named("cam_out_NETSW")
    longwave_down: np.ndarray = _named("cam_out_FLWDS")
    snow: np.ndarray = _named("cam_out_PRECSC")
    precipitation: np.ndarray = _named("cam_out_PRECC")
    visible_direct: np.ndarray = _named("cam_out_SOLS")
    infrared_direct: np.ndarray = _named("cam_out_SOLL")
    visible_diffuse: np.ndarray = _named("cam_out_SOLSD")
    infrared_diffuse: np.ndarray = _named("cam_out_SOLLD")


@dataclass(frozen=True)
class Layers(_ByColumn):
    """Where the 60 layers of every column stand: mass in kg/m2, pressure in Pa, height above ground in m."""

    mass: np.ndarray
    pressure: np.ndarray
    height: np.ndarray

    @classmethod
    def of(cls, temperature: np.ndarray, surface_pressure: np.ndarray, grid: Grid) -> "Layers":
        """Hydrostatic heights: dz = Rd T dp / (g p) of each layer, added from the ground to its middle."""

        mass = layer_mass(grid, surface_pressure)
        pressure = midpoint_pressure(grid, surface_pressure)
        thickness = GAS_CONSTANT_DRY * temperature * mass / pressure
        above_ground = np.cumsum(thickness[:, ::-1], axis=1)[:, ::-1]
        return cls(mass, pressure, above_ground - thickness / 2)
