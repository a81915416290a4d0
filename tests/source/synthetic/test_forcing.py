"""The stand-in for the dynamics: where it pulls, what it lifts, what it stirs."""

from dataclasses import replace

import numpy as np
import pytest

from subgrid.physics.pressure import midpoint_pressure
from subgrid.source.synthetic import forcing, reference
from subgrid.source.synthetic.forcing import _lift, _spread
from subgrid.source.synthetic.surface import surface_pressure

from .conftest import TIME


def test_forcing_pulls_towards_the_reference(case) -> None:
    target = reference(case.world, TIME)
    moved = forcing(case.world, case.state, TIME)
    before = np.abs(case.state.zonal - target.zonal)
    after = np.abs(moved.zonal - target.zonal)
    assert (after <= before).all()
    assert after.sum() == pytest.approx(before.sum(), rel=0.05) and after.sum() < before.sum()


def test_lifting_an_isothermal_layer_cools_it_by_g_over_cp_a_metre(case) -> None:
    state = replace(case.state, temperature=np.full((96, 60), 250.0))
    pressure = midpoint_pressure(case.grid, surface_pressure(case.world, TIME))
    lifted = _lift(case.world, state, pressure, TIME)
    ascent = (250.0 - lifted.temperature) / (1200.0 * 9.80616 / 1004.64)
    assert (ascent[:, :18] == 0).all() and 0.005 < np.abs(ascent).max() < 0.2
    upwards = case.world.weather("ascent", TIME) > 0
    assert (lifted.temperature[upwards] <= 250.0).all()


def test_water_stays_positive(case) -> None:
    moved = forcing(case.world, case.state, TIME)
    assert (moved.vapour > 0).all() and (moved.liquid >= 0).all() and (moved.ice >= 0).all()


def test_cloud_spreads_upwards_by_a_chain_of_shares_and_stops_at_the_least() -> None:
    cloud, share = np.zeros((1, 60)), np.full((1, 60), 1e-5)
    cloud[0, 28] = 1e-6
    found = _spread(cloud, share)[0]
    np.testing.assert_allclose(found[12:28], 1e-6 * 1e-5 ** np.arange(16, 0, -1.0) * (np.arange(16, 0, -1) <= 10))
    assert (found[:12] == 0).all()
