"""Sections on physics, calibration and ensembles: there with their fields, tables as the fields have them."""

from dataclasses import replace

import pytest
import xarray

from subgrid.report import diagnostics
from subgrid.report.cases import Case


@pytest.fixture
def pair(case: Case, others: list[xarray.Dataset]) -> list[Case]:
    """A case without any of the fields, and one with all."""
    bare = [name for name in case.scores.data_vars if str(name).split("_")[0] in PREFIXES]
    first = replace(case, scores=case.scores.drop_vars(bare), subject=replace(case.subject, label="bare"))
    return [first, replace(case, scores=others[0])]


PREFIXES = ("budget", "negative", "precipitation", "confidence", "kept", "crps", "rank", "spread")
PARTS = (diagnostics.precipitation, diagnostics.checks, diagnostics.calibration, diagnostics.distributions)


@pytest.mark.parametrize("part", PARTS)
def test_without_fields_there_is_no_plate(part, pair: list[Case]) -> None:  # noqa: ANN001
    assert part(pair[:1]).plates == ()
    assert len(part(pair).plates) >= 1


def test_plates_draw_only_the_cases_with_fields(pair: list[Case]) -> None:
    for part in PARTS:
        for plate in part(pair).plates:
            figure = plate.draw()
            labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
            assert "bare" not in labels


def test_tables_hold_truth_once_and_then_the_runs(pair: list[Case], others: list[xarray.Dataset]) -> None:
    budgets, waters = diagnostics.checks(pair).tables
    assert [row[:2] for row in budgets.rows[:2]] == [("water", "truth"), ("water", "tiny")]
    table = others[0].sel(budget="enthalpy", source="prediction")
    expected = (table["budget_mean"], table["budget_rms"], table["budget_error_rms"])
    assert budgets.rows[3][2:] == tuple(float(value) for value in expected)
    assert budgets.rows[2][4] == ""
    assert waters.rows[5][0] == "cloud ice"
    assert waters.rows[5][2] == pytest.approx(
        100 * float(others[0]["negative_share"].sel(water="q0003", source="prediction"))
    )
    (rates,) = diagnostics.precipitation(pair).tables
    assert rates.rows[0][6] == 90.0
    assert {len(row) for table in (budgets, waters, rates) for row in table.rows} == {5, 7}
