"""Maps of a target's scores on the model's own columns, in an equal-area projection."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from subgrid.report.figures.projection import Raster, outline
from subgrid.report.figures.style import MUTED, diverging, even_limit, new_figure, r2_colours, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from xarray import Dataset


def score_maps(
    name: str, labels: Sequence[str], scores: "Sequence[Dataset]", raster: Raster, land: np.ndarray | None
) -> "Figure":
    """R2 and bias of one target over time at every column, a row of two maps a run; each column fills its own cell.

    Args:
        name: the variable; of a profile, R2 is the mean and the bias the sum over its levels.
        labels, scores: of the runs; ``column_r2``, ``column_bias`` (variable, column).
        raster: pixels of the map.
        land: land fraction of the columns, (column,), for an outline; None where it is not known.
    """
    count = len(scores)
    figure = new_figure(1.2 * count + 0.75 + 0.2 * (count > 1))
    grid = figure.subplots(count, 2, squeeze=False)
    r2 = [one["column_r2"].sel(variable=name).values for one in scores]
    bias = [one["column_bias"].sel(variable=name).values for one in scores]
    limit = even_limit(bias)
    colours, steps = r2_colours()
    for row, label in enumerate(labels):
        first = _map(grid[row, 0], raster.values(r2[row]), raster, land, {"cmap": colours, "norm": steps})
        second = _map(
            grid[row, 1], raster.values(bias[row]), raster, land, {"cmap": diverging(), "vmin": -limit, "vmax": limit}
        )
        if count > 1:
            grid[row, 0].set_title(label)
    _bar(figure, first, grid[:, 0], "R²  (grey-brown: below 0)", extend="min")
    _bar(figure, second, grid[:, 1], "bias (W m⁻²)", extend="both")
    if count == 1:
        grid[0, 0].set_title(title(name), fontweight="bold")
    else:
        figure.suptitle(title(name), x=0.02, ha="left", fontsize=9, fontweight="bold")
    return figure


def _map(axes: "Axes", values: np.ndarray, raster: Raster, land: np.ndarray | None, look: dict[str, Any]) -> Any:
    axes.set_axis_off()
    axes.set_aspect("equal")
    x, y = outline()
    undefined = np.isnan(values[raster.column >= 0]).any()
    axes.fill(x, y, facecolor="none", edgecolor=MUTED, linewidth=0, zorder=-1, hatch="//////" if undefined else None)
    axes.plot(x, y, color=MUTED, linewidth=0.5)
    image = axes.imshow(values, extent=raster.extent, interpolation="nearest", **look)
    image.set_clip_path(axes.patches[0])
    if land is not None:
        _coast(axes, raster, land)
    axes.set_xlim(raster.extent[0] * 1.01, raster.extent[1] * 1.01)
    axes.set_ylim(raster.extent[2] * 1.01, raster.extent[3] * 1.01)
    return image


def _coast(axes: "Axes", raster: Raster, land: np.ndarray) -> None:
    """Where neighbouring pixels lie on either side of a land fraction of one half; no contour lines over the edge."""
    here = raster.values(np.where(np.isfinite(land), land > 0.5, np.nan))
    height, width = here.shape
    left, right, bottom, top = raster.extent
    x = left + (np.arange(width) + 0.5) / width * (right - left)
    y = top - (np.arange(height) + 0.5) / height * (top - bottom)
    lines = axes.contour(x, y, np.ma.masked_invalid(here), levels=[0.5], colors=["black"], linewidths=0.45, alpha=0.75)
    lines.set_rasterized(True)  # thousands of short strokes otherwise


def _bar(figure: "Figure", image: Any, axes: np.ndarray, label: str, extend: str) -> None:
    bar = figure.colorbar(image, ax=list(axes), location="bottom", extend=extend, aspect=30, shrink=0.85, pad=0.03)
    bar.set_label(label)
    bar.outline.set_visible(False)
    if extend == "min":
        bar.set_ticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    else:
        bar.locator = _few()
        bar.update_ticks()


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5, symmetric=True)
