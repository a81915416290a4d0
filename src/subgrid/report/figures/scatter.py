"""Truth against prediction as densities: a sample of rows, a panel a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from subgrid.report.figures.style import GRID, INK, MUTED, WIDTH, new_figure, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

_BINS = 70


def densities(name: str, unit: str, pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> "Figure":
    """How many sampled values fall on each pair of truth (to the right) and prediction (upwards); log colours.

    The frame holds all but 0.2 per cent of the values at either end; how many lie outside is said in the corner.

    Args:
        name, unit: of the variable, as shown on the axes.
        pairs: label, truth and prediction of each run, (value,) each.
    """
    from matplotlib.colors import LogNorm

    columns = min(3, len(pairs)) if len(pairs) > 1 else 1
    rows = -(-len(pairs) // columns)
    width = WIDTH if len(pairs) > 1 else 3.6
    figure = new_figure(rows * ((width - 1.1) / columns + 0.15 * (len(pairs) > 1)) + 0.65, width)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    edges = _edges(pairs)
    tables = [_histogram(truth, found, edges) for _, truth, found in pairs]
    norm = LogNorm(1, max(2, *(int(table.max()) for table in tables)))
    for axes, (label, truth, _), table in zip(grid.flat, pairs, tables, strict=False):
        image = _density(axes, table, edges, norm)
        _remark(axes, table, truth.size)
        axes.set_title(label if len(pairs) > 1 else title(name), fontweight="normal" if len(pairs) > 1 else "bold")
    for axes in grid.flat[len(pairs) :]:
        axes.set_visible(False)
    bar = figure.colorbar(image, ax=grid, location="right", aspect=25, pad=0.02)
    bar.set_label("values a cell")
    bar.outline.set_visible(False)
    figure.supxlabel(f"truth ({unit})", fontsize=8)
    figure.supylabel("prediction", fontsize=8)
    if len(pairs) > 1:
        figure.suptitle(title(name), x=0.02, ha="left", fontsize=9, fontweight="bold")
    return figure


def _edges(pairs: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> np.ndarray:
    values = np.concatenate([np.concatenate([truth, found]) for _, truth, found in pairs])
    low, high = np.quantile(values, [0.002, 0.998])
    if not low < high:
        low, high = low - 1.0, high + 1.0
    margin = 0.02 * (high - low)
    return np.linspace(low - margin, high + margin, _BINS + 1)


def _histogram(truth: np.ndarray, found: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram2d(truth, found, bins=[edges, edges])[0]


def _density(axes: "Axes", table: np.ndarray, edges: np.ndarray, norm: Any) -> Any:
    shown = np.ma.masked_equal(table.T, 0)
    image = axes.pcolormesh(edges, edges, shown, cmap=_colours(), norm=norm, rasterized=True)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=INK, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.grid(color=GRID, zorder=0)
    axes.set_axisbelow(True)
    axes.set_aspect("equal")
    axes.locator_params(nbins=5)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(edges[0], edges[-1])
    return image


def _colours() -> "Colormap":
    """Viridis without its darkest quarter, which is lost on a dark page."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.25, 1, 256)))


def _remark(axes: "Axes", table: np.ndarray, size: int) -> None:
    outside = size - int(table.sum())
    axes.set_xlabel(f"{outside:,} outside", fontsize=7, color=MUTED)
