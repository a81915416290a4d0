"""Everything that moves the state between two steps of physics: a stand-in for the large-scale dynamics.

``forcing(world, state, seconds)`` pulls the state towards a climate that waves travel through, lifts and sinks the air,
and stirs traces of cloud upwards. It is the other half of ``step(state) = physics(state) + forcing(state, time)``.
"""

import numpy as np

from subgrid.physics.constants import GAS_CONSTANT_DRY, GRAVITY, HEAT_CAPACITY
from subgrid.physics.moisture import VANISHING_LEVELS, liquid_fraction, saturation_humidity
from subgrid.physics.pressure import midpoint_pressure
from subgrid.schema.variables import TIME_STEP
from subgrid.source.steps import DAY
from subgrid.source.synthetic.mixing import FIRST_LEVEL
from subgrid.source.synthetic.state import State
from subgrid.source.synthetic.sun import declination
from subgrid.source.synthetic.surface import air_season, surface_pressure
from subgrid.source.synthetic.world import World

_RELAXATION = 1.0 * DAY  # in the troposphere; three times as long aloft
_STRATOSPHERIC_VAPOUR = 2.178e-6  # kg/kg
_LIQUID_ALOFT, _ICE_ALOFT = 2e-36, 4e-11  # kg/kg of cloud at levels where physics does not act
_TRACE, _BANKS = 1e-10, 1e-4  # kg/kg of cloud upstream: between the banks, and in them
_FIRST_BANK = 17  # no cloud arrives above this level
_EXCHANGE = 7_200.0  # s in which the wind replaces a column's cloud by what is upstream
_LEAST_CLOUD = 1e-58  # kg/kg: real steps hold nothing smaller


def reference(world: World, seconds: float) -> State:
    """The state that the forcing pulls to: jets, a moist troposphere, a dry stratosphere, and waves through all."""
    pressure = midpoint_pressure(world.grid, surface_pressure(world, seconds))
    temperature = _reference_temperature(world, seconds, pressure)
    depth = np.clip(pressure / 1e5, 0.0, 1.1)
    moisture = world.weather("humidity", seconds)
    dry = 1.0 * np.sin(2.0 * np.radians(world.lat))[:, None] ** 2
    relative = 1.0 / (1.0 + np.exp(0.3 + dry - 2.4 * depth**2 - 1.5 * moisture))
    tropospheric = 1.0 / (1.0 + np.exp((11_000.0 - pressure) / 1_500.0))
    saturation = np.minimum(saturation_humidity(temperature, pressure), 0.03)
    tropospheric = np.where(np.arange(pressure.shape[1]) < FIRST_LEVEL, 0.0, tropospheric)
    vapour = _STRATOSPHERIC_VAPOUR * (1.0 + 0.01 * moisture) * (1.0 - 0.5 * tropospheric)
    zonal, meridional = _reference_winds(world, seconds, pressure)
    liquid, ice = _reference_cloud(world, seconds, temperature)
    return State(
        temperature=temperature,
        vapour=vapour + tropospheric * relative * saturation,
        liquid=liquid,
        ice=ice,
        zonal=zonal,
        meridional=meridional,
    )


def _reference_temperature(world: World, seconds: float, pressure: np.ndarray) -> np.ndarray:
    """6.3 K/km up to a tropopause of 198 K (equator) to 218 K, a warm stratopause at 1.3 hPa, waves of 2 to 6 K."""
    surface = air_season(world, seconds)[:, None]
    height = 7_600.0 * np.log(101_300.0 / pressure)
    polar = np.sin(np.radians(world.lat))[:, None] ** 2
    season = np.sin(np.radians(world.lat))[:, None] * declination(seconds - 20 * DAY)
    lowest = 198.0 + 20.0 * polar + 25.0 * season * polar
    tropospheric = surface - 6.3e-3 * height
    mixed = lowest + 6.0 * np.logaddexp(0.0, (tropospheric - lowest) / 6.0)
    stratopause = (58.0 + 45.0 * season) * np.exp(-((np.log(pressure / 130.0) / 2.2) ** 2))
    weather = np.where(pressure > 1e4, 2.5, 2.0 + 2.0 * np.log(1e4 / pressure) / 3.0)
    return np.clip(mixed, 150.0, 330.0) + stratopause + weather * world.weather("temperature", seconds)


def _reference_winds(world: World, seconds: float, pressure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trades and westerlies at the ground, jets at 200 hPa, winter westerlies aloft; waves of 3 to 15 m/s."""
    latitude = np.radians(world.lat)[:, None]
    jet = 32.0 * np.sin(2.0 * latitude) ** 2 * np.exp(-((np.log(pressure / 2e4) / 0.9) ** 2))
    trades = -6.0 * np.cos(3.0 * latitude) * np.clip(pressure / 1e5, 0.0, 1.1) ** 3
    aloft = -80.0 * np.sin(2.0 * latitude) * declination(seconds) * np.exp(-((np.log(pressure / 200.0) / 2.0) ** 2))
    weather = 4.0 + 5.0 * np.exp(-((np.log(pressure / 2.5e4) / 0.8) ** 2)) + 12.0 * np.exp(-pressure / 500.0)
    zonal = jet + trades + aloft + weather * world.weather("zonal", seconds)
    return zonal, 0.8 * weather * world.weather("meridional", seconds)


def _reference_cloud(world: World, seconds: float, temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cloud upstream: banks of it that travel on their own below 100 hPa, traces between them, and traces alone aloft.

    Where physics does not act this is 2e-36 of liquid and 4e-11 kg/kg of ice, some 1e-11 kg/kg elsewhere.
    """
    pattern = np.exp(0.4 * world.weather("stirring", seconds))
    banks = _BANKS * np.maximum(world.weather("cloud", seconds) - 0.5, 0.0) ** 2
    level = np.arange(temperature.shape[1])
    low = (_TRACE * pattern + banks) * (level > VANISHING_LEVELS.stop)
    high = banks * (level > _FIRST_BANK) * (level <= VANISHING_LEVELS.stop)
    aloft = pattern * (level < FIRST_LEVEL)
    share = liquid_fraction(temperature)
    return _LIQUID_ALOFT * aloft + share * low, _ICE_ALOFT * aloft + (1.0 - share) * low + 0.4 * high


def forcing(world: World, state: State, seconds: float) -> State:
    """The state after one step of large-scale forcing at that time, from the state that physics left."""
    target = reference(world, seconds)
    pressure = midpoint_pressure(world.grid, surface_pressure(world, seconds))
    share = -np.expm1(-TIME_STEP / _RELAXATION / np.where(pressure < 1e4, 3.0, 1.0))
    lifted = _lift(world, state, pressure, seconds)
    liquid, ice = _stir(world, state, target, seconds)
    return State(
        temperature=lifted.temperature + share * (target.temperature - lifted.temperature),
        vapour=lifted.vapour + share * (target.vapour - lifted.vapour),
        liquid=liquid,
        ice=ice,
        zonal=state.zonal + share * (target.zonal - state.zonal),
        meridional=state.meridional + share * (target.meridional - state.meridional),
    )


def _lift(world: World, state: State, pressure: np.ndarray, seconds: float) -> State:
    """Large-scale ascent w of some cm/s, none at ground and 100 hPa: dT/dt = -w (dT/dz + g/cp), dq/dt = -w dq/dz."""
    shape = np.clip((pressure - 1e4) / 9e4, 0.0, 1.0)
    ascent = 0.03 * 4.0 * shape * (1.0 - shape) * world.weather("ascent", seconds)
    spacing = np.gradient(np.log(pressure), axis=1)
    per_metre = -GRAVITY / (GAS_CONSTANT_DRY * state.temperature * spacing)  # d(level)/dz
    lapse = np.gradient(state.temperature, axis=1) * per_metre
    moistening = -ascent * np.gradient(state.vapour, axis=1) * per_metre
    change = TIME_STEP * moistening
    return State(
        temperature=state.temperature - TIME_STEP * ascent * (lapse + GRAVITY / HEAT_CAPACITY),
        vapour=state.vapour + np.clip(change, -0.5 * state.vapour, 0.5 * state.vapour),
        liquid=state.liquid,
        ice=state.ice,
        zonal=state.zonal,
        meridional=state.meridional,
    )


def _stir(world: World, state: State, target: State, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Cloud that the wind brings from upstream and carries into neighbouring layers: 1e-4 or so of the layers beside.

    At levels 12-27, where physics removes all cloud liquid, this makes the chain of ever smaller values, down to
    1e-58, that real steps show; above, where physics does not act, cloud follows a travelling pattern around 2e-36.
    """
    share = 1e-4 * np.maximum(world.weather("stirring", seconds) + 1.8, 0.0) ** 2
    aloft = slice(0, FIRST_LEVEL)
    arriving = TIME_STEP / _EXCHANGE
    liquid = _spread(state.liquid + arriving * (target.liquid - state.liquid), share)
    ice = _spread(state.ice + arriving * (target.ice - state.ice), 100.0 * share)
    liquid[:, aloft], ice[:, aloft] = target.liquid[:, aloft], target.ice[:, aloft]
    return liquid, ice


def _spread(cloud: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Cloud in kg/kg with shares of the layer below, from the ground up, then of the layer above where it is dense."""
    cloud, share = cloud.T.copy(), share.T.copy()
    for k in range(len(cloud) - 2, FIRST_LEVEL - 1, -1):
        cloud[k] += share[k] * cloud[k + 1]
    for k in range(VANISHING_LEVELS.stop + 2, len(cloud)):
        cloud[k] += share[k] * cloud[k - 1]
    return np.where(cloud < _LEAST_CLOUD, 0.0, cloud).T.copy()
