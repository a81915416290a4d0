"""Scores as dots with their intervals: the three figures, and R2 by variable."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, MUTED, colour, key, new_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset


def r2_by_variable(labels: Sequence[str], scores: "Sequence[Dataset]") -> "Figure":
    """Mean R2 of each target with its 95 per cent interval, a dot a run; a triangle at the edge lies below -0.2.

    Args:
        labels, scores: of the runs; ``variable_r2`` (variable), ``variable_r2_interval`` (variable, bound).
    """
    names = [str(name) for name in scores[0]["variable"].values]
    figure = new_figure(0.3 * len(names) + 0.75)
    axes = figure.subplots()
    step = min(0.24, 0.7 / len(scores))
    for place, one in enumerate(scores):
        height = np.arange(len(names)) + (place - (len(scores) - 1) / 2) * step
        _dots(axes, one, height, colour(place))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(_LOW, 1)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("mean R² over scored levels, with 95 % interval")
    key(figure, labels)
    return figure


_LOW = -0.2


def _dots(axes: "Axes", scores: "Dataset", height: np.ndarray, colour_: str) -> None:
    value = scores["variable_r2"].values
    low, high = np.clip(scores["variable_r2_interval"].transpose("bound", "variable").values, _LOW, 1)
    axes.hlines(height, low, high, color=colour_, linewidth=1.6, alpha=0.55)
    axes.plot(np.where(value < _LOW, np.nan, value), height, linestyle="none", marker="o", markersize=4, color=colour_)
    below = value < _LOW
    axes.plot(np.full(below.sum(), _LOW + 0.015), height[below], linestyle="none", marker="<", markersize=4.5,
              color=colour_, clip_on=False)  # fmt: skip
