"""Boundary inputs of physics: sun, ground, sea ice, snow, surface fluxes by bulk formulas, trace gases."""

import numpy as np

from subgrid.physics.constants import (
    GAS_CONSTANT_DRY,
    GRAVITY,
    HEAT_CAPACITY,
    LATENT_HEAT_VAPORISATION,
    STEFAN_BOLTZMANN,
)
from subgrid.physics.moisture import saturation_humidity
from subgrid.physics.pressure import layer_mass
from subgrid.schema.variables import TIME_STEP
from subgrid.source.steps import DAY
from subgrid.source.synthetic.state import FILL, Boundary, State
from subgrid.source.synthetic.sun import cosine_zenith, declination, insolation
from subgrid.source.synthetic.world import World

_SEA_ICE_POINT = 271.35  # K
_METHANE, _NITROUS_OXIDE = 9.986e-7, 4.909e-7  # mol/mol, well mixed; ClimSim's values
_WELL_MIXED = 27  # both gases are exactly constant from this level down


def surface_pressure(world: World, seconds: float) -> np.ndarray:
    """Pa: 1,013 hPa reduced to the height of the ground, with travelling highs and lows of 6 hPa."""
    weather = 600.0 * world.weather_at_ground("pressure", seconds) * np.cos(np.radians(world.lat)) ** 0.5
    return (101_300.0 + weather) * np.exp(-world.height / 8_000.0)


def air_season(world: World, seconds: float) -> np.ndarray:
    """Sea-level temperature in K by latitude and season: 301 K under the sun's mean path, 45 K less at the poles."""
    shift = np.degrees(declination(seconds - 40 * DAY)) * 0.35
    distance = np.sin(np.radians(np.clip(world.lat - shift, -90.0, 90.0))) ** 2
    return 301.0 - 30.0 * distance - 17.0 * distance**3


def ground_temperature(world: World, seconds: float) -> np.ndarray:
    """K: sea never below freezing where open; land follows height, season and the hour of the day (warmest at 14 h)."""
    sea = air_season(world, seconds) + 1.5 * world.weather_at_ground("temperature", 0.1 * seconds)
    noon = cosine_zenith(seconds - 2 * 3600, world.lat, world.lon)
    mean = np.maximum(0.0, np.cos(np.radians(world.lat) - declination(seconds))) / np.pi
    season = 8.0 * np.sin(np.radians(world.lat)) * np.sin(declination(seconds - 20 * DAY)) / np.sin(np.radians(23.44))
    land = sea + season - 5e-3 * world.height + 28.0 * (noon - mean)
    return world.land * land + (1.0 - world.land) * sea


def boundary(world: World, state: State, seconds: float) -> Boundary:
    """All inputs of physics besides the state, for that state at that time."""
    pressure = surface_pressure(world, seconds)
    cosine = cosine_zenith(seconds, world.lat, world.lon)
    ground = ground_temperature(world, seconds)
    ice = (1.0 - world.land) * np.clip((_SEA_ICE_POINT + 0.5 - ground) / 6.0, 0.0, 0.98)
    snow = np.clip((272.0 - ground) / 15.0, 0.0, 1.0) * (world.land > 0)
    latent, sensible, zonal, meridional = _bulk_fluxes(world, state, pressure, ground, ice)
    albedos = _albedos(world, cosine, ice, snow)
    ozone, methane, nitrous_oxide = _gases(world, seconds)
    return Boundary(
        surface_pressure=pressure,
        insolation=insolation(seconds, cosine),
        cosine_zenith=cosine,
        latent_heat=latent,
        sensible_heat=sensible,
        zonal_stress=zonal,
        meridional_stress=meridional,
        albedo_visible_direct=albedos[0],
        albedo_visible_diffuse=albedos[1],
        albedo_infrared_direct=albedos[2],
        albedo_infrared_diffuse=albedos[3],
        longwave_up=STEFAN_BOLTZMANN * ground**4,
        ice_fraction=ice,
        land_fraction=world.land,
        ocean_fraction=1.0 - world.land - ice,
        snow_on_ice=np.where(ice > 0, np.clip((_SEA_ICE_POINT - ground) / 40.0, 0.0, 0.8), FILL),
        snow_on_land=snow**2,
        ozone=ozone,
        methane=methane,
        nitrous_oxide=nitrous_oxide,
    )


def _bulk_fluxes(
    world: World, state: State, pressure: np.ndarray, ground: np.ndarray, ice: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """LHFLX and SHFLX in W/m2, TAUX and TAUY in N/m2 (on the air: against the wind), from the lowest layer.

    E = rho C |U| b (q*(Ts) - q), H = rho cp C |U| (Ts - T - g z / cp), tau = -rho C |U| u; |U| at least 2 m/s,
    C = 1.2e-3 over sea to 3e-3 over land, less in stable air for heat and vapour; b = 1 over water to 0.35 over land
    (Hartmann 1994, section 4.5).
    """
    temperature, vapour = state.temperature[:, -1], state.vapour[:, -1]
    zonal, meridional = state.zonal[:, -1], state.meridional[:, -1]
    mass = layer_mass(world.grid, pressure)[:, -1]
    density = pressure / (GAS_CONSTANT_DRY * temperature)
    height = mass / density / 2.0
    exchange = density * (1.2e-3 + 1.8e-3 * world.land) * np.hypot(np.hypot(zonal, meridional), 2.0)
    exchange = np.minimum(exchange, 0.1 * mass / TIME_STEP)
    wetness = 1.0 - 0.65 * world.land - 0.3 * ice
    warmth = ground - temperature - GRAVITY * height / HEAT_CAPACITY
    exchange_heat = exchange / (1.0 + 0.4 * np.maximum(-warmth, 0.0))
    deficit = saturation_humidity(ground, pressure) - vapour
    evaporation = exchange_heat * wetness * np.maximum(deficit, -0.5 * vapour)
    sensible = HEAT_CAPACITY * exchange_heat * warmth
    return LATENT_HEAT_VAPORISATION * evaporation, sensible, -exchange * zonal, -exchange * meridional


def _albedos(world: World, cosine: np.ndarray, ice: np.ndarray, snow: np.ndarray) -> np.ndarray:
    """Visible direct, visible diffuse, infrared direct, infrared diffuse, (4, column); 1 at night as in E3SM.

    Water by the sun's height (Briegleb et al. 1986), 0.06 for diffuse light.
    """
    low = 0.026 / (cosine**1.7 + 0.065) + 0.15 * (cosine - 0.1) * (cosine - 0.5) * (cosine - 1.0)
    water = np.stack([low, np.full_like(low, 0.06), low, np.full_like(low, 0.06)])
    bare = np.array([0.09, 0.09, 0.22, 0.22])[:, None]
    white = np.array([0.85, 0.82, 0.6, 0.57])[:, None]
    ground = snow * white + (1.0 - snow) * bare
    albedo = world.land * ground + ice * white + (1.0 - world.land - ice) * water
    return np.where(cosine > 0.0, np.minimum(albedo, 1.0), 1.0)


def _gases(world: World, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ozone, methane and nitrous oxide in mol/mol, (column, 60) each.

    Ozone peaks at 10 hPa and has less below over the equator; the other two fall off above level 27 with a power of
    pressure that grows towards the poles, and are constant from there down.
    """
    pressure = world.nominal_pressure
    depth = np.log(pressure / 1_000.0)
    polar = np.sin(np.radians(world.lat))[:, None] ** 2
    tilt = np.sin(np.radians(world.lat))[:, None] * declination(seconds - 60 * DAY)
    width = np.where(depth < 0.0, 2.45, 1.35 + 0.35 * polar)
    weather = 1.0 + 0.08 * world.weather("stirring", seconds)
    ozone = (1.4e-5 * (1.0 + 0.3 * tilt) * np.exp(-((depth / width) ** 2)) + 4.6e-8 * (1.0 + 0.3 * polar)) * weather
    exponent = 0.2 + 0.25 * polar * (1.0 + 0.5 * tilt) + 0.01 * world.weather("humidity", seconds)
    aloft = np.where(np.arange(pressure.size) < _WELL_MIXED, np.log(pressure / pressure[_WELL_MIXED]), 0.0)
    return ozone, _METHANE * np.exp(exponent * aloft), _NITROUS_OXIDE * np.exp(1.3 * exponent * aloft)
