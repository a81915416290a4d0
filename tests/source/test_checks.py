"""What stops a build and what it is told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from subgrid.errors import InputError
from subgrid.schema.variables import TABLE, variable
from subgrid.source.checks import check_range

PRESSURE, SNOW = variable("state_ps"), variable("cam_in_SNOWHICE")


def column(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float64)


def test_the_closed_range_passes_in_any_shape_and_byte_order() -> None:
    for item in TABLE.values():
        values = np.array([item.low, item.high, (item.low + item.high) / 2])
        check_range(item, values, "file")
        check_range(item, values.reshape(1, 3).astype(">f8"), "file")
        for outside in (np.nextafter(item.low, -np.inf), np.nextafter(item.high, np.inf)):
            with pytest.raises(InputError, match=rf"^file: {item.name} must lie within .* 1 of 2 values do not"):
                check_range(item, np.array([outside, item.high]), "file")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((np.nan, 1e5, np.nan), "state_ps holds 2 NaN and 0 infinite values of 3"),
        ((np.inf, 1e5, -np.inf), "state_ps holds 0 NaN and 2 infinite values of 3"),
        ((np.nan, np.inf, 0.0), "state_ps holds 1 NaN and 1 infinite values of 3"),
        ((0.0, 1e5, 0.0), r"within 30000 \.\.\. 120000 Pa, but 2 of 3 values do not \(smallest 0, largest 100000\)"),
        ((1e30,), "1 of 1 values do not"),
    ],
)
def test_counts_and_places_are_told(values: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError, match=rf"^step\.nc: .*{message}"):
        check_range(PRESSURE, column(*values), "step.nc")


def test_fill_is_no_value_where_a_variable_may_have_it() -> None:
    check_range(SNOW, column(1e30, 0.5, 1e29), "file")
    check_range(SNOW, column(1e30, 1e36), "file")
    for values, message in (
        ((1e30, 101.0), "1 of 1 values do not"),
        ((1e30, -1.0, 2.0), "1 of 2 values do not"),
        ((1e30, 9e28), "1 of 1"),
        ((1e30, np.nan), "1 NaN and 0 infinite values of 2"),
        ((np.inf, 0.0), "0 NaN and 1 infinite values of 2"),
        ((-1e30, 0.0), "1 of 2"),
    ):
        with pytest.raises(InputError, match=message):
            check_range(SNOW, column(*values), "file")


@given(arrays.arrays(np.float64, 6, elements=st.floats(width=64)))
def test_known_limits_change_nothing(values: np.ndarray) -> None:
    def told(limits: tuple[float, float] | None) -> str | None:
        try:
            check_range(PRESSURE, values, "file", limits)
        except InputError as error:
            return str(error)
        return None

    bad = [not 30_000 <= value <= 120_000 for value in values]
    assert told((float(values.min()), float(values.max()))) == told(None)
    assert (told(None) is not None) == any(bad)
