"""Does a network know where it errs? Expected against found errors, and the score of the rows it trusts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, INK, MUTED, colour, key, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from xarray import Dataset

_RARE = 1e-4  # bins with a smaller share of the outputs are left out: their means are noise


def reliability(labels: Sequence[str], scores: "Sequence[Dataset]", places: Sequence[int]) -> "Figure":
    """Mean error found where the network expects an error of so much, and how often it does; log axes.

    Args:
        labels, scores: of the runs with a confidence head; ``confidence_found``, ``confidence_share``
            (confidence_bin), ``confidence_edge`` (confidence_edge) in normalised units.
        places: which runs of the report they are, for their colours.
    """
    figure = new_figure(4.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    ends = []
    for place, one in zip(places, scores, strict=True):
        edges = one["confidence_edge"].values
        share, found = one["confidence_share"].values, one["confidence_found"].values
        with np.errstate(invalid="ignore"):
            centre = np.sqrt(edges[:-1] * edges[1:])
        shown = np.isfinite(centre) & (share > _RARE)
        upper.plot(centre[shown], found[shown], color=colour(place), marker="o", markersize=3)
        with np.errstate(divide="ignore", invalid="ignore"):
            octaves = np.log2(edges[1:] / edges[:-1])
        lower.plot(centre[shown], (share / octaves)[shown], color=colour(place))
        ends += [*centre[shown], *found[shown]]
    limits = (min(ends, default=0.1), max(ends, default=1.0))
    upper.plot(limits, limits, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    middle = float(np.sqrt(limits[0] * limits[1]))
    upper.annotate(
        "as expected", (middle, middle), xytext=(8, -10), textcoords="offset points", color=MUTED, fontsize=8
    )
    for axes in (upper, lower):
        axes.set_xscale("log")
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
    upper.set_yscale("log")
    upper.set_ylabel("error found")
    lower.set_ylabel("share of outputs\nan octave")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("error that the network expects (standard deviations)")
    for axis in (upper.xaxis, upper.yaxis):
        axis.set_major_formatter("{x:g}")
    key(figure, labels, places)
    return figure


def score_kept(labels: Sequence[str], scores: "Sequence[Dataset]", places: Sequence[int]) -> "Figure":
    """R2 and mean absolute error of the rows that are kept when those of the largest expected error are dropped.

    Args:
        labels, scores, places: as for ``reliability``; ``kept_r2``, ``kept_mae`` (kept).
    """
    figure = new_figure(2.6)
    left, right = figure.subplots(1, 2)
    for place, one in zip(places, scores, strict=True):
        share = 100 * one["kept"].values
        left.plot(share, one["kept_r2"].values, color=colour(place))
        right.plot(share, one["kept_mae"].values, color=colour(place))
    left.set_title("mean of max(R², 0)")
    right.set_title("mean absolute error (std. dev.)")
    for axes in (left, right):
        axes.set_xlim(100, 0)
        axes.set_xlabel("rows kept (%)")
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
    key(figure, labels, places)
    return figure
