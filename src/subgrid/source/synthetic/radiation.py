"""Grey longwave and two-band shortwave radiation of a column with clouds.

Everything here is a function of the state and the boundary inputs as they stand in an ``mli`` file, so the fluxes at
the top, which ClimSim's outputs lack, can be computed again from a raw step or a row: ``radiation(...)`` gives
``outgoing_longwave`` and ``reflected_solar``.
"""

from dataclasses import dataclass

import numpy as np

from subgrid.physics.constants import STEFAN_BOLTZMANN
from subgrid.source.synthetic.state import Boundary, Layers, State

_DIFFUSIVITY = 1.66  # Elsasser's factor: mean slant path of diffuse radiation
_REFERENCE_PRESSURE = 1e5  # Pa, of the pressure broadening p / p0
_VISIBLE_SHARE = 0.47  # of the insolation; the rest is near infrared

# mass absorption in m2/kg of the substance named (of air for carbon dioxide; of air times mol/mol for trace gases)
_LONGWAVE = {"vapour": 0.065, "carbon dioxide": 5e-5, "ozone": 25.0, "methane": 10.0, "liquid": 70.0, "ice": 35.0}
_OZONE_VISIBLE = 15.0
_VAPOUR_INFRARED = 8e-3
_CLOUD_INFRARED = 1.5
_RAYLEIGH = 1e-5  # scattering of visible light per kg/m2 of air
_LIQUID_SCATTERING = 22.0  # 3 / (2 r rho) at 10 micrometres times (1 - g): similarity-scaled
_ICE_SCATTERING = 10.0
_BEAM_FACTOR = 2.5  # of the beam's scattering to the similarity-scaled one: not all of the forward peak stays in it
_UPWARD_SHARE = 0.25  # of the light that the beam loses to scattering


@dataclass(frozen=True)
class Radiation:
    """Fluxes in W/m2: ``heating`` is what each layer absorbs less what it emits, (column, 60); the others (column,).

    Sum of ``heating`` = SOLIN - reflected_solar - net_solar + LWUP - longwave_down - outgoing_longwave.
    ``direct`` and ``diffuse`` are (2, column): visible, near infrared, downwards at the surface.
    """

    heating: np.ndarray
    outgoing_longwave: np.ndarray
    reflected_solar: np.ndarray
    net_solar: np.ndarray
    longwave_down: np.ndarray
    direct: np.ndarray
    diffuse: np.ndarray


def radiation(state: State, boundary: Boundary, layers: Layers) -> Radiation:
    """Longwave and shortwave together; see the two functions below."""
    down, up = longwave_fluxes(state, boundary, layers)
    direct, diffuse, reflected = shortwave_fluxes(state, boundary, layers)
    longwave = down - up
    solar = (direct + diffuse - reflected).sum(axis=0)
    net = longwave + solar
    return Radiation(
        heating=net[:, :-1] - net[:, 1:],
        outgoing_longwave=up[:, 0],
        reflected_solar=reflected[:, :, 0].sum(axis=0),
        net_solar=solar[:, -1],
        longwave_down=down[:, -1],
        direct=direct[:, :, -1],
        diffuse=diffuse[:, :, -1],
    )


def longwave_fluxes(state: State, boundary: Boundary, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Downward and upward longwave flux at the 61 interfaces in W/m2, each (column, 61).

    Schwarzschild's equation for grey layers: F leaving = F entering (1 - e) + e sigma T^4 with the emissivity
    e = 1 - exp(-1.66 tau); nothing comes in at the top, the surface sends LWUP.
    """
    broadened = layers.pressure / _REFERENCE_PRESSURE
    depth = layers.mass * (
        _LONGWAVE["vapour"] * state.vapour * broadened
        + _LONGWAVE["carbon dioxide"]
        + _LONGWAVE["ozone"] * boundary.ozone
        + _LONGWAVE["methane"] * (boundary.methane + boundary.nitrous_oxide)
        + _LONGWAVE["liquid"] * state.liquid
        + _LONGWAVE["ice"] * state.ice
    )
    transmission = np.exp(-_DIFFUSIVITY * depth)
    emission = (1.0 - transmission) * STEFAN_BOLTZMANN * state.temperature**4
    transmission, emission = np.ascontiguousarray(transmission.T), np.ascontiguousarray(emission.T)
    levels, columns = transmission.shape
    down, up = np.zeros((levels + 1, columns)), np.empty((levels + 1, columns))
    up[-1] = boundary.longwave_up
    for level in range(levels):
        down[level + 1] = down[level] * transmission[level] + emission[level]
    for level in reversed(range(levels)):
        up[level] = up[level + 1] * transmission[level] + emission[level]
    return down.T, up.T


def shortwave_fluxes(state: State, boundary: Boundary, layers: Layers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Direct, diffuse downward and diffuse upward solar flux in W/m2, each (2, column, 61): visible, near infrared.

    The adding method for diffuse light (Liou 2002, section 6.4): a layer that scatters tau_s and absorbs tau_a
    reflects r = A x / (1 + x) and lets through t = A / (1 + x), x = 0.75 tau_s, A = exp(-1.66 tau_a). The direct beam
    loses 1 - exp(-tau_a / mu) to absorption, then 1 - exp(-2.5 tau_s / mu) to scattering, a quarter of this upwards.
    """
    sunlit = boundary.insolation > 0.0
    fluxes = np.zeros((3, 2, len(sunlit), layers.mass.shape[1] + 1))
    fluxes[:, :, sunlit] = _sunlit_fluxes(state.columns(sunlit), boundary.columns(sunlit), layers.columns(sunlit))
    return fluxes[0], fluxes[1], fluxes[2]


def _sunlit_fluxes(state: State, boundary: Boundary, layers: Layers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    absorbing, scattering = _solar_depths(state, boundary, layers)
    slant = np.maximum(boundary.cosine_zenith, 0.05)[:, None]
    x = 0.75 * scattering
    through = np.exp(-_DIFFUSIVITY * absorbing) / (1.0 + x)
    back = through * x
    kept = np.exp(-absorbing / slant)
    unscattered = np.exp(-_BEAM_FACTOR * scattering / slant)
    bands, columns, levels = absorbing.shape
    share = np.array([_VISIBLE_SHARE, 1.0 - _VISIBLE_SHARE])[:, None]
    direct = np.empty((bands, columns, levels + 1))
    direct[:, :, 0] = share * boundary.insolation
    direct[:, :, 1:] = direct[:, :, :1] * np.cumprod(kept * unscattered, axis=2)
    scattered = direct[:, :, :-1] * kept * (1.0 - unscattered)
    diffuse, up = _adding(through, back, scattered, direct[:, :, -1], boundary)
    return direct, diffuse, up


def _solar_depths(state: State, boundary: Boundary, layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Optical depths of absorption and of similarity-scaled scattering, each (2, column, 60)."""
    mass = layers.mass
    cloud = mass * (_LIQUID_SCATTERING * state.liquid + _ICE_SCATTERING * state.ice)
    vapour = _VAPOUR_INFRARED * mass * state.vapour * np.sqrt(layers.pressure / _REFERENCE_PRESSURE)
    absorbing = np.stack(
        [_OZONE_VISIBLE * mass * boundary.ozone, vapour + _CLOUD_INFRARED * mass * (state.liquid + state.ice)]
    )
    return absorbing, np.stack([cloud + _RAYLEIGH * mass, cloud])


def _adding(
    through: np.ndarray, back: np.ndarray, scattered: np.ndarray, ground: np.ndarray, boundary: Boundary
) -> tuple[np.ndarray, np.ndarray]:
    """Diffuse fluxes down and up from layer properties and the light that the beam loses; (2, column, 61) each."""
    through, back, scattered = (np.ascontiguousarray(np.moveaxis(x, 2, 0)) for x in (through, back, scattered))
    albedo = np.empty((len(through) + 1, *ground.shape))  # of all that lies below an interface
    source = np.empty_like(albedo)  # upward flux at an interface from what the beam lost below
    upwards, downwards = _UPWARD_SHARE * scattered, (1.0 - _UPWARD_SHARE) * scattered
    albedo[-1] = boundary.albedo_visible_diffuse, boundary.albedo_infrared_diffuse
    source[-1] = ground * np.stack([boundary.albedo_visible_direct, boundary.albedo_infrared_direct])
    bounces = np.empty_like(through)  # 1 / (1 - r R): light going to and fro between a layer and all below it
    for k in reversed(range(len(through))):
        bounces[k] = 1.0 / (1.0 - back[k] * albedo[k + 1])
        passed = through[k] * bounces[k]
        source[k] = upwards[k] + passed * (source[k + 1] + albedo[k + 1] * downwards[k])
        albedo[k] = back[k] + passed * through[k] * albedo[k + 1]
    diffuse = np.zeros_like(albedo)
    for k in range(len(through)):
        arriving = through[k] * diffuse[k] + downwards[k] + back[k] * source[k + 1]
        diffuse[k + 1] = arriving * bounces[k]
    up = source + albedo * diffuse
    return np.moveaxis(diffuse, 0, 2), np.moveaxis(up, 0, 2)
