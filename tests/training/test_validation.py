"""Validation scores the rows that it says, in physical units, with the rule beside the network's values."""

import numpy as np
import pytest
import torch

from subgrid.evaluation.scorecard import Scorecard
from subgrid.model.emulator import build_emulator
from subgrid.training.checkpoint import emulator_settings
from subgrid.training.validation import validate, validation_rows


@pytest.fixture
def emulator(data, tiny):
    return build_emulator(emulator_settings(tiny().model_dump(mode="json")), data.table("training")).eval()


@pytest.mark.parametrize(("rows", "batch"), [(72, 100), (72, 7), (23, 10), (20, 10)])
def test_scores_do_not_depend_on_the_batch(data, emulator, rows: int, batch: int) -> None:
    card = validate(emulator, data, rows, batch)
    assert card is not None and card.rows == rows
    stored = [np.concatenate(arrays) for arrays in zip(*data.scan("validation", 100), strict=True)]
    inputs = stored[0][:rows].astype(np.float64) / 2.0**data.variables.input_exponents
    truth = stored[1][:rows].astype(np.float64) / 2.0**data.variables.target_exponents
    prediction = emulator.predict(torch.from_numpy(inputs), stored=False).targets.numpy()
    cloud_water = inputs[:, data.variables.input_slices["state_q0002"]]
    expected = Scorecard.of(data.variables, prediction, truth, -cloud_water[:, 12:27] / 1200)
    assert card.has_rule
    assert card.headline() == pytest.approx(expected.headline(), rel=1e-4)


@pytest.mark.parametrize("ranks", [2, 3, 20])
def test_shares_of_the_rows_add_up_to_all(data, emulator, ranks: int) -> None:
    cards = [validate(emulator, data, 50, 8, share=(rank, ranks)) for rank in range(ranks)]
    whole = validate(emulator, data, 50, 8)
    assert sum(card.rows for card in cards) == 50
    assert sum(cards[1:], cards[0]).headline() == pytest.approx(whole.headline(), rel=1e-9)


def test_a_limit_of_nought_is_no_limit(data, unvalidated) -> None:
    assert [validation_rows(data, limit) for limit in (0, 10, 1000)] == [72, 10, 72]
    assert validation_rows(unvalidated, 10) == 0


def test_validation_stops_when_asked(data, emulator) -> None:
    asked = iter([False, True])
    assert validate(emulator, data, 72, 8, lambda: next(asked)) is None
