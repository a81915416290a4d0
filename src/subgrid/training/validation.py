"""Scores of an emulator on the rows that a run says."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from subgrid.errors import DatasetError, SettingsError
from subgrid.evaluation.scorecard import Scorecard
from subgrid.model.emulator import Emulator
from subgrid.physics.moisture import vanished_cloud_water
from subgrid.records.reader import Batch, Dataset
from subgrid.schema.variable_sets import VariableSet
from subgrid.training.settings import TrainingSettings, ValidationSettings
from subgrid.training.sources import Sources

_CLOUD_WATER = "state_q0002"
_DEFAULT = "validation"


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """Consecutive rows of one split in stored order.

    A group of a data set holds rows of steps that span its whole period in random order, so some consecutive rows are
    a sample.

    Attributes:
        name: what its scores are called.
        data: the data set.
        split: of it.
        skip: rows before the first.
        rows: how many.
    """

    name: str
    data: Dataset
    split: str
    skip: int
    rows: int


def validation_sets(training: TrainingSettings, sources: Sources) -> tuple[ValidationSet, ...]:
    """The sets that a run is scored on; the first decides the best checkpoint. Empty without a validation split.

    Raises:
        DatasetError: a set of a split that its data set does not have.
        SettingsError: a set that has no rows.
    """
    wanted = training.validation
    if not wanted and _DEFAULT in sources.first.splits:
        wanted = (ValidationSettings(name=_DEFAULT, rows=training.validation_rows),)
    return tuple(_chosen(item, sources) for item in wanted)


def _chosen(item: ValidationSettings, sources: Sources) -> ValidationSet:
    data = sources.named(item.data)
    if item.split not in data.splits:
        raise DatasetError(
            f"training.validation: {item.name!r} is of the split {item.split!r}, and {data.folder} has no split "
            f"{item.split!r}, it has {', '.join(data.splits)}; {_instead(sources)}"
        )
    left = data.rows(item.split) - item.skip
    if left < 1:
        raise SettingsError(
            f"training.validation: {item.name!r} skips {item.skip} rows, but the split {item.split!r} of {data.folder} "
            f"has {data.rows(item.split)}; lower its skip, or {_instead(sources)}"
        )
    return ValidationSet(item.name, data, item.split, item.skip, min(left, item.rows) if item.rows else left)


def _instead(sources: Sources) -> str:
    """Settings that fit these data sets, whatever their size: all rows of each validation split."""
    having = [name for name in sources.digests if _DEFAULT in sources.named(name).splits]
    sets = ", ".join(f"{{name: {name}, data: {name}}}" for name in having)
    return f"score what there is with --set 'training.validation=[{sets}]'"


def validate(
    emulator: Emulator,
    chosen: ValidationSet,
    batch: int,
    stop: Callable[[], bool] = lambda: False,
    share: tuple[int, int] = (0, 1),
) -> Scorecard | None:
    """Score a set of rows; None when asked to stop on the way.

    The emulator must be in evaluation mode. The cloud-water rule goes into the scorecard beside the network's own
    values. With a ``share`` of (rank, ranks), every ranks-th batch is scored: the cards of all ranks add up.
    """
    variables, end = chosen.data.variables, chosen.skip + chosen.rows
    card, passed = Scorecard.zero(variables), 0
    for place, found in enumerate(chosen.data.scan(chosen.split, batch)):
        if stop():
            return None
        here = slice(max(chosen.skip - passed, 0), max(min(end - passed, len(found.row)), 0))
        if here.start < here.stop and place % share[1] == share[0]:
            card = card.update(*_scored(emulator, found, here, variables))
        passed += len(found.row)
        if passed >= end:
            break
    return card


def _scored(
    emulator: Emulator, batch: Batch, here: slice, variables: VariableSet
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Prediction and truth in physical units, float64 (row, target_width), and the rule's values, (row, 15)."""
    inputs, targets = batch.inputs[here], batch.targets[here]
    prediction = _array(emulator.predict(torch.from_numpy(inputs)).targets)
    truth = np.ldexp(targets.astype(np.float64), -variables.target_exponents)
    place = variables.input_slices.get(_CLOUD_WATER)
    if place is None or "ptend_q0002" not in variables.target_slices:
        return prediction, truth, None
    cloud_water = np.ldexp(inputs[:, place].astype(np.float64), -variables.input_exponents[place])
    return prediction, truth, vanished_cloud_water(cloud_water)


def _array(values: Tensor) -> np.ndarray:
    return values.cpu().numpy()
