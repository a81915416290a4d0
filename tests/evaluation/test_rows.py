"""What an evaluation is fed with: variables cut out by name, and laid out by level."""

import numpy as np

from subgrid.evaluation.rows import Rows, by_variable
from subgrid.schema.variable_sets import variable_set

KAGGLE = variable_set("kaggle")


def test_variables_are_cut_out_by_name() -> None:
    inputs = np.arange(2 * 556.0).reshape(2, 556)
    truth = np.arange(2 * 368.0).reshape(2, 368)
    none = np.zeros(2, dtype=np.int64)
    rows = Rows(truth, truth, none, none, none, inputs)
    np.testing.assert_array_equal(rows.input(KAGGLE, "state_ps"), inputs[:, 360])
    np.testing.assert_array_equal(rows.input(KAGGLE, "state_q0001"), inputs[:, 60:120])
    np.testing.assert_array_equal(Rows.target(truth, KAGGLE, "cam_out_PRECC"), truth[:, 363])


def test_scalars_stand_at_level_0() -> None:
    table = by_variable(KAGGLE, np.arange(3 * 368.0).reshape(3, 368))
    assert table.shape == (3, 14, 60)
    np.testing.assert_array_equal(table[1, 1], 368 + 60 + np.arange(60))
    assert table[2, 13, 0] == 2 * 368 + 367 and np.isnan(table[:, 6:, 1:]).all()
