"""Ensembles: CRPS in the unit of the axis, spread over skill, shares of ranks."""

import numpy as np
import xarray

from subgrid.report.figures.ensembles import rank_histograms, spread_skill


def test_spread_and_crps_by_level(scores: xarray.Dataset) -> None:
    left, right = spread_skill("ptend_t", ["a"], [scores], [0]).axes
    np.testing.assert_allclose(left.lines[0].get_xdata(), scores["crps"].sel(variable="ptend_t") * 86_400)
    np.testing.assert_allclose(right.lines[0].get_xdata(), scores["spread_skill"].sel(variable="ptend_t"))


def test_bars_are_shares_and_the_line_is_flat(scores: xarray.Dataset) -> None:
    axes = rank_histograms(scores, place=0).axes[0]
    counts = scores["rank_count"].sel(variable="ptend_t").values
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], counts / counts.sum())
    assert axes.lines[0].get_ydata()[0] == 1 / 6
