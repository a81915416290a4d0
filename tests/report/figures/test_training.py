"""Training curves: the lines of the metrics, and scores far below zero that do not press the rest together."""

from subgrid.report.figures.style import colour
from subgrid.report.figures.training import training_curves

LINES = [
    {"rows": 100, "r2_294": 0.1, "r2_308": -40.0, "competition": None, "loss": {"total": 0.9}},
    {"rows": 200, "r2_294": 0.2, "r2_308": 0.1, "competition": 0.3, "loss": {"total": 0.7}},
]


def test_lines_are_those_of_the_metrics() -> None:
    figure = training_curves(["a"], [LINES], [2])
    r2, r2_308, competition, loss = figure.axes[:4]
    assert list(r2.lines[0].get_ydata()) == [0.1, 0.2]
    assert list(competition.lines[0].get_xdata()) == [200]
    assert list(loss.lines[0].get_ydata()) == [0.9, 0.7]
    assert (r2.get_yscale(), r2_308.get_yscale()) == ("linear", "symlog")
    assert loss.lines[0].get_color() == colour(2)


def test_ticks_below_minus_one_can_be_read() -> None:
    axes = training_curves(["a"], [LINES], [0]).axes[1]
    assert [f"{tick:g}" for tick in axes.get_yticks()] == ["-10", "-5", "-1", "-0.5", "0"]
    assert axes.get_ylim()[0] < -40
