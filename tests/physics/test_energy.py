"""Column integrals: constants and signs by hand, conservation where nature conserves."""

import numpy as np
import pytest

from subgrid.physics.energy import column_enthalpy, column_water

MASS = np.array([[100.0, 200.0], [50.0, 400.0]])  # kg/m2, of two columns with two layers
ZERO = np.zeros_like(MASS)


def test_water_of_a_column_is_added_over_layers_and_phases() -> None:
    vapour, liquid, ice = np.array([0.01, 0.02]), np.array([0.001, 0.0]), np.array([0.0, 0.002])
    expected = [100 * 0.011 + 200 * 0.022, 50 * 0.011 + 400 * 0.022]
    np.testing.assert_allclose(column_water(MASS, vapour, liquid, ice), expected, rtol=1e-15)


def test_heating_of_a_column_is_in_watts() -> None:
    """1 K a day in 10,000 kg/m2 of air is 116 W/m2."""
    heating = column_enthalpy(np.full(60, 10_000 / 60), np.full(60, 1 / 86_400), np.zeros(60), np.zeros(60))
    assert heating == pytest.approx(10_000 * 1004.64 / 86_400, rel=1e-12)


def test_signs_of_the_three_terms() -> None:
    one = np.ones_like(MASS)
    np.testing.assert_allclose(column_enthalpy(MASS, one, ZERO, ZERO), MASS.sum(axis=-1) * 1004.64)
    np.testing.assert_allclose(column_enthalpy(MASS, ZERO, one, ZERO), MASS.sum(axis=-1) * 2.501e6)
    np.testing.assert_allclose(column_enthalpy(MASS, ZERO, ZERO, one), -MASS.sum(axis=-1) * 3.337e5)


@pytest.mark.parametrize(
    ("vapour", "liquid", "ice", "heat"),
    [(-1.0, 1.0, 0.0, 2.501e6), (0.0, -1.0, 1.0, 3.337e5), (-1.0, 0.0, 1.0, 2.501e6 + 3.337e5)],
    ids=["condensation", "freezing", "deposition"],
)
def test_changes_of_phase_keep_water_and_enthalpy(vapour: float, liquid: float, ice: float, heat: float) -> None:
    amount = np.array([1e-3, 3e-3])  # kg/kg
    warming = amount * heat / 1004.64
    water = column_water(MASS, vapour * amount, liquid * amount, ice * amount)
    enthalpy = column_enthalpy(MASS, warming, vapour * amount, ice * amount)
    np.testing.assert_allclose(water, 0.0, atol=1e-15)
    np.testing.assert_allclose(enthalpy, 0.0, atol=1e-6)  # of some 1e6 J/m2


def test_falling_rain_takes_no_enthalpy_and_snow_takes_its_fusion() -> None:
    amount = np.array([1e-3, 0.0])
    assert (column_enthalpy(MASS, ZERO, ZERO, 0 * amount) == 0).all()
    np.testing.assert_allclose(column_enthalpy(MASS, ZERO, ZERO, -amount), MASS[:, 0] * 1e-3 * 3.337e5)
