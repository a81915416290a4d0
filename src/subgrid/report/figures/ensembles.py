"""Ensembles as distributions: spread against skill by level, rank histograms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, INK, colour, display, key, levels_of, new_figure, short, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from xarray import Dataset


def spread_skill(name: str, labels: Sequence[str], scores: "Sequence[Dataset]", places: Sequence[int]) -> "Figure":
    """CRPS, and the ratio of spread to skill, of one profile by level; a ratio of 1 is reliable.

    Args:
        name: the variable.
        labels, scores: of the ensembles; ``crps``, ``spread_skill`` (variable, level).
        places: which runs of the report they are, for their colours.
    """
    factor, unit = display(name)
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2, sharey=True)
    pressure = scores[0]["level_pressure"].values if "level_pressure" in scores[0] else None
    for place, one in zip(places, scores, strict=True):
        table = one.sel(variable=name)
        left.plot(table["crps"] * factor, np.arange(table.sizes["level"]), color=colour(place))
        right.plot(table["spread_skill"], np.arange(table.sizes["level"]), color=colour(place))
    left.set_xlabel(f"CRPS ({unit})")
    left.set_xlim(left=0)
    right.axvline(1, color=INK, linewidth=0.6)
    right.set_xlim(0, max(1.1, right.get_xlim()[1]))
    right.set_xlabel("spread / skill   (below 1: too sure)")
    for axes in (left, right):
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
    levels_of([left, right], pressure)
    left.set_title(title(name), fontweight="bold")
    key(figure, labels, places)
    return figure


def rank_histograms(scores: "Dataset", place: int) -> "Figure":
    """How often the truth stands at each rank among the members, a panel a variable; flat is reliable.

    The line is what a reliable ensemble has on average; a hollow middle means too little spread.
    """
    names = [str(name) for name in scores["variable"].values]
    rows = -(-len(names) // 3)
    figure = new_figure(1.15 * rows + 0.5)
    grid = figure.subplots(rows, 3, squeeze=False, sharex=True)
    for axes, name in zip(grid.flat, names, strict=False):
        counts = scores["rank_count"].sel(variable=name).values
        share = counts / counts.sum() if counts.sum() else counts
        axes.bar(np.arange(share.size), share, width=0.9, color=colour(place))
        axes.axhline(1 / share.size, color=INK, linewidth=0.7)
        axes.set_title(short(name), fontsize=8)
        axes.set_ylim(bottom=0)
        axes.locator_params(axis="y", nbins=3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("members below the truth", fontsize=8)
    figure.supylabel("share of samples", fontsize=8)
    return figure
