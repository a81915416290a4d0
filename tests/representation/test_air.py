"""The state of columns against closed forms: hydrostatic height, energies, the Richardson number."""

import numpy as np
import pytest
import torch

from subgrid.physics import moisture
from subgrid.representation import air
from subgrid.representation.air import Air, step_down

CP, G, RD = 1004.64, 9.80616, 287.0


def isothermal(temperature: float, shear: float = 0.0, levels: int = 60) -> Air:
    """One dry column of one temperature from 100 to 1,000 hPa, whose zonal wind grows by ``shear`` a metre upwards."""
    edges = torch.linspace(1e4, 1e5, levels + 1, dtype=torch.float64)[None]
    middle = (edges[:, 1:] + edges[:, :-1]) / 2
    zero = torch.zeros_like(middle)
    height = RD * temperature / G * torch.log(1e5 / middle)
    return Air(torch.full_like(middle, temperature), zero, zero, zero, shear * height, zero, middle, edges)


def test_heights_are_those_of_an_isothermal_atmosphere() -> None:
    """z = Rd T / g ln(p_ground / p), and the layers fill the column."""
    column = isothermal(260.0)
    expected = RD * 260.0 / G * np.log(1e5 / column.pressure.numpy())
    np.testing.assert_allclose(column.height.numpy(), expected, rtol=1e-12)
    assert column.thickness.sum().item() == pytest.approx(RD * 260.0 / G * np.log(10.0))


def test_richardson_number_of_an_isothermal_sheared_atmosphere() -> None:
    """N2 = g**2 / (cp T) and shear S: Ri = g**2 / (cp T S**2), but for what keeps calm air finite."""
    shear = 0.02
    column = isothermal(260.0, shear)
    found = column.richardson(step_down(column.virtual_energy))
    expected = G**2 / (CP * 260.0) / (shear**2 + 1e-6)
    np.testing.assert_allclose(found[:, :-1].numpy(), expected, rtol=1e-4)
    calm = isothermal(260.0)
    assert torch.isfinite(calm.richardson(step_down(calm.virtual_energy))).all()


def test_condensation_resists_warming_as_the_slope_of_saturation_says() -> None:
    """1 + Lv / cp dqs/dT, against the difference quotient of the saturation formula."""
    column = isothermal(290.0)
    pressure = column.pressure.numpy()
    slope = (moisture.saturation_humidity(290.05, pressure) - moisture.saturation_humidity(289.95, pressure)) / 0.1
    np.testing.assert_allclose(column.condensation.numpy(), 1 + 2.501e6 / CP * slope, rtol=0.02)


def test_air_as_hot_as_the_published_data_have_it_is_far_from_saturation_and_rises_from_nowhere() -> None:
    """1,321 K at the top: the saturation pressure must stay positive, and grow with temperature."""
    temperature = torch.tensor([300.0, 373.0, 400.0, 700.0, 1321.0], dtype=torch.float64)
    found = air.over_liquid(temperature)
    assert bool((found > 0).all()) and bool((found.diff() >= 0).all())
    expected = moisture.saturation_pressure_liquid(temperature[:2].numpy())
    np.testing.assert_allclose(found[:2].numpy(), expected, rtol=1e-12)
