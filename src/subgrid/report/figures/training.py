"""How runs were learnt: scores and loss against the rows seen."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from subgrid.report.figures.style import GRID, MUTED, colour, key, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORES = ("r2_294", "r2_308", "competition")


def training_curves(
    labels: Sequence[str], histories: Sequence[Sequence[Mapping[str, Any]]], places: Sequence[int]
) -> "Figure":
    """Three scores on the validation rows and the loss, at the end of every sub-epoch, a line a run.

    Args:
        labels: of the runs.
        histories: lines ``sub_epoch`` of their metrics.
        places: which runs of the report they are, for their colours.
    """
    figure = new_figure(4.0)
    grid = figure.subplots(2, 2, sharex=True)
    for axes, name in zip(grid.flat, SCORES, strict=False):
        for place, lines in zip(places, histories, strict=True):
            _line(axes, [(line["rows"], line.get(name)) for line in lines], colour(place))
        _floor(axes)
        axes.set_title(name)
    for place, lines in zip(places, histories, strict=True):
        _line(grid[1, 1], [(line["rows"], line.get("loss", {}).get("total")) for line in lines], colour(place))
    grid[1, 1].set_title("training loss (normalised units)")
    for axes in grid.flat:
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        axes.margins(x=0.03)
    for axes in grid[1]:
        axes.set_xlabel("rows seen")
        axes.xaxis.set_major_formatter(_short)
        axes.locator_params(axis="x", nbins=5)
    key(figure, labels, places)
    return figure


def _line(axes: "Axes", points: Sequence[tuple[float, float | None]], colour_: str) -> None:
    points = [point for point in points if point[1] is not None]
    if points:
        rows, values = zip(*points, strict=True)
        axes.plot(rows, values, color=colour_, marker="o", markersize=3)


def _floor(axes: "Axes") -> None:
    """A wild first value must not press all others into one line: below -1 the axis goes on in logarithms."""
    values = [float(value) for line in axes.lines for value in np.asarray(line.get_ydata(), dtype=float)]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low >= -1:
        return
    decades = range(math.ceil(math.log10(-low)) + 1)
    ticks = [-(10.0**power) for power in decades[:: 1 if low > -1e5 else 3] if -(10.0**power) >= low]
    ticks += [tick for tick in (-50.0, -5.0) if -100 < low <= tick]
    axes.set_yscale("symlog", linthresh=1, linscale=1)
    axes.set_ylim(1.25 * low, max(high, 0.0) + 0.15)
    axes.set_yticks(sorted([*ticks, -0.5, 0.0, *([0.5] if high > 0.4 else [])]))
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.axhline(0, color=MUTED, linewidth=0.6)


def _short(value: float, _: int) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
