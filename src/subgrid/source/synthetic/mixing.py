"""Vertical mixing by turbulence: a K-profile in the boundary layer, Richardson-dependent diffusion above it.

Mixed are dry static energy s = cp T + g z, vapour and both winds, from level 12 down; cloud is left alone. The
surface fluxes enter the lowest layer here: sensible heat, water vapour (LHFLX / Lv) and momentum (TAUX, TAUY).
"""

import numpy as np

from subgrid.physics.constants import (
    GAS_CONSTANT_DRY,
    GRAVITY,
    HEAT_CAPACITY,
    LATENT_HEAT_VAPORISATION,
)
from subgrid.schema.variables import TIME_STEP
from subgrid.source.synthetic.state import Boundary, Layers, State

FIRST_LEVEL = 12
"""Physics other than radiation acts from this level down, as in E3SM-MMF."""

_KARMAN = 0.4
_MIXING_LENGTH = 150.0  # m, asymptotic (Blackadar 1962)
_BACKGROUND = 0.3  # m2/s


def mixing(state: State, boundary: Boundary, layers: Layers) -> np.ndarray:
    """Changes in one step of s in J/kg, vapour in kg/kg, u and v in m/s: (4, column, 60).

    Implicit in time: m_k (x'_k - x_k) = G_k - G_{k+1} with the exchange G_k = c_k (x'_{k-1} - x'_k) through interface
    k, c = dt rho K / dz. The change is taken from the exchanges, so what one layer loses the next one gains.
    """
    s = HEAT_CAPACITY * state.temperature + GRAVITY * layers.height
    values = np.stack([s, state.vapour, state.zonal, state.meridional])[:, :, FIRST_LEVEL:]
    mass = layers.mass[:, FIRST_LEVEL:]
    exchange = np.zeros((mass.shape[0], mass.shape[1] + 1))
    exchange[:, 1:-1] = _exchange(state, boundary, layers)[:, FIRST_LEVEL:]
    surface = TIME_STEP * np.stack(
        [
            boundary.sensible_heat,
            boundary.latent_heat / LATENT_HEAT_VAPORISATION,
            boundary.zonal_stress,
            boundary.meridional_stress,
        ]
    )
    mixed = _solve(exchange, mass, values, surface)
    through = np.zeros(values.shape[:2] + (mass.shape[1] + 1,))
    through[:, :, 1:-1] = exchange[:, 1:-1] * (mixed[:, :, :-1] - mixed[:, :, 1:])
    through[:, :, -1] = -surface
    change = np.zeros((4, *state.vapour.shape))
    change[:, :, FIRST_LEVEL:] = (through[:, :, :-1] - through[:, :, 1:]) / mass
    return change


def _exchange(state: State, boundary: Boundary, layers: Layers) -> np.ndarray:
    """c = dt rho K / dz in kg/m2 at the 59 inner interfaces, (column, 59)."""
    temperature = (state.temperature[:, :-1] + state.temperature[:, 1:]) / 2
    pressure = (layers.pressure[:, :-1] + layers.pressure[:, 1:]) / 2
    height = (layers.height[:, :-1] + layers.height[:, 1:]) / 2
    distance = layers.height[:, :-1] - layers.height[:, 1:]
    lapse = (state.temperature[:, :-1] - state.temperature[:, 1:]) / distance
    stability = GRAVITY / temperature * (lapse + GRAVITY / HEAT_CAPACITY)
    shear = np.hypot(np.diff(state.zonal), np.diff(state.meridional)) / distance
    local = _local_diffusivity(height, stability, shear)
    diffusivity = local + _boundary_layer_diffusivity(state, boundary, layers, height)
    return TIME_STEP * pressure / (GAS_CONSTANT_DRY * temperature) * diffusivity / distance


def _local_diffusivity(height: np.ndarray, stability: np.ndarray, shear: np.ndarray) -> np.ndarray:
    """K = l^2 S f(Ri) + background in m2/s: f = sqrt(1 - 16 Ri) unstable, 1 / (1 + 5 Ri)^2 stable (Louis 1979)."""
    richardson = np.clip(stability / (shear**2 + 1e-7), -100.0, 1e4)
    damping = np.where(
        richardson < 0,
        np.sqrt(1.0 - 16.0 * np.minimum(richardson, 0.0)),
        (1.0 + 5.0 * np.maximum(richardson, 0.0)) ** -2,
    )
    length = _KARMAN * height / (1.0 + _KARMAN * height / _MIXING_LENGTH)
    return length**2 * np.maximum(shear, 1e-4) * damping + _BACKGROUND


def _boundary_layer_diffusivity(state: State, boundary: Boundary, layers: Layers, height: np.ndarray) -> np.ndarray:
    """K = 0.4 w z (1 - z/h)^2 in m2/s below the height h, (column, 59) (Troen and Mahrt 1986).

    h is where a parcel from the lowest layer, warmed by the surface, stops being lighter than the air around it;
    w^3 = u*^3 + 0.6 w*^3 joins the friction velocity and the convective velocity scale.
    """
    density = layers.pressure[:, -1] / (GAS_CONSTANT_DRY * state.temperature[:, -1])
    friction = np.sqrt(np.hypot(boundary.zonal_stress, boundary.meridional_stress) / density)
    virtual = HEAT_CAPACITY * state.temperature * (1.0 + 0.61 * state.vapour) + GRAVITY * layers.height
    heating = np.maximum(boundary.sensible_heat, 0.0) / (density * HEAT_CAPACITY)  # K m/s
    excess = 0.3 + np.minimum(3.0, 8.0 * heating / (friction + 0.1))
    buoyant = np.logical_and.accumulate(
        (virtual <= (virtual[:, -1] + HEAT_CAPACITY * excess)[:, None])[:, ::-1], axis=1
    )
    depth = np.max(np.where(buoyant[:, ::-1], layers.height, 0.0), axis=1)
    depth = np.clip(depth, 100.0 + 500.0 * friction, 4000.0)
    convective = GRAVITY / state.temperature[:, -1] * heating * depth
    velocity = np.cbrt(friction**3 + 0.6 * convective)
    inside = np.maximum(0.0, 1.0 - height / depth[:, None])
    return _KARMAN * velocity[:, None] * height * inside**2


def _solve(exchange: np.ndarray, mass: np.ndarray, values: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Thomas algorithm for the implicit step; ``exchange`` (column, n + 1), ``values`` (4, column, n)."""
    diagonal = np.ascontiguousarray((mass + exchange[:, :-1] + exchange[:, 1:]).T)
    right = mass * values
    right[:, :, -1] += surface
    right = np.ascontiguousarray(np.moveaxis(right, 2, 0))
    across = np.ascontiguousarray(exchange.T)
    ratio = np.empty_like(diagonal)
    ratio[0] = across[1] / diagonal[0]
    right[0] /= diagonal[0]
    for k in range(1, len(diagonal)):
        pivot = diagonal[k] - across[k] * ratio[k - 1]
        ratio[k] = across[k + 1] / pivot
        right[k] = (right[k] + across[k] * right[k - 1]) / pivot
    for k in reversed(range(len(diagonal) - 1)):
        right[k] += ratio[k] * right[k + 1]
    return np.moveaxis(right, 0, 2)
