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
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        TrainingSettings.model_validate(settings)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        TrainingSettings().rows = 3  # type: ignore[misc]


def test_keys_that_decide_the_result_are_compared() -> None:
    one = parse_recipe("").model_dump(mode="json")
    other = parse_recipe("{model: {width: 32}, training: {betas: [0.8, 0.9]}}").model_dump(mode="json")
    assert differing_keys(one, other) == ["model.width: 64 -> 32", "training.betas: [0.9, 0.999] -> [0.8, 0.9]"]


@pytest.mark.parametrize(
    "harmless",
    [
        "out=elsewhere",
        "source.location=elsewhere",
        "training.threads=3",
        "training.checkpoint_minutes=1",
        "training.compile=true",
        "prediction.batch=3",
    ],
)
def test_keys_that_do_not_decide_the_result_may_change(harmless: str) -> None:
    one, other = parse_recipe(""), parse_recipe("", [harmless])
    assert one != other
    assert differing_keys(one.model_dump(mode="json"), other.model_dump(mode="json")) == []
