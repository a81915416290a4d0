"""Single columns opened up: what went in, what was true, what was predicted, over pressure."""

from typing import TYPE_CHECKING, Any

import numpy as np

from subgrid.report.figures.style import GRID, INK, MUTED, colour, display, key, levels_of, new_figure, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from subgrid.report.gallery import OpenedRow
    from subgrid.schema.variable_sets import VariableSet

_SHOWN = (
    ("state_t", 1.0, "K"),
    ("state_q0001", 1e3, "g kg⁻¹"),
    ("state_q0002", 1e6, "mg kg⁻¹"),
    ("state_q0003", 1e6, "mg kg⁻¹"),
    ("state_u", 1.0, "m s⁻¹"),
    ("state_v", 1.0, "m s⁻¹"),
)


def opened_column(row: "OpenedRow", variables: "VariableSet", pressure: np.ndarray | None, place: int) -> "Figure":
    """The state (where it is known) above, its tendencies below, over pressure.

    Inputs are grey, the truth is black, the prediction has the run's colour.

    Args:
        row: the column.
        variables: of the row.
        pressure: Pa (level,) of its own levels, None where no grid is known.
        place: which run of the report it is, for its colour.
    """
    state = row.inputs
    inputs = [item for item in _SHOWN if state is not None and item[0] in variables.input_slices]
    profiles = [item.name for item in variables.targets if item.levels > 1]
    panels = max(len(inputs), len(profiles), 1)
    across = min(3, panels)
    above, below = -(-len(inputs) // across), -(-len(profiles) // across)
    figure = new_figure(1.8 * (above + below) + 0.2)
    grid = figure.subplots(above + below, across, squeeze=False, sharey=True)
    for axes, (name, factor, unit) in zip(grid[:above].flat, inputs, strict=False):
        assert state is not None
        _plot(axes, state[variables.input_slices[name]] * factor, {"color": MUTED})
        _head(axes, short(name), unit)
    for axes, name in zip(grid[above:].flat, profiles, strict=False):
        where, (factor, unit) = variables.target_slices[name], display(name)
        axes.axvline(0, color=MUTED, linewidth=0.5)
        _plot(axes, row.truth[where] * factor, {"color": INK, "linewidth": 1.1})
        _plot(axes, row.prediction[where] * factor, {"color": colour(place)})
        _head(axes, short(name), unit)
    for part, count in ((grid[:above], len(inputs)), (grid[above:], len(profiles))):
        for axes in part.flat[count:]:
            axes.set_visible(False)
    for line in grid:
        levels_of(line, pressure, 6)
    key(figure, ["prediction"], [place], truth=True)  # beside the panels: a line may go anywhere in them
    return figure


def _plot(axes: "Axes", values: np.ndarray, look: dict[str, Any]) -> None:
    axes.plot(values, np.arange(values.size), **look)


def _head(axes: "Axes", words: str, unit: str) -> None:
    axes.set_title(words)
    axes.set_xlabel(unit, fontsize=7.5)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=3)
