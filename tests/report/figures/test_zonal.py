"""R2 by latitude and pressure: the values at their places, below zero and undefined told apart."""

import numpy as np
import xarray

from subgrid.report.figures.style import BELOW, r2_colours
from subgrid.report.figures.zonal import zonal_r2

PROFILES = ["ptend_t", "ptend_q0001"]


def test_each_panel_holds_the_values_of_its_variable(scores: xarray.Dataset) -> None:
    figure = zonal_r2(scores, PROFILES)
    for axes, name in zip(figure.axes, PROFILES, strict=False):
        drawn = np.ma.filled(axes.collections[0].get_array().astype(float), np.nan)
        np.testing.assert_array_equal(drawn, scores["band_r2"].sel(variable=name).values)


def test_the_top_of_the_model_is_on_top_and_south_on_the_left(scores: xarray.Dataset) -> None:
    axes = zonal_r2(scores, PROFILES).axes[0]
    assert axes.get_ylim() == (59.5, -0.5)
    assert axes.get_xlim() == (-90, 90)
    ticks = dict(zip((label.get_text() for label in axes.get_yticklabels()), axes.get_yticks(), strict=True))
    pressure = scores["level_pressure"].values
    assert pressure[int(ticks["100"])] <= 10_000 <= pressure[int(ticks["100"]) + 1]


def test_below_zero_has_a_colour_of_its_own_and_undefined_none() -> None:
    from matplotlib.colors import to_hex

    colours, steps = r2_colours()
    assert to_hex(colours(steps(np.array([-0.01])))[0]) == BELOW
    assert to_hex(colours(steps(np.array([0.01])))[0]) != BELOW
    assert colours(np.ma.masked_invalid([np.nan]))[0, 3] == 0


def test_what_is_not_defined_is_hatched(scores: xarray.Dataset) -> None:
    heating, moistening = zonal_r2(scores, PROFILES).axes[:2]
    assert [bool(one.get_hatch()) for one in moistening.collections] == [False, True]
    assert len(heating.collections) == 1
