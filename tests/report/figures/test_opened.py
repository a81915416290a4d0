"""A column opened up: inputs, truth and prediction of that row in its own panels."""

from dataclasses import replace

import numpy as np

from subgrid.report.cases import Case
from subgrid.report.figures.opened import opened_column
from subgrid.report.figures.style import INK, colour


def test_panels_hold_the_row(case: Case) -> None:
    row, variables = case.gallery.worst[0], case.gallery.frame.variables
    figure = opened_column(row, variables, case.scores["level_pressure"].values, place=1)
    assert len(figure.axes) == 12
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), row.inputs[variables.input_slices["state_t"]])
    where = variables.target_slices["ptend_t"]
    lines = {line.get_color(): line.get_xdata() for line in figure.axes[6].lines}
    np.testing.assert_allclose(lines[INK], row.truth[where] * 86_400)
    np.testing.assert_allclose(lines[colour(1)], row.prediction[where] * 86_400)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "prediction"]
    assert [line.get_color() for line in figure.legends[0].get_lines()] == [INK, colour(1)]


def test_a_set_without_winds_has_fewer_panels(case: Case) -> None:
    from subgrid.schema.variable_sets import variable_set

    v1, row = variable_set("v1"), case.gallery.worst[0]
    figure = opened_column(row, v1, None, place=0)
    assert sum(axes.get_visible() for axes in figure.axes) == 4
    bare = opened_column(replace(row, inputs=None), case.gallery.frame.variables, None, place=0)
    assert [axes.get_title() for axes in bare.axes][:2] == ["heating", "moistening"]
    assert len(bare.axes) == 6
