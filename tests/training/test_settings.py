"""Settings that cannot work are refused; recipes are compared by what decides the result."""

import pytest
from pydantic import ValidationError

from subgrid.recipe import parse_recipe
from subgrid.training.settings import TrainingSettings, differing_keys


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"rows": 1000, "batch": 128, "sub_epochs": 10}, "training.sub_epochs = 10"),
        ({"warm_up": 0.5}, "must be whole"),
        ({"warm_up": 10}, "less than training.sub_epochs"),
        ({"rowz": 1}, "rowz"),
        ({"average": 1.0}, "average"),
        ({"batch": 0}, "batch"),
        ({"rows": 0}, "at least one row, or training.epochs"),
        ({"rows": 10_000, "epochs": 2}, "training.rows = 10000 and training.epochs = 2 both say"),
        ({"keep": [0]}, "keep"),
        ({"keep": [11]}, "no sub-epoch 11 of 10"),
        ({"data": []}, "expected 1 to 127 data sets, found 0"),
        ({"data": [{"share": 0}]}, "share"),
        ({"data": [{"name": "a/b"}]}, "name"),
        ({"data": [{}, {}]}, "the name 'data' stands twice"),
        ({"validation": [{"name": "a"}, {"name": "a"}]}, "the name 'a' stands twice"),
        ({"validation": [{"name": "a", "data": "high"}]}, "'a' names the data set 'high'; training.data has data"),
        ({"validation": [{"name": "a"}], "validation_rows": 5}, "training.validation_rows belongs to"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        TrainingSettings.model_validate(settings)


def test_a_length_in_epochs_has_no_rows_yet_and_reads_back() -> None:
    settings = TrainingSettings.model_validate({"epochs": 4, "sub_epochs": 40})
    assert (settings.rows, settings.epochs) == (0, 4)
    assert TrainingSettings.model_validate(settings.model_dump()) == settings
    assert TrainingSettings.model_validate({"epochs": 0, "rows": 2000}).rows == 2000


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        TrainingSettings().rows = 3  # type: ignore[misc]


def test_keys_that_decide_the_result_are_compared() -> None:
    one = parse_recipe("").model_dump(mode="json")
    other = parse_recipe("{model: {width: 32}, training: {betas: [0.8, 0.9]}}").model_dump(mode="json")
    assert differing_keys(one, other) == ["model.width: 64 -> 32", "training.betas: [0.9, 0.999] -> [0.8, 0.9]"]


def test_data_sets_are_compared_as_a_list() -> None:
    one, other = (parse_recipe("", [f"training.data=[{{clip: {clip}}}]"]).model_dump(mode="json") for clip in (0, 1.1))
    (found,) = differing_keys(one, other)
    assert found.startswith("training.data: [") and "'clip': 1.1" in found


@pytest.mark.parametrize(
    "harmless",
    [
        "out=elsewhere",
        "source.location=elsewhere",
        "training.threads=3",
        "training.checkpoint_minutes=1",
        "training.compile=true",
        "training.keep=[2]",
        "prediction.batch=3",
    ],
)
def test_keys_that_do_not_decide_the_result_may_change(harmless: str) -> None:
    one, other = parse_recipe(""), parse_recipe("", [harmless])
    assert one != other
    assert differing_keys(one.model_dump(mode="json"), other.model_dump(mode="json")) == []
