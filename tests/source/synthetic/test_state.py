"""States and boundaries by ClimSim's names."""

import numpy as np

from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic.state import Boundary, Layers, Outputs, State


def test_names_are_those_of_the_widest_set() -> None:
    inputs = {item.name for item in variable_set("v2").inputs}
    assert set(State.names()) | set(Boundary.names()) == inputs and not set(State.names()) & set(Boundary.names())
    assert set(Outputs.names()) == {item.name for item in variable_set("v2").targets if not item.state}


def test_round_trip_and_parts(case) -> None:
    again = State.of(case.state.variables() | {"state_ps": case.boundary.surface_pressure})
    joined = State.join([again.columns(slice(0, 40)), again.columns(slice(40, 96))])
    for name, values in case.state.variables().items():
        np.testing.assert_array_equal(joined.variables()[name], values)


def test_layers_of_an_isothermal_atmosphere_stand_at_the_barometric_height(case) -> None:
    temperature = np.full((96, 60), 250.0)
    layers = Layers.of(temperature, case.boundary.surface_pressure, case.grid)
    expected = 287.0 * 250.0 / 9.80616 * np.log(case.boundary.surface_pressure[:, None] / layers.pressure)
    np.testing.assert_allclose(layers.height[:, 20:], expected[:, 20:], rtol=0.02, atol=3.0)
