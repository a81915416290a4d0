"""What storing a value costs: nothing in float64, 2**-24 of it in float32, whatever its magnitude."""

import warnings
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import InputError
from subgrid.records.stored import LARGEST, SMALLEST, Storage
from subgrid.schema.variable_sets import VARIABLE_SETS, VariableSet

V2 = VARIABLE_SETS["v2"]
WATER = ("state_q0002", "ptend_q0002")  # exponent 120


def storage(side: str, single: bool, variables: VariableSet = V2) -> Storage:
    if side == "inputs":
        return Storage(variables.inputs, variables.input_slices, variables.input_exponents, single)
    return Storage(variables.targets, variables.target_slices, variables.target_exponents, single)


def scaled(of: Storage, values: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    stored = values.copy()
    lost = of.scale(stored, (values.min(axis=1), values.max(axis=1)), "file.nc")
    return stored, lost


def filled(of: Storage, name: str, numbers: list[float], other: float = 1.0) -> np.ndarray:
    """Values of all columns, those of one variable as given at its first level."""
    values = np.full((of.exponents.size, len(numbers)), other)
    values[of.slices[name].start] = numbers
    return values


@st.composite
def magnitudes(draw: st.DrawFn, low: int, high: int) -> float:
    return float(np.ldexp(draw(st.sampled_from([-1, 1])) * draw(st.floats(1, 2)), draw(st.integers(low, high))))


@given(st.sampled_from(WATER), st.lists(magnitudes(-200, 6), min_size=1, max_size=20))
def test_cloud_water_of_any_magnitude_keeps_24_bits(name: str, numbers: list[float]) -> None:
    of = storage("inputs" if name == "state_q0002" else "targets", True)
    stored, lost = scaled(of, filled(of, name, numbers))
    assert lost == {}
    single = stored[of.slices[name].start].astype(np.float32)
    for number, kept in zip(numbers, single, strict=True):
        error = Fraction(float(kept)) / Fraction(2) ** 120 - Fraction(number)
        assert abs(error) <= Fraction(2) ** -24 * abs(Fraction(number))


@given(st.sampled_from(list(V2.targets)), st.lists(magnitudes(-200, 10), min_size=1, max_size=10))
def test_what_every_variable_promises(variable, numbers: list[float]) -> None:  # type: ignore[no-untyped-def]
    """Below 2**-(126 + k) zero and counted, above it within 2**-24, beyond float32 refused; in exact arithmetic."""
    of = storage("targets", True)
    exact = [Fraction(number) * 2**variable.exponent for number in numbers]
    if max(map(abs, exact)) > Fraction(LARGEST):
        with pytest.raises(InputError, match=variable.name):
            scaled(of, filled(of, variable.name, numbers))
        return
    stored, lost = scaled(of, filled(of, variable.name, numbers))
    single = [Fraction(float(np.float32(value))) for value in stored[of.slices[variable.name].start]]
    tiny = [abs(value) < Fraction(SMALLEST) for value in exact]
    assert lost == ({variable.name: sum(tiny)} if any(tiny) else {})
    for value, kept, flushed in zip(exact, single, tiny, strict=True):
        assert kept == 0 if flushed else abs(kept - value) <= abs(value) / 2**24


@given(st.lists(magnitudes(-200, 10), min_size=1, max_size=10), st.sampled_from(["inputs", "targets"]))
def test_float64_is_exact(numbers: list[float], side: str) -> None:
    of = storage(side, False)
    for item in of.variables:
        stored, lost = scaled(of, filled(of, item.name, numbers))
        kept = np.ldexp(stored[of.slices[item.name].start], -item.exponent)
        assert kept.tolist() == numbers and lost == {}


def test_the_flushed_are_counted_by_variable_and_zeros_are_not() -> None:
    """Real steps hold cam_out_SOLS down to 1e-316."""
    of = storage("targets", True)
    values = np.zeros((of.exponents.size, 4))
    values[of.slices["cam_out_SOLS"]] = [1e-316, 0.0, -1e-39, 2.0**-126]
    values[of.slices["cam_out_SOLL"]] = [5.0, 1e-40, 0.0, 0.0]
    values[of.slices["ptend_q0002"]] = 2.0**-246
    values[of.slices["ptend_q0001"]] = 2.0**-191
    stored, lost = scaled(of, values)
    assert lost == {"ptend_q0001": 240, "cam_out_SOLS": 2, "cam_out_SOLL": 1}
    np.testing.assert_array_equal(stored[of.slices["cam_out_SOLS"]], [[0.0, 0.0, 0.0, 2.0**-126]])
    np.testing.assert_array_equal(stored[of.slices["cam_out_SOLL"]], [[5.0, 0.0, 0.0, 0.0]])
    assert (stored[of.slices["ptend_q0002"]] == 2.0**-126).all() and not stored[of.slices["ptend_q0001"]].any()


def test_what_float32_cannot_hold_is_refused_by_file_and_variable() -> None:
    of = storage("inputs", True)
    largest = LARGEST * 2.0**-120
    assert scaled(of, filled(of, "state_q0002", [largest, -largest]))[1] == {}
    for number in (np.nextafter(largest, 1e9), -600.0):
        with pytest.raises(InputError, match=r"^file\.nc: state_q0002 reaches .* kg/kg.*2\*\*120; .*--float64"):
            scaled(of, filled(of, "state_q0002", [number, 0.0]))
    assert scaled(storage("inputs", False), filled(of, "state_q0002", [600.0]))[0].max() == 600.0 * 2.0**120


def test_the_fill_value_fits() -> None:
    of = storage("inputs", True)
    stored, lost = scaled(of, filled(of, "cam_in_SNOWHICE", [1e30, 0.5]))
    assert lost == {} and np.float32(stored[of.slices["cam_in_SNOWHICE"]]).tolist() == [[np.float32(1e30), 0.5]]


def test_columns_without_samples_are_no_overflow() -> None:
    """A variable that is all fill has limits of plus and minus infinity."""
    of = storage("inputs", True)
    values = np.ones((of.exponents.size, 2))
    assert of.scale(values, (values[:, 0] * np.inf, values[:, 0] * -np.inf), "file.nc") == {}


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    """Scaling must not warn about what it handles."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def test_exponents_are_the_designs() -> None:
    assert {item.name: item.exponent for item in V2.inputs + V2.targets if item.exponent} == {
        **dict.fromkeys(("state_q0001", "state_q0003", "ptend_q0001", "ptend_q0003"), 64),
        **dict.fromkeys(WATER, 120),
    }
