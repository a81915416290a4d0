"""The budgets of a column from what stands in its files, and the properties an emulator may count on."""

from pathlib import Path

import numpy as np
import pytest

from subgrid.physics.energy import column_enthalpy, column_water
from subgrid.physics.pressure import layer_mass
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic import Boundary, State, physics, top_fluxes

from .conftest import pairs_below, read

LV, LF, RHO = 2.501e6, 3.337e5, 1000.0


@pytest.fixture(scope="module")
def grid(synthetic_source: Path) -> Grid:
    return Grid.read(next(synthetic_source.glob("*_grid-info.nc")))


def rows(mli: Path, mlo: Path) -> tuple[np.ndarray, np.ndarray]:
    """A step as float64 rows of the ``kaggle`` set, written out here: 556 inputs and 368 targets a column."""
    before, after = read(mli), read(mlo)
    variables = variable_set("kaggle")
    inputs = [before[item.name].reshape(-1, item.levels) for item in variables.inputs]
    targets = [
        ((after[item.state] - before[item.state]) / 1200.0 if item.state else after[item.name]).reshape(-1, item.levels)
        for item in variables.targets
    ]
    return np.concatenate(inputs, axis=1), np.concatenate(targets, axis=1)


def unpacked(inputs: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    variables = variable_set("kaggle")
    named = {item.name: inputs[:, variables.input_slices[item.name]] for item in variables.inputs}
    named |= {item.name: targets[:, variables.target_slices[item.name]] for item in variables.targets}
    return {name: values[:, 0] if values.shape[1] == 1 else values for name, values in named.items()}


def assert_closed(change: np.ndarray, gains: list[np.ndarray]) -> None:
    """``change`` is the sum of ``gains`` to 1e-12 of the largest of all these terms, in every column."""
    largest = np.max(np.abs([change, *gains]), axis=0)
    assert (np.abs(change - sum(gains)) <= 1e-12 * largest).all()


def test_rows_close_the_budgets_of_water_energy_and_momentum(synthetic_source: Path, grid: Grid) -> None:
    pairs = pairs_below(synthetic_source)
    assert len(pairs) == 19
    for pair in pairs:
        row = unpacked(*rows(*pair))
        mass = layer_mass(grid, row["state_ps"])
        water = column_water(mass, row["ptend_q0001"], row["ptend_q0002"], row["ptend_q0003"])
        assert_closed(water, [row["pbuf_LHFLX"] / LV, -RHO * row["cam_out_PRECC"]])
        energy = column_enthalpy(mass, row["ptend_t"], row["ptend_q0001"], row["ptend_q0003"])
        longwave_out, reflected = top_fluxes(State.of(row), Boundary.of(row), grid)
        surface = [
            row["pbuf_LHFLX"],
            row["pbuf_SHFLX"],
            row["cam_in_LWUP"],
            -row["cam_out_FLWDS"],
            -row["cam_out_NETSW"],
        ]
        top = [row["pbuf_SOLIN"], -reflected, -longwave_out]
        assert_closed(energy, [*surface, *top, LF * RHO * row["cam_out_PRECSC"]])
        for wind, stress in (("ptend_u", "pbuf_TAUX"), ("ptend_v", "pbuf_TAUY")):
            momentum = np.sum(mass * row[wind], axis=1)
            np.testing.assert_allclose(momentum, row[stress], rtol=0, atol=3e-14)  # N/m2: rounding of winds of 50 m/s


def test_the_budgets_are_not_trivial(synthetic_source: Path) -> None:
    row = unpacked(*rows(*pairs_below(synthetic_source)[0]))
    assert row["cam_out_PRECC"].max() > 1e-8 and np.abs(row["pbuf_LHFLX"]).max() > 50
    assert (row["cam_out_PRECSC"] <= row["cam_out_PRECC"]).all()


def test_columns_are_independent_to_the_bit(case) -> None:
    whole, outputs = physics(case.state, case.boundary, case.grid)
    part = slice(17, 23)
    few, few_outputs = physics(case.state.columns(part), case.boundary.columns(part), case.grid)
    for name, values in {**few.variables(), **few_outputs.variables()}.items():
        expected = {**whole.variables(), **outputs.variables()}[name][part]
        np.testing.assert_array_equal(values, expected, err_msg=name)


def test_inputs_are_left_as_they_were(case) -> None:
    before = {name: values.copy() for name, values in (case.state.variables() | case.boundary.variables()).items()}
    physics(case.state, case.boundary, case.grid)
    for name, values in (case.state.variables() | case.boundary.variables()).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_water_never_turns_negative(case) -> None:
    after, outputs = physics(case.state, case.boundary, case.grid)
    assert (after.vapour > 0).all() and (after.liquid >= 0).all() and (after.ice >= 0).all()
    assert (outputs.snow >= 0).all() and (outputs.precipitation >= outputs.snow).all()


def test_a_row_without_snow_on_ice_is_enough(case) -> None:
    row = case.state.variables() | case.boundary.variables()
    del row["cam_in_SNOWHICE"]
    after, _ = physics(State.of(row), Boundary.of(row), case.grid)
    np.testing.assert_array_equal(after.temperature, physics(case.state, case.boundary, case.grid)[0].temperature)
