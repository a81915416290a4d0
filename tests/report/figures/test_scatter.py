"""Densities: counts are those of a histogram by hand, and what lies outside is said."""

import numpy as np

from subgrid.report.figures.scatter import densities


def test_counts_add_to_the_values_but_for_those_outside() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=5000)
    found = truth + 0.2 * random.normal(size=5000)
    figure = densities("ptend_t", "K", [("a", truth, found), ("b", truth, -found)])
    for axes, (x, y) in zip(figure.axes, [(truth, found), (truth, -found)], strict=False):
        table = np.ma.filled(axes.collections[0].get_array(), 0)
        (low, high), (_, top) = axes.get_xlim(), axes.get_ylim()
        inside = (x >= low) & (x <= high) & (y >= low) & (y <= top)
        assert table.sum() == inside.sum()
        # upwards is the prediction: the mean of the rows with counts follows it
        heights = (np.arange(table.shape[0]) + 0.5) / table.shape[0] * (top - low) + low
        expected = y[inside & (x > 1)].mean()
        right = table[:, int((1 - low) / (high - low) * table.shape[1]) :]
        assert abs((right.sum(1) @ heights) / right.sum() - expected) < 0.1
        assert f"{(~inside).sum():,} outside" in axes.get_xlabel()


def test_values_that_are_all_the_same_are_drawn() -> None:
    same = np.full(10, 3.0)
    table = densities("cam_out_PRECC", "mm", [("a", same, same)]).axes[0].collections[0].get_array()
    assert table.sum() == 10
