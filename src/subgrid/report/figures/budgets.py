"""Physical checks: residuals of a column's water and enthalpy, and water that a step would make negative."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, INK, MUTED, colour, key, levels_of, new_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset

BUDGETS = {
    "water": "water",
    "water_no_flux": "water, no surface fluxes",
    "enthalpy": "moist enthalpy",
    "enthalpy_no_flux": "enthalpy, no surface fluxes",
}
"""What a budget is, in a few words."""


def residuals(labels: Sequence[str], scores: "Sequence[Dataset]", places: Sequence[int]) -> "Figure":
    """How often a residual has which size, truth beside predictions, a panel a budget.

    Each bin has the same width on the axis, so between -0.1 and 0.1 W/m2 it is even and beyond in logarithms.

    Args:
        labels, scores: of the runs; ``budget_histogram`` (budget, source, budget_bin), ``budget_edge`` in W/m2.
        places: which runs of the report they are, for their colours.
    """
    names = [str(name) for name in scores[0]["budget"].values]
    rows = -(-len(names) // 2)
    figure = new_figure(1.75 * rows + 0.65)
    grid = figure.subplots(rows, 2, squeeze=False, sharex=True)
    edges = scores[0]["budget_edge"].values[1:-1]
    for axes, name in zip(grid.flat, names, strict=False):
        tables = [one["budget_histogram"].sel(budget=name) for one in scores]
        _steps(axes, tables[0].sel(source="truth").values, INK)
        for place, table in zip(places, tables, strict=True):
            _steps(axes, table.sel(source="prediction").values, colour(place))
        axes.axvline(np.interp(0, edges, np.arange(edges.size) + 0.5), color=MUTED, linewidth=0.5)
        axes.set_title(BUDGETS.get(name, name))
        axes.set_ylim(bottom=0)
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        axes.locator_params(axis="y", nbins=4)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    ticks = [-1000, -10, 0, 10, 1000]
    grid[0, 0].set_xticks(np.interp(ticks, edges, np.arange(edges.size) + 0.5), [f"{tick:g}" for tick in ticks])
    figure.supxlabel("residual (W m⁻²)", fontsize=8.5)
    figure.supylabel("share of the area", fontsize=8.5)
    key(figure, labels, places, truth=True)
    return figure


def _steps(axes: "Axes", share: np.ndarray, colour_: str) -> None:
    axes.plot(np.arange(share.size), share, color=colour_, drawstyle="steps-mid", linewidth=1.1)


def negative_water(labels: Sequence[str], scores: "Sequence[Dataset]", places: Sequence[int]) -> "Figure":
    """Share of columns whose water one step would make negative, by level, a panel a kind of water.

    Args:
        labels, scores: of the runs; ``negative_share_by_level`` (water, source, level).
        places: which runs of the report they are, for their colours.
    """
    names = [str(name) for name in scores[0]["water"].values]
    figure = new_figure(3.3)
    grid = figure.subplots(1, len(names), squeeze=False, sharex=True)[0]
    pressure = scores[0]["level_pressure"].values if "level_pressure" in scores[0] else None
    highest = 1.0
    for axes, name in zip(grid, names, strict=True):
        tables = [100 * one["negative_share_by_level"].sel(water=name) for one in scores]
        for place, table in zip(places, tables, strict=True):
            axes.plot(table.sel(source="prediction"), np.arange(table.sizes["level"]), color=colour(place))
        axes.plot(tables[0].sel(source="truth"), np.arange(tables[0].sizes["level"]), color=INK, linewidth=1.1)
        axes.set_title(short(f"state_{name}"))
        axes.set_xlabel("columns (%)")
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
        highest = max(highest, *(float(table.max()) for table in tables))
    grid[0].set_xlim(-0.01 * highest, 1.03 * highest)
    levels_of(grid, pressure)
    key(figure, labels, places, truth=True)
    return figure
