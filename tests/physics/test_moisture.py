"""Saturation against other authors' formulas and measured values; the cloud-water rule against real steps."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.physics.moisture import (
    VANISHING_LEVELS,
    liquid_fraction,
    saturation_humidity,
    saturation_pressure,
    saturation_pressure_ice,
    saturation_pressure_liquid,
    vanished_cloud_water,
)


def murphy_koop_liquid(T: np.ndarray) -> np.ndarray:
    """Murphy and Koop (2005), Q. J. R. Meteorol. Soc. 131, 1539, eq. 10; Pa."""
    high = 53.878 - 1331.22 / T - 9.44523 * np.log(T) + 0.014025 * T
    return np.exp(54.842763 - 6763.22 / T - 4.21 * np.log(T) + 0.000367 * T + np.tanh(0.0415 * (T - 218.8)) * high)


def murphy_koop_ice(T: np.ndarray) -> np.ndarray:
    """The same paper, eq. 7; Pa."""
    return np.exp(9.550426 - 5723.265 / T + 3.53068 * np.log(T) - 0.00728332 * T)


@pytest.mark.parametrize(
    ("celsius", "pascal"),
    [(0.0, 611.2), (10.0, 1228.1), (20.0, 2338.8), (30.0, 4245.5), (40.0, 7381.4)],  # measured: CRC Handbook
)
def test_saturation_over_liquid_as_measured(celsius: float, pascal: float) -> None:
    assert saturation_pressure_liquid(celsius + 273.15) == pytest.approx(pascal, rel=2e-3)


def test_saturation_over_liquid_as_others_have_it() -> None:
    temperature = np.linspace(238.0, 320.0, 200)
    np.testing.assert_allclose(saturation_pressure_liquid(temperature), murphy_koop_liquid(temperature), rtol=0.01)


def test_saturation_over_ice_as_others_have_it() -> None:
    warm = np.linspace(205.0, 273.1, 200)
    np.testing.assert_allclose(saturation_pressure_ice(warm), murphy_koop_ice(warm), rtol=0.01)
    assert saturation_pressure_ice(253.15) == pytest.approx(103.26, rel=2e-3)  # measured
    assert saturation_pressure_ice(233.15) == pytest.approx(12.84, rel=3e-3)


def test_both_phases_have_one_pressure_at_the_triple_point() -> None:
    assert saturation_pressure_ice(273.15) == pytest.approx(611.2, rel=2e-3)
    assert saturation_pressure_liquid(273.15) == pytest.approx(float(saturation_pressure_ice(273.15)), rel=1e-3)
    assert saturation_pressure_ice(280.0) == saturation_pressure_liquid(280.0)


def test_over_supercooled_water_there_is_more_vapour_than_over_ice() -> None:
    temperature = np.linspace(203.0, 272.0, 100)
    assert (saturation_pressure_liquid(temperature) > saturation_pressure_ice(temperature)).all()


def test_the_coldest_air_has_a_positive_pressure() -> None:
    """Outside the fits the formulas are held or replaced, never negative: 50 K is in the range of a temperature."""
    temperature = np.linspace(50.0, 320.0, 2000)
    for function in (saturation_pressure_liquid, saturation_pressure_ice, saturation_pressure):
        assert (function(temperature) > 0).all() and np.isfinite(function(temperature)).all()
    assert saturation_pressure_liquid(100.0) == saturation_pressure_liquid(193.16)


def test_liquid_fraction_by_hand() -> None:
    temperature = np.array([200.0, 253.16, 258.16, 263.16, 268.16, 273.16, 300.0])
    np.testing.assert_allclose(liquid_fraction(temperature), [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0], atol=1e-12)


def test_saturation_over_the_mix_lies_between_the_phases() -> None:
    temperature = np.array([230.0, 263.16, 290.0])
    liquid, ice = saturation_pressure_liquid(temperature), saturation_pressure_ice(temperature)
    expected = [ice[0], (liquid[1] + ice[1]) / 2, liquid[2]]
    np.testing.assert_allclose(saturation_pressure(temperature), expected, rtol=1e-12)


def test_saturation_humidity_of_warm_air() -> None:
    """20 C at 1,000 hPa: 287/461 * 2339 Pa / 1e5 Pa = 14.6 g/kg, and twice that at half the pressure."""
    assert saturation_humidity(293.15, 1e5) == pytest.approx(0.01456, rel=2e-3)
    found = saturation_humidity(np.full((2, 3), 293.15), np.array([1e5, 5e4, 2.5e4]))
    np.testing.assert_allclose(found, found[:, :1] * [1.0, 2.0, 4.0], rtol=1e-14)


def test_the_cloud_water_rule_by_hand() -> None:
    state = np.arange(120.0).reshape(2, 60) * 1e-6
    found = vanished_cloud_water(state)
    assert found.shape == (2, 15) and found[0, 0] == -12e-6 / 1200 and found[1, -1] == -(60 + 26) * 1e-6 / 1200
    assert range(60)[VANISHING_LEVELS] == range(12, 27)
    assert vanished_cloud_water(np.float32(state)).dtype == np.float64


def test_the_cloud_water_rule_holds_in_real_steps(real_source: Path) -> None:
    """R2 against the true tendency is all but 1; squares of values down to 2**-200 need a scale."""
    truth, rule = [], []
    for mlo in sorted(real_source.glob("train/*/*.mlo.*.nc"))[::10]:
        states = []
        for path in (mlo.with_name(mlo.name.replace(".mlo.", ".mli.")), mlo):
            with netCDF4.Dataset(path) as file:
                file.set_auto_mask(False)
                states.append(np.asarray(file["state_q0002"][...]).T)
        truth.append((states[1] - states[0])[:, 12:27] / 1200)
        rule.append(vanished_cloud_water(states[0]))
    true, ruled = np.concatenate(truth), np.concatenate(rule)
    size = np.abs(true).max(axis=0)
    assert (ruled[:, size == 0] == 0).all() and (size > 0).sum() >= 14
    true, ruled = (values[:, size > 0] / size[size > 0] for values in (true, ruled))
    explained = 1 - ((true - ruled) ** 2).sum(axis=0) / ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    assert (explained > 0.99).all()


def test_physics_splits_condensate_by_temperature_and_dynamics_undoes_it(real_source: Path) -> None:
    """After a step seven layers of eight hold ql = f (ql + qi) within a thousandth, before it two of three."""
    share = {}
    for kind in ("mli", "mlo"):
        off = []
        for path in sorted(real_source.glob(f"train/*/*.{kind}.*.nc"))[::10]:
            with netCDF4.Dataset(path) as file:
                file.set_auto_mask(False)
                t, liquid, ice = (np.asarray(file[f"state_{name}"][12:]) for name in ("t", "q0002", "q0003"))
            condensate = liquid + ice
            off.append(np.abs(liquid - liquid_fraction(t) * condensate) > 1e-3 * condensate)
        share[kind] = np.mean(off)
    assert share["mlo"] < 0.13 and share["mli"] > 0.3
