"""R2 by variable: dots and bars at the scores."""

import numpy as np
import xarray

from subgrid.report.figures.scores import r2_by_variable
from subgrid.report.figures.style import colour


def test_dots_and_bars_are_the_scores(others: list[xarray.Dataset]) -> None:
    axes = r2_by_variable(["a", "b", "c"], others).axes[0]
    for place, one in enumerate(others):
        dots = [line for line in axes.lines if line.get_color() == colour(place)][0]
        np.testing.assert_array_equal(dots.get_xdata(), one["variable_r2"])
        assert (np.abs(dots.get_ydata() - np.arange(dots.get_ydata().size)) < 0.5).all()
        ends = np.array([path.vertices[:, 0] for path in axes.collections[place].get_paths()])
        np.testing.assert_allclose(ends, one["variable_r2_interval"])
    assert [text.get_text() for text in axes.get_yticklabels()][0] == "heating"
