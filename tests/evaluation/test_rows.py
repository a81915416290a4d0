"""What an evaluation is fed with: variables cut out by name, and laid out by level."""

import numpy as np

from subgrid.evaluation.rows import Frame, Rows, by_variable
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


def test_weights_are_areas_where_the_place_is_known(real_frame: Frame) -> None:
    column = np.array([0, 383, -1])
    area = real_frame.grid.area
    np.testing.assert_allclose(real_frame.weights(column), [*(area[[0, 383]] * 384 / (4 * np.pi)), 1.0], rtol=1e-6)
    np.testing.assert_array_equal(Frame(KAGGLE, None).weights(column), 1.0)


def test_a_part_holds_the_same_rows_of_everything() -> None:
    random = np.random.default_rng(0)
    numbers, confidence, members = np.arange(5), random.random((5, 368)), random.random((3, 5, 368))
    rows = Rows(members[0], members[1], numbers, numbers, numbers, confidence, None, confidence, members)
    part = rows.part(slice(1, 3))
    np.testing.assert_array_equal(part.row, [1, 2])
    np.testing.assert_array_equal(part.confidence, confidence[1:3])
    np.testing.assert_array_equal(part.members, members[:, 1:3])
    assert part.rule is None and part.truth.base is not None


def test_a_part_of_rows_is_views_with_or_without_inputs() -> None:
    truth = np.zeros((4, 368))
    none = np.arange(4)
    rows = Rows(truth, truth, none, none, none, None, members=np.zeros((2, 4, 368)))
    part = rows.part(slice(1, 3))
    assert part.inputs is None and part.members.shape == (2, 2, 368) and np.shares_memory(part.truth, truth)
