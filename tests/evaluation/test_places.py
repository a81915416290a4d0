"""Scores by place against plain numpy over all rows at once: ClimSim's means over columns, bands, maps."""

from pathlib import Path

import numpy as np
import pytest

from subgrid.evaluation.climsim import EnergyUnits
from subgrid.evaluation.places import Places
from subgrid.evaluation.rows import Frame, Rows
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.columns import StepReader
from subgrid.source.locations import Location
from subgrid.source.steps import list_steps

KAGGLE = variable_set("kaggle")
T, STEPS = slice(0, 60), 6


@pytest.fixture(scope="module")
def frame(real_source: Path) -> Frame:
    return Frame(KAGGLE, Grid.read(next(real_source.glob("*_grid-info.nc"))))


@pytest.fixture(scope="module")
def rows(real_source: Path) -> Rows:
    """Six real steps, and a prediction that is half the truth and some noise; rows mixed up."""
    location, random = Location(str(real_source)), np.random.default_rng(0)
    steps = [step for step in list_steps(location) if step.mlo][:STEPS]
    read = [StepReader(location, KAGGLE).read(step) for step in steps]
    inputs, truth = (np.concatenate([getattr(step, name).T for step in read]) for name in ("inputs", "targets"))
    prediction = 0.5 * truth + 0.3 * truth.std(axis=0) * random.normal(size=truth.shape)
    order = random.permutation(len(truth))
    column, time = np.tile(np.arange(384), STEPS), np.repeat([step.time for step in steps], 384)
    every = (prediction, truth, column, time, np.arange(len(truth)), inputs)
    return Rows(*(values[order] for values in every))


@pytest.fixture(scope="module")
def places(frame: Frame, rows: Rows) -> Places:
    one, other = Places(frame), Places(frame)
    for start in range(0, len(rows.row), 500):
        chunk = Rows(*(None if values is None else values[start : start + 500] for values in rows))
        (one if start % 1000 else other).add(chunk)
    one.merge(other)
    return one


def test_climsim_scores_are_those_of_the_paper(places: Places, frame: Frame, rows: Rows) -> None:
    units = EnergyUnits(frame)
    weights = units.weights(rows.inputs[:, 360], rows.column)
    order = np.lexsort((rows.time, rows.column))
    shape = (384, STEPS, 368)  # column, time, target
    predicted, true = (units.energy(x, weights)[order].reshape(shape) for x in (rows.prediction, rows.truth))
    error = predicted - true
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - (error**2).sum(1) / ((true - true.mean(1, keepdims=True)) ** 2).sum(1)
    r2 = np.where(np.ptp(true, axis=1) > 0, r2, np.nan)  # a column in the dark has none
    expected = {
        "mae": np.abs(error).mean(1).mean(0),
        "rmse": np.sqrt((error**2).mean(1)).mean(0),
        "bias": (predicted.mean(1) - true.mean(1)).mean(0),
        "r2": np.nanmean(r2[..., [*range(60), *range(360, 368)]], axis=0),
    }
    fields = places.fields()
    for name, values in expected.items():
        found = fields[f"climsim_{name}"].values
        np.testing.assert_allclose(found[0], values[T], rtol=1e-10, err_msg=name)
        np.testing.assert_allclose(found[6:, 0], values[-8:], rtol=1e-10, err_msg=name)
    flat, flat_error = true.reshape(-1, 368), error.reshape(-1, 368)
    pooled = 1 - (flat_error[:, T] ** 2).sum(0) / ((flat - flat.mean(0))[:, T] ** 2).sum(0)
    np.testing.assert_allclose(fields["climsim_pooled_r2"].values[0], pooled, rtol=1e-10)
    assert (fields["column_samples"].values == STEPS).all()


def test_columns_whose_truth_does_not_vary_are_left_out_and_counted(places: Places) -> None:
    fields = places.fields()
    q0002 = fields["climsim_undefined"].values[2]
    assert (q0002[:12] == 384).all() and np.isnan(fields["climsim_r2"].values[2, :12]).all()
    assert (fields["climsim_undefined"].values[0] == 0).all()


def test_bands_are_weighted_by_area(places: Places, frame: Frame, rows: Rows) -> None:
    fields = places.fields()
    np.testing.assert_array_equal(fields["band_edges"].values[[0, -1]], [[-90, -80], [80, 90]])
    inside = (frame.grid.lat[rows.column] >= 20) & (frame.grid.lat[rows.column] < 30)
    weight = frame.grid.area[rows.column[inside]][:, None]
    truth, prediction = rows.truth[inside], rows.prediction[inside]
    mean = (weight * truth).sum(0) / weight.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - (weight * (prediction - truth) ** 2).sum(0) / (weight * (truth - mean) ** 2).sum(0)
    bias = (weight * (prediction - truth)).sum(0) / weight.sum()
    np.testing.assert_allclose(fields["band_r2"].values[0, :, 11], r2[T], rtol=1e-10)
    np.testing.assert_allclose(fields["band_bias"].values[6:, 0, 11], bias[360:], rtol=1e-9)


def test_maps_are_scores_over_time_of_a_column(places: Places, rows: Rows, frame: Frame) -> None:
    here = rows.column == 200
    truth, prediction = rows.truth[here][:, 361], rows.prediction[here][:, 361]
    r2 = 1 - ((prediction - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    fields = places.fields()
    assert fields["column_r2"].values[7, 200] == pytest.approx(r2, rel=1e-10)
    area = frame.grid.area[200] / frame.grid.area.mean()
    assert fields["column_bias"].values[7, 200] == pytest.approx((prediction - truth).mean() * area, rel=1e-10)


def test_rows_without_a_place_are_counted(frame: Frame, rows: Rows) -> None:
    places = Places(frame)
    chunk = Rows(*(None if values is None else values[:10] for values in rows))
    places.add(chunk._replace(column=np.where(np.arange(10) < 4, -1, chunk.column)))
    assert places.unplaced == 4 and places.energy.sums.rows[:, 0].sum() == 6
