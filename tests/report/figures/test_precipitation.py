"""Precipitation: truth in ink beside the runs, nothing drawn where it never rains so hard."""

import numpy as np
import xarray

from subgrid.report.figures.precipitation import precipitation
from subgrid.report.figures.style import INK, colour


def test_frequencies_and_quantiles(scores: xarray.Dataset) -> None:
    often, quantiles = precipitation(["a"], [scores], [1]).axes[:2]
    lines = {line.get_color(): np.asarray(line.get_ydata(), dtype=float) for line in often.lines}
    table = scores["precipitation_exceedance"].sel(precipitation="cam_out_PRECC")
    np.testing.assert_allclose(lines[INK], table.sel(source="truth"))
    assert np.isnan(lines[colour(1)][30:]).all()
    np.testing.assert_allclose(lines[colour(1)][:30], table.sel(source="prediction")[:30])
    assert often.get_xlim()[1] > 1000  # the truth's hardest rain is in sight
    points = [line for line in quantiles.lines if line.get_marker() == "o"][0]
    np.testing.assert_allclose(points.get_xdata(), [0.1, 3.0, 30.0, 90.0])
    assert [text.get_text() for text in quantiles.texts] == ["90 %", "99 %", "99.9 %"]
