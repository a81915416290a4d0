"""Validation scores the rows that it says, in physical units, with the rule beside the network's values."""

import numpy as np
import pytest
import torch

from subgrid.errors import DatasetError, SettingsError
from subgrid.evaluation.scorecard import Scorecard
from subgrid.model.emulator import build_emulator
from subgrid.training.checkpoint import emulator_settings
from subgrid.training.sources import Sources
from subgrid.training.validation import ValidationSet, validate, validation_sets


@pytest.fixture
def emulator(data, tiny):
    return build_emulator(emulator_settings(tiny().model_dump(mode="json")), data.table("training")).eval()


CHOICES = [("validation", 0, 72, 100), ("validation", 0, 72, 7), ("validation", 0, 23, 10), ("validation", 0, 20, 10),
           ("validation", 20, 20, 10), ("validation", 13, 40, 7), ("training", 300, 84, 100),
           ("training", 33, 9, 50)]  # fmt: skip


@pytest.mark.parametrize(("split", "skip", "rows", "batch"), CHOICES)
def test_scores_are_those_of_the_chosen_rows(data, emulator, split: str, skip: int, rows: int, batch: int) -> None:
    card = validate(emulator, ValidationSet("v", data, split, skip, rows), batch)
    assert card is not None and card.rows == rows
    stored = [np.concatenate(arrays) for arrays in zip(*data.scan(split, 100), strict=True)]
    inputs = stored[0][skip : skip + rows].astype(np.float64) / 2.0**data.variables.input_exponents
    truth = stored[1][skip : skip + rows].astype(np.float64) / 2.0**data.variables.target_exponents
    prediction = emulator.predict(torch.from_numpy(inputs), stored=False).targets.numpy()
    cloud_water = inputs[:, data.variables.input_slices["state_q0002"]]
    expected = Scorecard.of(data.variables, prediction, truth, -cloud_water[:, 12:27] / 1200)
    assert card.has_rule
    assert card.headline() == pytest.approx(expected.headline(), rel=1e-4)


@pytest.mark.parametrize("ranks", [2, 3, 20])
def test_shares_of_the_rows_add_up_to_all(data, emulator, ranks: int) -> None:
    chosen = ValidationSet("v", data, "validation", 9, 50)
    cards = [validate(emulator, chosen, 8, share=(rank, ranks)) for rank in range(ranks)]
    whole = validate(emulator, chosen, 8)
    assert sum(card.rows for card in cards) == 50
    assert sum(cards[1:], cards[0]).headline() == pytest.approx(whole.headline(), rel=1e-9)


def sets_of(recipe, *data) -> list[tuple]:
    found = validation_sets(recipe.training, Sources.of(recipe.training, data))
    return [(item.name, item.data, item.split, item.skip, item.rows) for item in found]


def test_without_sets_the_validation_split_is_scored(data, unvalidated, tiny) -> None:
    for limit, rows in ((0, 72), (10, 10), (1000, 72)):
        assert sets_of(tiny(f"training.validation_rows={limit}"), data) == [("validation", data, "validation", 0, rows)]
    assert sets_of(tiny(), unvalidated) == []


TWO = ["training.data=[{name: low}, {name: high}]", "training.validation_rows=0"]


def test_sets_are_chosen_by_name_split_and_rows(data, unvalidated, tiny) -> None:
    listed = "[{name: a, rows: 30}, {name: b, skip: 30, rows: 50}, {name: c, data: high, split: training}]"
    recipe = tiny(*TWO, f"training.validation={listed}")
    assert sets_of(recipe, data, unvalidated) == [
        ("a", data, "validation", 0, 30),
        ("b", data, "validation", 30, 42),
        ("c", unvalidated, "training", 0, 456),
    ]


def test_sets_without_rows_are_refused(data, unvalidated, tiny) -> None:
    with pytest.raises(SettingsError, match="'a' skips 72 rows, but the split 'validation' of .* has 72"):
        sets_of(tiny(*TWO, "training.validation=[{name: a, skip: 72}]"), data, unvalidated)
    with pytest.raises(DatasetError, match="no split 'validation'"):
        sets_of(tiny(*TWO, "training.validation=[{name: a, data: high}]"), data, unvalidated)


def test_a_refusal_names_settings_that_fit(data, unvalidated, tiny) -> None:
    for pair, fitting in (
        ((data, unvalidated), [("low", data, "validation", 0, 72)]),
        ((data, data), [("low", data, "validation", 0, 72), ("high", data, "validation", 0, 72)]),
        ((unvalidated, unvalidated), []),
    ):
        for item in ("{name: a, skip: 500}", "{name: a, data: high, skip: 1000, split: training}"):
            with pytest.raises((SettingsError, DatasetError)) as refused:
                sets_of(tiny(*TWO, f"training.validation=[{item}]"), *pair)
            setting = str(refused.value).partition("--set '")[2].rstrip("'")
            assert sets_of(tiny(*TWO, setting), *pair) == fitting


def test_validation_stops_when_asked(data, emulator) -> None:
    asked = iter([False, True])
    assert validate(emulator, ValidationSet("v", data, "validation", 0, 72), 8, lambda: next(asked)) is None
