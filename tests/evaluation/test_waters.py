"""Negative water: what a step would leave below zero, and what is only rounding of storage."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.evaluation.rows import Field, Frame, Rows
from subgrid.evaluation.waters import NegativeWater, least_tendency
from subgrid.schema.variable_sets import VariableSet, variable_set

KAGGLE = variable_set("kaggle")


def fields(frame: Frame, rows: Rows) -> dict[str, Field]:
    part = NegativeWater(frame)
    part.add(rows)
    return part.fields()


def stored(values: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """As records hold them: float32(x 2**k), too small ones as 0."""
    with np.errstate(under="ignore"):
        scaled = np.ldexp(values, exponents)
        scaled[np.abs(scaled) < 2.0**-126] = 0.0
        return np.ldexp(scaled.astype(np.float32).astype(np.float64), -exponents)


@pytest.mark.parametrize("world", ["real", "synthetic"])
def test_the_truth_is_never_negative_as_read_or_as_stored(request: pytest.FixtureRequest, world: str) -> None:
    frame: Frame = request.getfixturevalue(f"{world}_frame")
    rows: Rows = request.getfixturevalue(f"{world}_rows")
    truth, inputs = stored(rows.truth, KAGGLE.target_exponents), stored(rows.inputs, KAGGLE.input_exponents)
    kept = rows._replace(truth=truth, prediction=rows.truth, inputs=inputs)
    for item in (rows, kept._replace(prediction=truth)):
        found = fields(frame, item)
        assert not found["negative_share"].values.any() and not found["negative_mass"].values.any()
        assert not found["negative_least"].values.any()


def test_without_the_tolerance_stored_truth_would_seem_negative(real_rows: Rows) -> None:
    """Why there is one: E3SM-MMF takes all liquid aloft, and a stored step takes a little more or less."""
    place = (KAGGLE.input_slices["state_q0002"], KAGGLE.target_slices["ptend_q0002"])
    state = stored(real_rows.inputs, KAGGLE.input_exponents)[:, place[0]]
    tendency = stored(real_rows.truth, KAGGLE.target_exponents)[:, place[1]]
    assert (state + 1200 * tendency < 0).mean() > 0.05
    assert not (tendency < least_tendency("q0002", state)).any()


@pytest.mark.parametrize("name", ["q0001", "q0002", "q0003"])
def test_more_than_rounding_is_seen(name: str) -> None:
    state = np.array([1e-2, 1e-6, 1e-20])
    vanishing = -state / 1200
    assert not (vanishing < least_tendency(name, state)).any()
    assert ((1 + 1e-6) * vanishing < least_tendency(name, state)).all()
    assert -1e-30 < least_tendency(name, np.zeros(1))[0] < 0


@pytest.mark.parametrize("known", [True, False])
def test_shares_and_masses_are_those_of_the_cells(real_frame: Frame, noisy_rows: Rows, known: bool) -> None:
    rows = noisy_rows if known else noisy_rows._replace(column=np.full(len(noisy_rows.row), -1))
    grid = real_frame.grid
    area = grid.area[rows.column] if known else np.ones(len(rows.row))
    found = fields(real_frame, rows)
    interface = grid.P0 * grid.hyai + rows.inputs[:, 360, None] * grid.hybi
    mass = np.diff(interface, axis=1) / 9.80616
    for water, name in enumerate(("q0001", "q0002", "q0003")):
        state = rows.inputs[:, KAGGLE.input_slices[f"state_{name}"]]
        change = 1200 * rows.prediction[:, KAGGLE.target_slices[f"ptend_{name}"]]
        smallest = 1201 * 2.0 ** -(126 + {"q0001": 64, "q0002": 120, "q0003": 64}[name])
        negative = state + change < -(2.0**-23) * (state + np.abs(change)) - smallest
        after = np.where(negative, state + change, 0.0)
        place = (water, 1)
        assert 1e-4 < negative.mean() < 0.99
        np.testing.assert_allclose(
            found["negative_share_by_level"].values[place], np.average(negative, axis=0, weights=area), rtol=1e-9
        )
        share = np.average(negative.mean(axis=1), weights=area)
        assert found["negative_share"].values[place] == pytest.approx(share)
        columns = np.average(negative.any(axis=1), weights=area)
        assert found["negative_columns"].values[place] == pytest.approx(columns)
        lacking = np.average(-after * mass, axis=0, weights=area)
        np.testing.assert_allclose(found["negative_mass_by_level"].values[place], lacking, rtol=1e-9)
        assert found["negative_mass"].values[place] == pytest.approx(lacking.sum())
        assert found["negative_least"].values[place] == after.min()
        assert not found["negative_share"].values[water, 0].any()


def test_without_a_grid_there_are_shares_and_no_masses(real_frame: Frame, noisy_rows: Rows) -> None:
    found = fields(Frame(real_frame.variables, None), noisy_rows)
    unplaced = fields(real_frame, noisy_rows._replace(column=np.full(len(noisy_rows.row), -1)))
    np.testing.assert_array_equal(found["negative_share"].values, unplaced["negative_share"].values)
    assert "negative_mass" not in found and "negative_mass" in unplaced


def test_a_smaller_set_has_the_waters_that_it_holds(noisy_rows: Rows) -> None:
    small: VariableSet = variable_set("v1")
    inputs = np.concatenate([noisy_rows.inputs[:, KAGGLE.input_slices[v.name]] for v in small.inputs], axis=1)
    targets = [
        np.concatenate([values[:, KAGGLE.target_slices[v.name]] for v in small.targets], axis=1)
        for values in (noisy_rows.prediction, noisy_rows.truth)
    ]
    found = fields(Frame(small, None), noisy_rows._replace(inputs=inputs, prediction=targets[0], truth=targets[1]))
    assert found["water"].values.tolist() == ["q0001"] and found["negative_share"].values.shape == (1, 2)
    assert NegativeWater(Frame(small, None)).fields() == {}


@given(st.lists(st.integers(1, 399), max_size=8))
@settings(max_examples=40)
def test_chunked_in_any_way_it_stays_the_same(
    real_frame: Frame, same_in_chunks: Callable[..., None], cuts: list[int]
) -> None:
    same_in_chunks(lambda: NegativeWater(real_frame), cuts)
