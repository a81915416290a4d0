"""One look for all figures: sizes, inks, colours of runs, colour maps, units that people use, the axis of levels.

Colours of runs are those of Okabe and Ito (2008), told apart with every common kind of colour blindness. Inks and
colours of runs are exact hex values, so that the page can put its own light or dark ones in their place.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from subgrid.schema.variables import LEVELS, TABLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import BoundaryNorm, Colormap
    from matplotlib.figure import Figure

INK, MUTED, GRID, BELOW, GROUND = "#1b1b1c", "#6f6f70", "#d9d9da", "#b3a9a1", "#fefeff"
"""Text and truth; lesser text and axes; helping lines; R2 below zero; behind the figure."""

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d5ba8", "#8c6d31")
"""Colours of runs, in order; after the last they begin anew."""

WIDTH = 4.9
"""Width of a figure in inches: one and a half columns of a journal; on a phone its letters are still read."""

_DAY = 86_400.0
_PER_DAY = {
    "K/s": (_DAY, "K day⁻¹"),
    "m/s2": (_DAY, "m s⁻¹ day⁻¹"),
    "m/s": (_DAY * 1e3, "mm day⁻¹"),
    "kg/kg/s": (_DAY * 1e3, "g kg⁻¹ day⁻¹"),
    "W/m2": (1.0, "W m⁻²"),
}
_SHORT = {
    "state_t": "temperature",
    "state_q0001": "humidity",
    "state_q0002": "cloud liquid",
    "state_q0003": "cloud ice",
    "ptend_t": "heating",
    "ptend_q0001": "moistening",
    "ptend_q0002": "cloud liquid",
    "ptend_q0003": "cloud ice",
    "ptend_u": "zonal accel.",
    "ptend_v": "meridional accel.",
    "cam_out_NETSW": "net shortwave",
    "cam_out_FLWDS": "longwave down",
    "cam_out_PRECSC": "snow",
    "cam_out_PRECC": "precipitation",
    "cam_out_SOLS": "visible, direct",
    "cam_out_SOLL": "near-IR, direct",
    "cam_out_SOLSD": "visible, diffuse",
    "cam_out_SOLLD": "near-IR, diffuse",
}
_TICKS = (1000, 100, 500, 10, 850, 300, 1, 700, 200, 0.1, 30, 400)  # the most telling first


def context() -> AbstractContextManager[None]:
    """The settings of matplotlib while a figure is drawn and saved; they end with the block."""
    import matplotlib

    return matplotlib.rc_context(
        {
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.titlesize": 9,
            "axes.titlelocation": "left",
            "axes.labelsize": 8.5,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            "text.color": INK,
            "axes.edgecolor": MUTED,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.facecolor": "none",
            "figure.facecolor": GROUND,
            "grid.color": GRID,
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.4,
            "lines.solid_capstyle": "round",
            "axes.formatter.limits": (-3, 4),
            "axes.formatter.use_mathtext": False,
            "svg.fonttype": "none",
            "svg.hashsalt": "subgrid",
            "pdf.fonttype": 42,
            "image.interpolation": "nearest",
        }
    )


def new_figure(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure of ours, sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def colour(index: int) -> str:
    """Colour of the run of that place."""
    return SERIES[index % len(SERIES)]


def display(name: str) -> tuple[float, str]:
    """Factor and unit in which a variable is shown: K/s as K per day, m/s of water as mm per day."""
    item = TABLE.get(name)
    if item is None:
        return 1.0, ""
    found = _PER_DAY.get(item.unit, (1.0, item.unit))
    return found if item.unit != "m/s" or item.role == "target" else (1.0, "m s⁻¹")


def title(name: str) -> str:
    """What a variable is, in words: ``heating rate`` for ``ptend_t``."""
    item = TABLE.get(name)
    return item.meaning.split(",")[0] if item else name


def short(name: str) -> str:
    """The same in a word or two, for the head of a small panel."""
    return _SHORT.get(name, title(name))


def r2_colours() -> "tuple[Colormap, BoundaryNorm]":
    """Ten even steps from 0 to 1 of a perceptually uniform map; below 0 a colour of its own; NaN is left empty."""
    import matplotlib
    from matplotlib.colors import BoundaryNorm

    colours = matplotlib.colormaps["viridis"].resampled(10).with_extremes(under=BELOW, bad=(0, 0, 0, 0))
    return colours, BoundaryNorm(np.linspace(0, 1, 11), colours.N)


def diverging() -> "Colormap":
    """For a bias: blue below 0, red above, NaN left empty."""
    import matplotlib

    return matplotlib.colormaps["RdBu_r"].with_extremes(bad=(0, 0, 0, 0))


def even_limit(values: Sequence[np.ndarray] | np.ndarray, share: float = 0.99) -> float:
    """The size that a share of the finite values stays within; 1 where there is nothing but zeros."""
    flat = np.abs(np.concatenate([np.ravel(one) for one in values]))
    flat = flat[np.isfinite(flat)]
    limit = float(np.quantile(flat, share)) if flat.size else 0.0
    return limit if limit > 0 else float(flat.max(initial=0.0)) or 1.0


def levels_axis(axes: "Axes", pressure: np.ndarray | None, apart: float = 3.0) -> None:
    """The vertical axis of a profile: every level has the same height, the model's top is on top, hPa at the ticks.

    Args:
        axes: whose vertical axis holds numbers of levels.
        pressure: Pa (level,) of a reference column, None where no grid is known: then the ticks are levels.
        apart: levels between two ticks, at least.
    """
    axes.set_ylim(LEVELS - 0.5, -0.5)
    if pressure is None:
        axes.set_yticks([0, 10, 20, 30, 40, 50, 59])
        axes.set_ylabel("level")
        return
    logarithm = np.log(np.asarray(pressure, dtype=float) / 100)
    kept: dict[float, float] = {}
    for tick in _TICKS:
        place = float(np.interp(np.log(tick), logarithm, np.arange(LEVELS)))
        inside = logarithm[0] - 0.02 <= np.log(tick) <= logarithm[-1] + 0.02
        if inside and all(abs(place - other) >= apart for other in kept.values()):
            kept[tick] = place
    axes.set_yticks(list(kept.values()), [f"{tick:g}" for tick in kept])
    axes.set_ylabel("pressure (hPa)")


def levels_of(axes: "Iterable[Axes]", pressure: np.ndarray | None, apart: float = 3.0) -> None:
    """Axes of a row that share the levels: the first has the labels, the others the ticks alone."""
    for place, one in enumerate(axes):
        levels_axis(one, pressure, apart)
        if place:
            one.set_ylabel("")
            one.tick_params(labelleft=False)


def key(figure: "Figure", labels: Sequence[str], places: Sequence[int] | None = None, truth: bool = False) -> None:
    """One line above the figure that names its lines in their colours; nothing for a single run alone.

    Args:
        figure: that gets the line.
        labels: of the runs.
        places: which runs of the report they are; the first ones when left out.
        truth: whether the truth is drawn too, in ink.
    """
    if len(labels) < 2 and not truth:
        return
    from matplotlib.lines import Line2D

    colours = [INK] * truth + [colour(place) for place in (range(len(labels)) if places is None else places)]
    handles = [Line2D([], [], color=one, linewidth=2) for one in colours]
    words = ["truth"] * truth + list(labels)
    figure.legend(handles, words, loc="outside upper left", ncols=min(4, len(words)), handlelength=1.2)
