"""Scores of an emulator on rows of a data set."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from subgrid.evaluation.scorecard import Scorecard
from subgrid.model.emulator import Emulator
from subgrid.physics.moisture import vanished_cloud_water
from subgrid.records.reader import Batch, Dataset
from subgrid.schema.variable_sets import VariableSet

SPLIT = "validation"
_CLOUD_WATER = "state_q0002"


def validation_rows(data: Dataset, limit: int) -> int:
    """How many rows a validation takes: those of the split, at most ``limit`` where that is not 0."""
    rows = data.rows(SPLIT) if SPLIT in data.splits else 0
    return min(rows, limit) if limit else rows


def validate(
    emulator: Emulator,
    data: Dataset,
    rows: int,
    batch: int,
    stop: Callable[[], bool] = lambda: False,
    share: tuple[int, int] = (0, 1),
) -> Scorecard | None:
    """Score the first rows of the validation split in stored order; None when asked to stop on the way.

    A group of a data set holds rows of steps that span its whole period in random order, so the first rows are a
    sample. The emulator must be in evaluation mode. The cloud-water rule goes into the scorecard beside the network's
    own values. With a ``share`` of (rank, ranks), every ranks-th batch is scored: the cards of all ranks add up.
    """
    card, seen = Scorecard.zero(data.variables), 0
    for place, found in enumerate(data.scan(SPLIT, batch)):
        if stop():
            return None
        take = min(rows - seen, len(found.row))
        if place % share[1] == share[0]:
            card = card.update(*_scored(emulator, found, take, data.variables))
        seen += take
        if seen == rows:
            break
    return card


def _scored(
    emulator: Emulator, batch: Batch, take: int, variables: VariableSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Prediction and truth in physical units, float64 (take, target_width), and the rule's values, (take, 15)."""
    inputs, targets = batch.inputs[:take], batch.targets[:take]
    prediction = _array(emulator.predict(torch.from_numpy(inputs)).targets)
    truth = np.ldexp(targets.astype(np.float64), -variables.target_exponents)
    place = variables.input_slices.get(_CLOUD_WATER)
    if place is None or "ptend_q0002" not in variables.target_slices:
        return prediction, truth, None
    cloud_water = np.ldexp(inputs[:, place].astype(np.float64), -variables.input_exponents[place])
    return prediction, truth, vanished_cloud_water(cloud_water)


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
