"""Does it rain as often and as hard as in the truth? Frequencies of rates, and quantiles against quantiles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, INK, MUTED, colour, key, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset

_WORDS = {"cam_out_PRECC": "rain and snow", "cam_out_PRECSC": "snow"}


def precipitation(labels: Sequence[str], scores: "Sequence[Dataset]", places: Sequence[int]) -> "Figure":
    """A row a kind of precipitation: share of the area with at least a rate, and quantiles of both beside each other.

    Args:
        labels, scores: of the runs; ``precipitation_exceedance`` (precipitation, source, precipitation_threshold),
            ``precipitation_quantile`` (precipitation, source, quantile), rates in mm/day.
        places: which runs of the report they are, for their colours.
    """
    names = [str(name) for name in scores[0]["precipitation"].values]
    figure = new_figure(2.35 * len(names) + 0.35)
    grid = figure.subplots(len(names), 2, squeeze=False)
    for (left, right), name in zip(grid, names, strict=True):
        _exceedance(left, scores, places, name)
        _quantiles(right, scores, places, name)
        left.set_title(f"{_WORDS.get(name, name)}: how often")
        right.set_title("quantiles (mm day⁻¹)")
        for axes in (left, right):
            axes.grid(color=GRID)
            axes.set_axisbelow(True)
            axes.xaxis.set_major_formatter("{x:g}")
    key(figure, labels, places, truth=True)
    return figure


def _exceedance(axes: "Axes", scores: "Sequence[Dataset]", places: Sequence[int], name: str) -> None:
    table = [one["precipitation_exceedance"].sel(precipitation=name) for one in scores]
    thresholds = scores[0]["precipitation_threshold"].values

    def line(values: np.ndarray, colour_: str) -> None:
        axes.plot(thresholds, np.where(values > 0, values, np.nan), color=colour_)

    for place, one in zip(places, table, strict=True):
        line(one.sel(source="prediction").values, colour(place))
    truth = table[0].sel(source="truth").values
    line(truth, INK)
    axes.set_xscale("log")
    axes.set_yscale("log")
    highest = max(
        float(thresholds[np.flatnonzero((one > 0).any("source").values)[-1:]].max(initial=0.1)) for one in table
    )
    axes.set_xlim(thresholds[0], highest * 1.3)
    axes.set_xlabel("at least (mm day⁻¹)")
    axes.set_ylabel("share of the area")


def _quantiles(axes: "Axes", scores: "Sequence[Dataset]", places: Sequence[int], name: str) -> None:
    ends = [0.1]
    for place, one in zip(places, scores, strict=True):
        table = one["precipitation_quantile"].sel(precipitation=name)
        truth, found = (np.maximum(table.sel(source=source).values, 0.1) for source in ("truth", "prediction"))
        axes.plot(truth, found, color=colour(place), marker="o", markersize=3.2)
        ends += [*truth[np.isfinite(truth)], *found[np.isfinite(found)]]
    # Where there is nothing to see: a label stands below the diagonal, or above it where curves fall under it.
    below = np.mean([np.nanmean(np.log(line.get_ydata()) - np.log(line.get_xdata())) for line in axes.lines]) > -0.1
    for share in scores[0]["quantile"].values:
        value = float(table.sel(source="truth", quantile=share))
        if share in (0.5, 0.9, 0.99, 0.999) and value > 0.1:
            axes.annotate(f"{100 * share:g} %", (value, 0 if below else 1), xycoords=("data", "axes fraction"),
                          xytext=(0, 3 if below else -3), textcoords="offset points", rotation=90, ha="center",
                          va="bottom" if below else "top", fontsize=7, color=MUTED)  # fmt: skip
    limits = (0.1, max(ends) * 1.2)
    axes.plot(limits, limits, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("truth")
    axes.set_ylabel("prediction")
