"""R2 by variable as dots with their intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, colour, key, new_figure, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from xarray import Dataset


def r2_by_variable(labels: Sequence[str], scores: "Sequence[Dataset]") -> "Figure":
    """Mean of max(R2, 0) of each target with its 95 per cent interval, a dot a run.

    Args:
        labels, scores: of the runs; ``variable_r2`` (variable), ``variable_r2_interval`` (variable, bound).
    """
    names = [str(name) for name in scores[0]["variable"].values]
    figure = new_figure(0.3 * len(names) + 0.75)
    axes = figure.subplots()
    step = min(0.24, 0.7 / len(scores))
    for place, one in enumerate(scores):
        height = np.arange(len(names)) + (place - (len(scores) - 1) / 2) * step
        low, high = one["variable_r2_interval"].transpose("bound", "variable").values
        axes.hlines(height, low, high, color=colour(place), linewidth=1.6, alpha=0.55)
        axes.plot(one["variable_r2"], height, linestyle="none", marker="o", markersize=4, color=colour(place))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.01, 1)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("mean of max(R², 0) over levels, with 95 % interval")
    key(figure, labels)
    return figure
