"""Scores as an xarray.Dataset: coordinates that select, the same numbers as elsewhere, through a file unchanged."""

from pathlib import Path

import numpy as np
import pytest
import xarray

from subgrid.evaluation.dataset import as_dataset, write_dataset
from subgrid.evaluation.evaluation import Evaluation
from subgrid.evaluation.rows import Frame
from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic import fibonacci_grid

from .test_evaluation import sample

KAGGLE = variable_set("kaggle")


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    evaluation = Evaluation(Frame(KAGGLE, fibonacci_grid(24)), days=1)
    evaluation.add(sample(24 * 30))
    return evaluation


def test_scores_are_selected_by_name(evaluation: Evaluation) -> None:
    found, json = as_dataset(evaluation, {"run": "somewhere"}), evaluation.to_json()
    assert found.r2.sel(variable="ptend_q0001").values.tolist() == json["by_level"]["ptend_q0001"]["r2"]
    assert found.rmse.sel(variable="cam_out_SOLS", level=0).item() == json["by_level"]["cam_out_SOLS"]["rmse"][0]
    assert found.rmse.sel(variable="cam_out_SOLS").isnull().sum() == 59
    floored = json["by_variable"]["ptend_u"]["r2_floored"]
    assert found.variable_r2.sel(variable="ptend_u").item() == pytest.approx(floored)
    interval = found.figure_interval.sel(figure="r2_308")
    assert interval.values.tolist() == json["intervals"]["r2_308"]
    assert interval.sel(bound="low") < found.figure_value.sel(figure="r2_308") < interval.sel(bound="high")
    assert (found.attrs["run"], found.attrs["blocks"], found.attrs["intervals_weak"]) == ("somewhere", 30, 0)
    assert found.scored.sum() == 308 and found.levels.sel(variable="ptend_v") == 60
    assert found.unit.sel(variable="ptend_t").item() == "K/s"
    assert np.all(np.diff(found.level_pressure) > 0) and found.lat.dims == ("column",)


def test_a_file_gives_the_same_numbers_back(evaluation: Evaluation, tmp_path: Path) -> None:
    expected = as_dataset(evaluation)
    write_dataset(tmp_path / "s.nc", expected)
    with xarray.open_dataset(tmp_path / "s.nc") as found:
        xarray.testing.assert_identical(found.load(), expected)


def test_every_score_says_what_it_is(evaluation: Evaluation) -> None:
    found = as_dataset(evaluation)
    assert [name for name, values in found.data_vars.items() if not values.attrs.get("long_name")] == []


def test_a_smaller_set_without_a_grid() -> None:
    v1 = variable_set("v1")
    rows = sample(40)
    evaluation = Evaluation(Frame(v1, None))
    evaluation.add(rows._replace(prediction=rows.prediction[:, :128], truth=rows.truth[:, :128]))
    found = as_dataset(evaluation)
    assert "figure_value" not in found and "lat" not in found.coords
    assert found.r2.sel(variable="ptend_q0001").notnull().all()
