"""Scores of a profile level by level: R2, bias and error beside how much the truth varies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, INK, MUTED, colour, display, key, levels_of, new_figure, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset


def level_scores(name: str, labels: Sequence[str], scores: "Sequence[Dataset]") -> "Figure":
    """R2, bias and root mean square error of one profile against pressure, a line a run.

    The grey line beside the error is the standard deviation of the truth: the error of always predicting the mean.

    Args:
        name: the variable.
        labels, scores: of the runs; ``r2``, ``bias``, ``rmse``, ``truth_std`` (variable, level).
    """
    factor, unit = display(name)
    figure = new_figure(3.6)
    right, middle, left = figure.subplots(1, 3, sharey=True)
    pressure = scores[0]["level_pressure"].values if "level_pressure" in scores[0] else None
    levels = np.arange(scores[0].sizes["level"])
    for place, one in enumerate(scores):
        table = one.sel(variable=name)
        drawn = {"color": colour(place), "zorder": 3}
        right.plot(np.where(table["r2"] < 0, np.nan, table["r2"]), levels, **drawn)
        _below_zero(right, table["r2"].values, levels, place)
        middle.plot(table["bias"] * factor, levels, **drawn)
        left.plot(table["rmse"] * factor, levels, **drawn)
    left.plot(scores[0]["truth_std"].sel(variable=name) * factor, levels, color=MUTED, linestyle=(0, (3, 2)), zorder=2)
    left.set_title("dashed: truth's std. dev.", fontsize=7.5, color=MUTED)
    _axes(right, middle, left, unit)
    levels_of([right, middle, left], pressure)
    right.set_title(title(name), fontweight="bold")
    key(figure, labels)
    return figure


def _axes(right: "Axes", middle: "Axes", left: "Axes", unit: str) -> None:
    right.set_xlim(-0.03, 1.0)
    right.set_xlabel("R²")
    middle.axvline(0, color=INK, linewidth=0.6, zorder=1)
    middle.set_xlabel(f"bias ({unit})")
    left.set_xlim(left=0)
    left.set_xlabel(f"RMSE ({unit})")
    for axes in (right, middle, left):
        axes.grid(axis="both", color=GRID, zorder=0)
        axes.set_axisbelow(True)
        axes.locator_params(axis="x", nbins=3 if axes is middle else 4)


def _below_zero(axes: "Axes", r2: np.ndarray, levels: np.ndarray, place: int) -> None:
    """Levels whose R2 is below 0 stand as crosses near the left edge, the runs side by side: how far says no more."""
    below = np.flatnonzero(np.nan_to_num(r2, nan=1.0) < 0)
    edge = np.full(below.size, 0.04 * place)
    axes.plot(edge, levels[below], linestyle="none", marker="x", markersize=3.2, color=colour(place), zorder=4)
