"""Residuals of water and enthalpy: zero where the synthetic climate closes them, as known where ClimSim lacks terms."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.evaluation.budgets import BINS, BUDGETS, TERMS, Budgets, closable, column_terms, term_factors
from subgrid.evaluation.rows import Field, Frame, Rows
from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic import Boundary, State, top_fluxes

LV, LF, RHO, CP, G = 2.501e6, 3.337e5, 1000.0, 1004.64, 9.80616
ALL = list(BUDGETS)


def cut(rows: Rows, values: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs and targets by name, written out here."""
    variables = variable_set("kaggle")
    named = {item.name: rows.inputs[:, variables.input_slices[item.name]] for item in variables.inputs}
    named |= {item.name: values[:, variables.target_slices[item.name]] for item in variables.targets}
    return {name: item[:, 0] if item.shape[1] == 1 else item for name, item in named.items()}


def by_hand(frame: Frame, rows: Rows, values: np.ndarray) -> dict[str, np.ndarray]:
    """The residuals from their formulas, layer by layer."""
    x, grid = cut(rows, values), frame.grid
    interface = grid.P0 * grid.hyai + x["state_ps"][:, None] * grid.hybi
    mass = (interface[:, 1:] - interface[:, :-1]) / G
    water = (mass * (x["ptend_q0001"] + x["ptend_q0002"] + x["ptend_q0003"])).sum(1) + RHO * x["cam_out_PRECC"]
    heat = (mass * (CP * x["ptend_t"] + LV * x["ptend_q0001"] - LF * x["ptend_q0003"])).sum(1)
    heat += (
        x["cam_out_FLWDS"] + x["cam_out_NETSW"] - x["cam_in_LWUP"] - x["pbuf_SOLIN"] - LF * RHO * x["cam_out_PRECSC"]
    )
    return {
        "water": LV * water - x["pbuf_LHFLX"],
        "water_no_flux": LV * water,
        "enthalpy": heat - x["pbuf_LHFLX"] - x["pbuf_SHFLX"],
        "enthalpy_no_flux": heat,
    }


def fields(frame: Frame, rows: Rows) -> dict[str, Field]:
    part = Budgets(frame)
    part.add(rows)
    return part.fields()


def terms_and_residuals(frame: Frame, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(budget, term, row) with their factors, and their sums (budget, row)."""
    terms = column_terms(frame.variables, frame.grid, rows, rows.truth)
    return term_factors(ALL)[:, :, None] * terms, term_factors(ALL) @ terms


def test_the_synthetic_climate_closes_water_to_rounding(synthetic_frame: Frame, synthetic_rows: Rows) -> None:
    terms, residuals = terms_and_residuals(synthetic_frame, synthetic_rows)
    assert (np.abs(residuals[0]) <= 1e-12 * np.abs(terms[0]).max(axis=0)).all()
    assert np.abs(terms[0, list(TERMS).index("precipitation")]).max() > 50  # W/m2: there is something to close


def test_the_synthetic_climate_closes_enthalpy_with_its_fluxes_at_the_top(
    synthetic_frame: Frame, synthetic_rows: Rows
) -> None:
    terms, residuals = terms_and_residuals(synthetic_frame, synthetic_rows)
    named = cut(synthetic_rows, synthetic_rows.truth)
    size = synthetic_frame.grid.columns
    for start in range(0, len(synthetic_rows.row), size):  # the synthetic climate works a step at a time
        step = {name: values[start : start + size] for name, values in named.items()}
        longwave, reflected = top_fluxes(State.of(step), Boundary.of(step), synthetic_frame.grid)
        closed = residuals[2, start : start + size] + longwave + reflected
        assert (np.abs(closed) <= 1e-12 * np.abs(terms[2, :, start : start + size]).max(axis=0)).all()


def test_the_truth_of_the_synthetic_climate_has_no_water_residual(synthetic_frame: Frame, synthetic_rows: Rows) -> None:
    found = fields(synthetic_frame, synthetic_rows)
    assert np.abs(found["budget_rms"].values[0]).max() < 1e-9  # W/m2
    central = BINS.find(np.zeros(1))[0]
    assert found["budget_histogram"].values[0, 0, central] == pytest.approx(1.0)


def test_a_real_step_closes_in_the_mean_without_fluxes_of_the_surface(real_frame: Frame, real_rows: Rows) -> None:
    """E3SM-MMF evaporates elsewhere; sun and longwave leave at the top of the atmosphere, some 340 W/m2."""
    found = fields(real_frame, real_rows)
    water, no_flux, _, top = found["budget_mean"].values[:, 0]
    evaporation = -found["budget_term"].values[0, list(TERMS).index("latent_heat"), 0]
    assert abs(no_flux) < 5 and evaporation > 60
    assert water == pytest.approx(no_flux - evaporation)
    assert -380 < top < -280
    rms = found["budget_rms"].values[:, 0]
    assert 50 < rms[1] < 200  # rain and snow within the resolved clouds are no part of the state


@pytest.mark.parametrize("known", [True, False])
def test_fields_are_area_weighted_moments_of_the_residuals(real_frame: Frame, noisy_rows: Rows, known: bool) -> None:
    rows = noisy_rows if known else noisy_rows._replace(column=np.full(len(noisy_rows.row), -1))
    area = real_frame.grid.area[rows.column] if known else np.ones(len(rows.row))
    found = fields(real_frame, rows)
    truth, prediction = (by_hand(real_frame, rows, values) for values in (rows.truth, rows.prediction))
    edges = np.clip(BINS.edges, -1e12, 1e12)
    for index, budget in enumerate(ALL):
        error = prediction[budget] - truth[budget]
        for source, residual in enumerate((truth[budget], prediction[budget])):
            place = (index, source)
            mean, square = np.average(residual, weights=area), np.average(residual**2, weights=area)
            assert found["budget_mean"].values[place] == pytest.approx(mean, rel=1e-9)
            assert found["budget_rms"].values[place] == pytest.approx(np.sqrt(square), rel=1e-9)
            counts = np.histogram(residual, edges, weights=area)[0] / area.sum()
            np.testing.assert_allclose(found["budget_histogram"].values[place], counts, rtol=1e-9, atol=1e-15)
        square = np.average(error**2, weights=area)
        assert found["budget_error_rms"].values[index] == pytest.approx(np.sqrt(square), rel=1e-9)
        counts = np.histogram(error, edges, weights=area)[0] / area.sum()
        np.testing.assert_allclose(found["budget_error_histogram"].values[index], counts, rtol=1e-9, atol=1e-15)


def test_terms_add_to_the_residual(real_frame: Frame, noisy_rows: Rows) -> None:
    found = fields(real_frame, noisy_rows)
    terms = found["budget_term"].values
    np.testing.assert_allclose(np.nansum(terms, axis=1), found["budget_mean"].values, rtol=1e-9)
    names = list(TERMS)
    area = real_frame.grid.area[noisy_rows.column]
    rain = cut(noisy_rows, noisy_rows.prediction)["cam_out_PRECC"] * LV * RHO
    assert terms[0, names.index("precipitation"), 1] == pytest.approx(np.average(rain, weights=area))
    rms = found["budget_term_rms"].values[0, names.index("precipitation"), 1]
    assert rms == pytest.approx(np.sqrt(np.average(rain**2, weights=area)))
    assert np.isnan(terms[0, names.index("insolation")]).all() and np.isnan(terms[3, names.index("latent_heat")]).all()


def test_units_of_water(real_frame: Frame, real_rows: Rows) -> None:
    found = fields(real_frame, real_rows)
    np.testing.assert_allclose(found["budget_factor"].values[0], [1, 1 / LV, 86_400 / LV])
    np.testing.assert_array_equal(np.isnan(found["budget_factor"].values[2]), [False, True, True])
    assert found["budget_unit"].values.tolist() == ["W/m2", "kg/m2/s", "mm/day"]
    assert found["budget"].values.tolist() == ALL and found["source"].values.tolist() == ["truth", "prediction"]


def test_what_cannot_be_closed_has_no_field(real_frame: Frame, real_rows: Rows) -> None:
    assert closable(variable_set("v1")) == [] and closable(variable_set("v2")) == ALL
    assert fields(Frame(real_frame.variables, None), real_rows) == {}
    assert Budgets(real_frame).fields() == {}


@given(st.lists(st.integers(1, 399), max_size=8))
@settings(max_examples=40)
def test_chunked_in_any_way_it_stays_the_same(
    real_frame: Frame, same_in_chunks: Callable[..., None], cuts: list[int]
) -> None:
    same_in_chunks(lambda: Budgets(real_frame), cuts)
