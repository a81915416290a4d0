"""ClimSim's units against the paper's recipe, written down variable by variable on real steps."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from subgrid.errors import SettingsError
from subgrid.evaluation.climsim import EnergyUnits
from subgrid.evaluation.rows import Frame
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.columns import StepReader
from subgrid.source.locations import Location
from subgrid.source.steps import list_steps

KAGGLE = variable_set("kaggle")


def by_hand(targets: np.ndarray, pressure: np.ndarray, grid: "xarray.Dataset") -> np.ndarray:
    """(column, 368) physical -> W/m2 of a column of mean area, with numbers of the ClimSim paper typed here."""
    interfaces = float(grid.P0) * grid.hyai.values + pressure[:, None] * grid.hybi.values
    mass = (interfaces[:, 1:] - interfaces[:, :-1]) / 9.80616
    t, q1, q2, q3, u, v = (targets[:, 60 * index : 60 * index + 60] * mass for index in range(6))
    du, dv = targets[:, 240:300], targets[:, 300:360]
    wind = np.sqrt((250 * du) ** 2 + (500 * dv) ** 2)
    scalars = targets[:, 360:].copy()
    scalars[:, 2:4] *= 2.501e6 * 1000
    parts = [t * 1004.64, q1 * 2.501e6, q2 * 2.501e6, q3 * 2.501e6, u * wind, v * wind, scalars]
    return np.concatenate(parts, axis=1) * (grid.area.values / grid.area.values.mean())[:, None]


def test_units_of_a_real_step(real_source: Path) -> None:
    path = next(real_source.glob("*_grid-info.nc"))
    units = EnergyUnits(Frame(KAGGLE, Grid.read(path)))
    step = StepReader(Location(str(real_source)), KAGGLE).read(list_steps(Location(str(real_source)))[5])
    inputs, targets = step.inputs.T, step.targets.T
    weights = units.weights(inputs[:, 360], np.arange(384))
    with xarray.open_dataset(path) as grid:
        expected = by_hand(targets, inputs[:, 360], grid)
    np.testing.assert_allclose(units.energy(targets, weights), expected, rtol=1e-12)
    assert 10 < np.abs(expected[:, :60].sum(axis=1)).mean() < 500  # W/m2: a heating of the atmosphere


def test_a_set_without_winds_is_fine(real_source: Path) -> None:
    v1 = variable_set("v1")
    units = EnergyUnits(Frame(v1, Grid.read(next(real_source.glob("*_grid-info.nc")))))
    weights = units.weights(np.full(2, 1e5), np.array([0, 7]))
    assert weights.shape == (2, 128)
    assert units.energy(np.ones((2, 128)), weights)[0, 0] == pytest.approx(weights[0, 0])


def test_without_a_grid_there_are_no_units() -> None:
    with pytest.raises(SettingsError, match="need a grid and state_ps"):
        EnergyUnits(Frame(KAGGLE, None))
