"""Calibration: points at the bins, rare and open bins left out."""

import numpy as np
import xarray

from subgrid.report.figures.confidence import reliability, score_kept
from subgrid.report.figures.style import colour


def test_points_are_the_errors_found_in_the_bins(scores: xarray.Dataset) -> None:
    axes = reliability(["a"], [scores], [2]).axes[0]
    line = [line for line in axes.lines if line.get_color() == colour(2)][0]
    edges = scores["confidence_edge"].values
    inner = np.isfinite(edges[:-1]) & np.isfinite(edges[1:]) & (scores["confidence_share"].values > 1e-4)
    np.testing.assert_allclose(line.get_ydata(), scores["confidence_found"].values[inner])
    assert ((edges[:-1][inner] < line.get_xdata()) & (line.get_xdata() < edges[1:][inner])).all()


def test_rows_kept_go_from_all_to_none(scores: xarray.Dataset) -> None:
    left, right = score_kept(["a"], [scores], [0]).axes
    assert left.get_xlim() == (100, 0)
    np.testing.assert_allclose(left.lines[0].get_ydata(), scores["kept_r2"])
    np.testing.assert_allclose(right.lines[0].get_xdata(), 100 * scores["kept"])
