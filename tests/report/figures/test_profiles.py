"""Scores by level: lines are the scores in the units of the axes, R2 below zero stands at the edge."""

import numpy as np
import xarray

from subgrid.report.figures.profiles import level_scores
from subgrid.report.figures.style import colour


def test_lines_are_the_scores(others: list[xarray.Dataset]) -> None:
    figure = level_scores("ptend_t", ["a", "b", "c"], others)
    r2, bias, rmse = figure.axes[:3]
    for place, one in enumerate(others):
        table = one.sel(variable="ptend_t")
        line = [line for line in bias.lines if line.get_color() == colour(place)][0]
        np.testing.assert_allclose(line.get_xdata(), table["bias"] * 86_400)
        line = [line for line in r2.lines if line.get_color() == colour(place)][0]
        values = table["r2"].values
        np.testing.assert_allclose(np.nan_to_num(line.get_xdata(), nan=-9), np.where(values < 0, -9, values))
    assert r2.get_ylim() == (59.5, -0.5)
    assert "K day" in rmse.get_xlabel()


def test_r2_below_zero_is_marked_at_its_levels(scores: xarray.Dataset) -> None:
    axes = level_scores("ptend_t", ["a"], [scores]).axes[0]
    crosses = [line for line in axes.lines if line.get_marker() == "x"][0]
    np.testing.assert_array_equal(crosses.get_ydata(), np.flatnonzero(scores["r2"].sel(variable="ptend_t") < 0))


def test_a_single_run_needs_no_key(scores: xarray.Dataset) -> None:
    assert not level_scores("ptend_t", ["a"], [scores]).legends
    texts = [text.get_text() for text in level_scores("ptend_t", ["a", "b"], [scores, scores]).legends[0].get_texts()]
    assert texts == ["a", "b"]


def test_without_a_grid_the_axis_counts_levels(scores: xarray.Dataset) -> None:
    axes = level_scores("ptend_t", ["a"], [scores.drop_vars("level_pressure")]).axes[0]
    assert axes.get_ylabel() == "level"
