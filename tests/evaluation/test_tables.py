"""Scores by variable and level."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from subgrid.evaluation.sums import Sums
from subgrid.evaluation.tables import by_level, by_variable, mean, plain
from subgrid.schema.variable_sets import VARIABLE_SETS, VariableSet


def sums_of(variables: VariableSet) -> tuple[Sums, np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    truth = random.normal(size=(60, variables.target_width))
    prediction = truth + random.normal(size=truth.shape) * np.linspace(0.1, 2, variables.target_width)
    if "ptend_q0002" in variables.target_slices:
        truth[:, variables.target_slices["ptend_q0002"]][:, :20] = 0.0
    return Sums.of(prediction, truth), prediction, truth


@pytest.mark.parametrize("name", VARIABLE_SETS)
def test_every_variable_and_level_of_every_set(name: str) -> None:
    variables = VARIABLE_SETS[name]
    sums, prediction, truth = sums_of(variables)
    expected = r2_score(truth, prediction, multioutput="raw_values")
    levels, table = by_level(variables, sums), by_variable(variables, sums)
    assert list(levels) == list(table) == [item.name for item in variables.targets]
    place = variables.target_slices["ptend_t"]
    assert levels["ptend_t"]["r2"] == pytest.approx(expected[place].tolist(), abs=1e-10)
    assert table["ptend_t"]["r2"] == pytest.approx(expected[place].mean(), abs=1e-10)
    assert table["ptend_t"]["mae"] == pytest.approx(np.abs(prediction - truth)[:, place].mean(), rel=1e-10)
    assert (table["ptend_t"]["levels"], table["ptend_t"]["left_out"]) == (60, 0)
    assert len(levels["cam_out_SOLS"]["rmse"]) == 1
    assert table["cam_out_SOLS"]["r2"] == levels["cam_out_SOLS"]["r2"][0]


def test_unscored_and_undefined_levels_are_left_out_and_counted() -> None:
    variables = VARIABLE_SETS["kaggle"]
    sums, prediction, truth = sums_of(variables)
    place = variables.target_slices["ptend_q0002"]
    row = by_variable(variables, sums)["ptend_q0002"]
    used = r2_score(truth[:, place], prediction[:, place], multioutput="raw_values")[20:]
    assert (row["levels"], row["left_out"]) == (40, 20)
    assert row["r2"] == pytest.approx(used.mean(), abs=1e-10)
    assert row["r2_floored"] == pytest.approx(np.maximum(used, 0).mean(), abs=1e-10)
    assert by_level(variables, sums)["ptend_q0002"]["r2"][:20] == [None] * 20
    assert by_variable(variables, sums)["ptend_u"]["left_out"] == 12


def test_what_is_not_a_number_is_none() -> None:
    assert [plain(value) for value in (1.5, np.nan, np.inf, -np.inf)] == [1.5, None, None, None]
    assert mean(np.zeros(0)) is None
