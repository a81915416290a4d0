"""Physical checks: histograms of truth and runs in their panels, zero in the middle."""

import numpy as np
import xarray

from subgrid.report.figures.budgets import negative_water, residuals
from subgrid.report.figures.style import INK, colour


def test_histograms_are_those_of_their_budget(scores: xarray.Dataset) -> None:
    figure = residuals(["a"], [scores], [1])
    for axes, name in zip(figure.axes, ["water", "enthalpy"], strict=True):
        lines = {line.get_color(): line.get_ydata() for line in axes.lines}
        table = scores["budget_histogram"].sel(budget=name)
        np.testing.assert_allclose(lines[INK], table.sel(source="truth"))
        np.testing.assert_allclose(lines[colour(1)], table.sel(source="prediction"))


def test_zero_stands_in_the_middle_bin(scores: xarray.Dataset) -> None:
    axes = residuals(["a"], [scores], [0]).axes[0]
    ticks = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert ticks["0"] == 3  # of seven bins
    assert ticks["10"] == 4.5  # between the bins 1 ... 10 and 10 ... 100


def test_negative_water_by_level_in_per_cent(scores: xarray.Dataset) -> None:
    figure = negative_water(["a"], [scores], [1])
    assert [axes.get_title() for axes in figure.axes] == ["humidity", "cloud liquid", "cloud ice"]
    lines = {line.get_color(): line.get_xdata() for line in figure.axes[1].lines}
    table = scores["negative_share_by_level"].sel(water="q0002")
    np.testing.assert_allclose(lines[colour(1)], 100 * table.sel(source="prediction"))
    np.testing.assert_allclose(lines[INK], 0)
    low, high = figure.axes[0].get_xlim()
    assert low < 0 < 100 * float(scores["negative_share_by_level"].max()) < high
