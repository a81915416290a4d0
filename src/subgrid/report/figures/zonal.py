"""R2 against latitude and pressure for each profile: the figure by which the ClimSim paper judges emulators."""

from typing import TYPE_CHECKING

import numpy as np

from subgrid.report.figures.style import GRID, levels_of, new_figure, r2_colours, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset


def zonal_r2(scores: "Dataset", profiles: list[str]) -> "Figure":
    """One panel a profile, latitude to the right, pressure downwards; every level has the same height.

    Args:
        scores: with ``band_r2`` (variable, level, band), ``band_edges`` (band, bound) and ``level_pressure``.
        profiles: names of variables.
    """
    rows = -(-len(profiles) // 2)
    figure = new_figure(1.75 * rows + 0.75)
    grid = figure.subplots(rows, 2, sharex=True, squeeze=False)
    pressure = scores["level_pressure"].values
    colours, steps = r2_colours()
    edges = np.append(scores["band_edges"].values[:, 0], scores["band_edges"].values[-1, 1])
    for axes, name in zip(grid.flat, profiles, strict=False):
        values = scores["band_r2"].sel(variable=name).transpose("level", "band").values
        image = axes.pcolormesh(
            edges, np.arange(values.shape[0] + 1) - 0.5, values, cmap=colours, norm=steps, rasterized=True
        )
        axes.set_title(title(name))
        _undefined(axes, values, edges)
        _latitudes(axes, edges)
    for axes in grid.flat[len(profiles) :]:
        axes.set_visible(False)
    for row in grid:
        levels_of(row, pressure, 6)
    bar = figure.colorbar(image, ax=grid, location="bottom", extend="min", aspect=45, shrink=0.8, pad=0.02)
    bar.set_label("R²   (grey-brown: below 0;  hatched: not defined, the truth does not vary)", fontsize=7.5)
    bar.set_ticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    bar.outline.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("latitude")
    return figure


def _undefined(axes: "Axes", values: np.ndarray, edges: np.ndarray) -> None:
    """Hatch the whole panel behind the colours: it shows where there is no value."""
    if np.isnan(values).any():
        axes.fill_between(
            [edges[0], edges[-1]], -0.5, values.shape[0] - 0.5, facecolor="none", edgecolor=GRID, hatch="////",
            linewidth=0, zorder=0,
        )  # fmt: skip


def _latitudes(axes: "Axes", edges: np.ndarray) -> None:
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xticks([-60, -30, 0, 30, 60], ["60S", "30S", "0", "30N", "60N"])
