"""Maps: each pixel has the score of its column, a row of maps a run, the bias centred at zero."""

import numpy as np
import xarray

from subgrid.report.figures.maps import score_maps
from subgrid.report.figures.projection import raster


def test_pixels_have_the_scores_of_their_columns(others: list[xarray.Dataset]) -> None:
    grid = raster(others[0]["lat"].values, others[0]["lon"].values, width=80)
    land = np.linspace(0, 1, grid.column.max() + 1)
    figure = score_maps("cam_out_PRECC", ["a", "b", "c"], others, grid, land)
    for row, one in enumerate(others):
        for axes, field in zip(figure.axes[2 * row : 2 * row + 2], ("column_r2", "column_bias"), strict=True):
            drawn = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
            expected = one[field].sel(variable="cam_out_PRECC").values
            inside = grid.column >= 0
            np.testing.assert_array_equal(drawn[inside], expected[grid.column[inside]])
            assert np.isnan(drawn[~inside]).all()
    low, high = figure.axes[1].images[0].get_clim()
    assert low == -high < 0
    assert figure.axes[3].images[0].get_clim() == (low, high)


def test_an_unknown_score_leaves_the_globe_hatched(scores: xarray.Dataset) -> None:
    grid = raster(scores["lat"].values, scores["lon"].values, width=40)
    empty = scores.assign(column_r2=scores["column_r2"] * np.nan)
    first, second = score_maps("ptend_t", ["a"], [empty], grid, None).axes[:2]
    assert (bool(first.patches[0].get_hatch()), bool(second.patches[0].get_hatch())) == (True, False)
