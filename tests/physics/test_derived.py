"""Derived inputs against numpy's own functions, for arrays and for tensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from subgrid.physics.derived import wind_speed

WINDS = arrays.arrays(np.float64, (2, 8), elements=st.floats(-1000, 1000))


@given(WINDS)
def test_wind_speed_is_the_length_of_the_wind(winds: np.ndarray) -> None:
    u, v = winds
    np.testing.assert_allclose(wind_speed(u, v), np.hypot(u, v), rtol=1e-14, atol=1e-150)
    np.testing.assert_array_equal(wind_speed(u, v), wind_speed(v, -u))


def test_wind_speed_by_hand() -> None:
    assert wind_speed(3.0, -4.0) == 5.0 and wind_speed(0.0, 0.0) == 0.0
    found = wind_speed(np.full((2, 1), 3.0, dtype=np.float32), np.full((1, 60), 4.0, dtype=np.float32))
    assert found.shape == (2, 60) and found.dtype == np.float32 and (found == 5.0).all()


def test_tensors_pass_through() -> None:
    torch = pytest.importorskip("torch")
    u, v = torch.tensor([3.0, 6.0]), torch.tensor([4.0, 8.0])
    assert wind_speed(u, v).tolist() == [5.0, 10.0]
