"""An evaluation: parts where the rows hold what they need, merged from pieces, as plain numbers."""

import json

import numpy as np
import pytest

from subgrid.evaluation.blocks import DAY
from subgrid.evaluation.evaluation import Evaluation
from subgrid.evaluation.rows import Frame, Rows
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic import fibonacci_grid

KAGGLE = variable_set("kaggle")


@pytest.fixture(scope="module")
def grid() -> Grid:
    return fibonacci_grid(24)


def sample(rows: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    truth = random.normal(size=(rows, 368))
    number = np.arange(rows)
    inputs = np.zeros((rows, 556))
    inputs[:, 360] = 1e5
    return Rows(truth + 0.5 * random.normal(size=truth.shape), truth, number % 24, number // 24 * DAY, number, inputs)


def test_pieces_merge(grid: Grid) -> None:
    rows = sample(600)
    whole, one, other = (Evaluation(Frame(KAGGLE, grid)) for _ in range(3))
    whole.add(rows)
    for start, stop, evaluation in ((0, 100, other), (100, 350, one), (350, 600, other)):
        evaluation.add(Rows(*(None if values is None else values[start:stop] for values in rows)))
    one.merge(other)
    found, expected = one.fields(), whole.fields()
    assert list(found) == list(expected)
    for name, field in expected.items():
        if field.values.dtype.kind == "U":
            assert found[name].values.tolist() == field.values.tolist()
        else:
            np.testing.assert_allclose(found[name].values, field.values, rtol=1e-9, atol=1e-12, err_msg=name)
    assert one.card.headline() == pytest.approx(whole.card.headline(), rel=1e-12)


def test_plain_numbers_have_no_nan(grid: Grid) -> None:
    evaluation = Evaluation(Frame(KAGGLE, grid))
    evaluation.add(sample(48))
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    found = json.loads(text)
    assert found["blocks"] == {"days": 5, "count": 1, "weak": True}
    assert found["intervals"]["r2_294"] == [None, None]
    assert found["climsim"]["samples_a_column"] == [2, 2] and found["climsim"]["columns_with_few"] == 24
    assert found["climsim"]["by_variable"]["cam_out_FLWDS"]["mae"] > 0


def test_without_a_grid_places_are_left_out() -> None:
    evaluation = Evaluation(Frame(KAGGLE, None))
    evaluation.add(sample(48))
    assert not [name for name in evaluation.fields() if name.startswith(("climsim_", "band_", "column_", "budget_"))]
    assert evaluation.to_json()["climsim"] is None
    assert evaluation.card.rows == 48
