"""Streaming prediction: columns in, records out, in chunks; float64 from the de-normalisation on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from subgrid import __version__
from subgrid.errors import DatasetError, InputError
from subgrid.model.emulator import Emulator
from subgrid.physics.moisture import vanished_cloud_water
from subgrid.prediction.columns import Columns, InputChunk
from subgrid.prediction.store import (
    MANIFEST,
    PredictionManifest,
    StoredPrediction,
    read_prediction_manifest,
)
from subgrid.prediction.writer import PredictionWriter
from subgrid.records.provenance import distinct
from subgrid.schema.variable_sets import VariableSet
from subgrid.training.checkpoint import CheckpointInfo
from subgrid.training.machine import keep_freed_memory

_CLOUD_WATER, _RULED = "state_q0002", "ptend_q0002"
Report = Callable[[int, int], None]


def predict(
    emulator: Emulator,
    info: CheckpointInfo,
    columns: Columns,
    out: Path,
    *,
    batch: int = 512,
    progress: Report | None = None,
) -> PredictionManifest:
    """Predict all columns into the folder ``out``; the same prediction that is there already is kept as it is.

    Args:
        emulator: in evaluation mode.
        info: the checkpoint it came from.
        columns: what to predict.
        out: a new folder, or one that holds a prediction (which is replaced unless it is this one).
        batch: rows predicted at once.
        progress: called with (rows done, rows).

    Raises:
        InputError: the network gave NaN or infinity (for which target and rows is said).
    """
    variables = info.variables
    rule = _CLOUD_WATER in variables.input_slices and _RULED in variables.target_slices
    confidence = bool(info.card["recipe"]["training"]["confidence"])
    manifest = PredictionManifest(
        variable_set=variables.name,
        rows=columns.rows,
        run=str(info.path.parent.parent),
        checkpoint=info.name,
        checkpoint_digest=info.digest,
        input=columns.label,
        input_digest=columns.digest,
        provenance=distinct([columns.provenance, *info.provenance]) if info.provenance else (),
        ids=columns.ids,
        rule=rule,
        confidence=confidence,
        scale=tuple(emulator.targets.physical_std.double().tolist()) if confidence else (),
        program=f"subgrid {__version__}",
    )
    if (kept := _kept(out, manifest)) is not None:
        return kept
    if emulator.device.type == "cpu":
        keep_freed_memory()
    writer = PredictionWriter(out, manifest)
    done = 0
    try:
        for chunk in columns.inputs(batch):
            writer.add(_predicted(emulator, chunk, variables, rule))
            done += chunk.row.size
            if progress:
                progress(done, columns.rows)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _kept(out: Path, manifest: PredictionManifest) -> PredictionManifest | None:
    """The manifest of the same prediction in ``out``; None where there is none, or one that is damaged."""
    if not (out / MANIFEST).exists():
        return None
    try:
        found = read_prediction_manifest(out)
        if found.identity != manifest.identity:
            return None
        StoredPrediction.open(out)
    except DatasetError:
        return None
    return found


def _predicted(emulator: Emulator, chunk: InputChunk, variables: VariableSet, rule: bool) -> dict[str, np.ndarray]:
    found = emulator.predict(torch.from_numpy(chunk.inputs), chunk.stored)
    values = found.targets.cpu().numpy()
    _refuse_not_finite(values, chunk, variables)
    arrays = {"row": chunk.row, "column": chunk.column, "time": chunk.time, "prediction": values}
    if rule:
        place = variables.input_slices[_CLOUD_WATER]
        state = chunk.inputs[:, place].astype(np.float64)
        if chunk.stored:
            state = np.ldexp(state, -variables.input_exponents[place])
        arrays["rule"] = vanished_cloud_water(state)
    if found.confidence is not None:
        arrays["confidence"] = found.confidence.cpu().numpy()
        _refuse_not_finite(arrays["confidence"], chunk, variables)
    return arrays


def _refuse_not_finite(values: np.ndarray, chunk: InputChunk, variables: VariableSet) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"the network's prediction of {variables.target_columns[column]} is {values[row, column]} in row "
            f"{chunk.row[row]} ({int(bad.sum())} such values in {bad.shape[0]} rows); is the input of that row whole?"
        )


def largest_difference(one: Path, other: Path, info: CheckpointInfo) -> float:
    """Largest difference of two predictions of the same rows, in standard deviations of each target.

    Raises DatasetError when they are not of the same rows and variables.
    """
    left, right = StoredPrediction.open(one), StoredPrediction.open(other)
    if left.variables != right.variables or not np.array_equal(left.rows, right.rows):
        raise DatasetError(
            f"{one} and {other} are not predictions of the same rows: {left.rows.size} of set {left.variables.name!r} "
            f"and {right.rows.size} of set {right.variables.name!r}"
        )
    scale = info.table.targets.std
    scale = np.where(scale > 0, scale, 1.0)
    return max(
        float((np.abs(rows.prediction - right.at(rows.row).prediction) / scale).max(initial=0)) for rows in left.scan()
    )
