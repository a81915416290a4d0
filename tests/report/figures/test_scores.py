"""R2 by variable: dots and bars at the scores, marks for what lies to the left."""

import numpy as np
import xarray

from subgrid.report.figures.scores import r2_by_variable
from subgrid.report.figures.style import colour


def test_dots_and_bars_are_the_scores(others: list[xarray.Dataset]) -> None:
    axes = r2_by_variable(["a", "b", "c"], others).axes[0]
    for place, one in enumerate(others):
        value = one["variable_r2"].values
        dots = [line for line in axes.lines if line.get_marker() == "o" and line.get_color() == colour(place)][0]
        shown = np.isfinite(dots.get_xdata())
        np.testing.assert_array_equal(shown, value >= -0.2)
        np.testing.assert_array_equal(dots.get_xdata()[shown], value[shown])
        assert (np.abs(dots.get_ydata() - np.arange(value.size)) < 0.5).all()
        below = [line for line in axes.lines if line.get_marker() == "<" and line.get_color() == colour(place)][0]
        assert len(below.get_xdata()) == (value < -0.2).sum()
    assert len(axes.collections) == 3
    assert [text.get_text() for text in axes.get_yticklabels()][0] == "heating"
