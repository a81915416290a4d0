"""Turbulent mixing against a dense linear solve and its conservation laws."""

from dataclasses import replace

import numpy as np
import pytest

from subgrid.source.synthetic import mixing
from subgrid.source.synthetic.state import Layers


@pytest.fixture
def layers(case) -> Layers:
    return Layers.of(case.state.temperature, case.boundary.surface_pressure, case.grid)


def test_solver_agrees_with_a_dense_linear_solve() -> None:
    rng = np.random.default_rng(0)
    exchange = np.pad(rng.uniform(0, 500, (2, 9)), ((0, 0), (1, 1)))
    mass, values, surface = rng.uniform(50, 200, (2, 10)), rng.normal(size=(4, 2, 10)), rng.normal(size=(4, 2))
    found = mixing._solve(exchange, mass, values, surface)
    for column in range(2):
        matrix = np.diag(mass[column] + exchange[column, :-1] + exchange[column, 1:])
        matrix -= np.diag(exchange[column, 1:-1], 1) + np.diag(exchange[column, 1:-1], -1)
        for field in range(4):
            right = mass[column] * values[field, column]
            right[-1] += surface[field, column]
            np.testing.assert_allclose(found[field, column], np.linalg.solve(matrix, right), rtol=1e-12)


def test_column_gains_what_the_surface_gives(case, layers) -> None:
    total = (layers.mass * mixing.mixing(case.state, case.boundary, layers)).sum(axis=2) / 1200.0
    given = case.boundary
    for found, expected, scale in zip(
        total,
        (given.sensible_heat, given.latent_heat / 2.501e6, given.zonal_stress, given.meridional_stress),
        (100.0, 1e-4, 0.1, 0.1),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * scale)


def test_mixing_makes_no_new_extremes_of_wind(case, layers) -> None:
    calm = replace(case.boundary, zonal_stress=np.zeros(96))
    after = case.state.zonal + mixing.mixing(case.state, calm, layers)[2]
    low = case.state.zonal[:, 12:]
    assert (after[:, 12:].max(axis=1) <= low.max(axis=1) + 1e-12).all()
    assert (after[:, 12:].min(axis=1) >= low.min(axis=1) - 1e-12).all()


def test_stable_air_mixes_less_than_unstable_air() -> None:
    height, shear = np.full((1, 3), 1000.0), np.full((1, 3), 5e-3)
    stability = np.array([[-1e-5, 1e-5, 1e-3]])
    weak = mixing._local_diffusivity(height, stability, shear)[0]
    assert weak[0] > weak[1] > weak[2] > 0


def test_a_warmer_ground_raises_the_boundary_layer(case, layers) -> None:
    height = (layers.height[:, :-1] + layers.height[:, 1:]) / 2
    depths = []
    for flux in (0.0, 300.0):
        heated = replace(case.boundary, sensible_heat=np.full(96, flux))
        profile = mixing._boundary_layer_diffusivity(case.state, heated, layers, height)
        depths.append((profile > 0).sum(axis=1))
    assert (depths[1] >= depths[0]).all() and (depths[1] > depths[0]).any()
