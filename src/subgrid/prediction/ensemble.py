"""The weighted mean of predictions, written as a prediction: members are joined on the rows' numbers and streamed.

    prediction = sum_i w_i prediction_i        in float64, with one weight a member and target variable

``rule`` is carried, ``confidence`` is the mean with the same weights: as |sum w_i e_i| <= sum w_i |e_i|, it errs on the
large side. Members are summed in the order of their digests, so the order of the arguments leaves no trace. An ensemble
may be a member; the result then lists the networks, with the products of the weights.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np

from subgrid import __version__
from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.members import Blend, Member, times
from subgrid.prediction.store import (
    MANIFEST,
    PredictedRows,
    PredictionManifest,
    StoredPrediction,
    read_prediction_manifest,
)
from subgrid.prediction.together import Given, Together
from subgrid.prediction.writer import PredictionWriter
from subgrid.records.provenance import distinct

Report = Callable[[int, int], None]


def combine(
    together: Together, weights: np.ndarray, out: Path, blend: Blend, progress: Report | None = None
) -> PredictionManifest:
    """Write the weighted mean of predictions into the folder ``out``.

    Args:
        together: the predictions.
        weights: (member, target variable), not negative; over the members they sum to 1.
        out: a new folder, or one that holds an ensemble, which is replaced when the new one is whole.
        blend: where the weights come from.
        progress: called with (rows done, rows).

    Raises:
        SettingsError: weights that are none; ``out`` is a member or a network's own prediction.
        DatasetError: members that differ where they must not.
    """
    refuse_out(out, together)
    manifest = _manifest(together, _checked(weights, together), out, blend)
    repeats = [item.levels for item in together.variables.targets]
    share = np.repeat(weights, repeats, axis=1)
    order = sorted(range(len(together.stored)), key=lambda place: together.stored[place].manifest.checkpoint_digest)
    writer = PredictionWriter(out, manifest)
    done = 0
    try:
        for found in together.chunks():
            writer.add(_mean([found[place] for place in order], share[order], manifest))
            done += found[0].row.size
            if progress:
                progress(done, manifest.rows)
        return writer.finish()
    except BaseException:
        writer.abandon()
        raise


def _mean(found: Sequence[PredictedRows], share: np.ndarray, manifest: PredictionManifest) -> dict[str, np.ndarray]:
    first = found[0]
    arrays = {"row": first.row, "column": first.column, "time": first.time}
    arrays["prediction"] = mean_of([rows.prediction for rows in found], share)
    if manifest.rule:
        assert first.rule is not None
        arrays["rule"] = first.rule
    if manifest.confidence:
        known = [rows.confidence for rows in found if rows.confidence is not None]
        arrays["confidence"] = mean_of(known, share)
    return arrays


def mean_of(values: Sequence[np.ndarray], share: np.ndarray) -> np.ndarray:
    """Weighted mean, float64 (row, column), of as many arrays (row, column) as there are rows in ``share``."""
    total = np.zeros(values[0].shape)
    for one, weight in zip(values, share, strict=True):
        total += weight * one
    return total


def _checked(weights: np.ndarray, together: Together) -> np.ndarray:
    expected = (len(together.stored), len(together.variables.targets))
    if weights.shape != expected or not (weights >= 0).all() or not np.allclose(weights.sum(axis=0), 1, atol=1e-9):
        raise SettingsError(f"weights must be {expected} numbers, not negative, and sum to 1 for every target")
    return weights


def refuse_out(out: Path, together: Together) -> None:
    """Raise SettingsError where ``out`` is one of the predictions, or one that no mean may take the place of."""
    if any(one.folder.resolve() == out.resolve() for one in together.given):
        raise SettingsError(f"{out}: is one of the predictions to be combined; the first argument is the new folder")
    if (out / MANIFEST).exists() and not read_prediction_manifest(out).members:
        raise SettingsError(
            f"{out}: holds a network's own prediction, which is not replaced; the first argument is the new folder"
        )


def _manifest(together: Together, weights: np.ndarray, out: Path, blend: Blend) -> PredictionManifest:
    first = together.stored[0].manifest
    names = [item.name for item in together.variables.targets]
    members = tuple(
        member
        for given, stored, row in zip(together.given, together.stored, weights, strict=True)
        for member in networks(given, stored.manifest, dict(zip(names, map(float, row), strict=True)), out)
    )
    # Members that expect errors in units of different tables cannot be averaged in that.
    confidence = all(one.manifest.confidence and one.manifest.scale == first.scale for one in together.stored)
    known = [one.manifest.provenance for one in together.stored]
    return PredictionManifest(
        variable_set=first.variable_set,
        rows=first.rows,
        run="",
        checkpoint="",
        checkpoint_digest=_digest(members),
        input=first.input,
        input_digest=first.input_digest,
        provenance=distinct(one for found in known for one in found) if all(known) else (),
        ids=first.ids,
        rule=first.rule,
        confidence=confidence,
        scale=first.scale if confidence else (),
        members=members,
        blend=blend,
        program=f"subgrid {__version__}",
    )


def networks(given: Given, manifest: PredictionManifest, share: dict[str, float], out: Path) -> Iterator[Member]:
    """The networks behind a prediction with a share by target variable: itself, or the members of an ensemble."""
    if not manifest.members:
        yield Member(
            path=_from(out, given.folder),
            run=manifest.run,
            checkpoint=manifest.checkpoint,
            checkpoint_digest=manifest.checkpoint_digest,
            input_digest=manifest.input_digest,
            group=given.group,
            weights=share,
        )
    for member in manifest.members:
        place = _from(out, given.folder / member.path)
        group = given.group or member.group
        yield member.model_copy(update={"path": place, "group": group, "weights": times(member.weights, share)})


def _from(out: Path, folder: Path) -> str:
    return Path(os.path.relpath(folder.resolve(), out.resolve())).as_posix()


def _digest(members: Sequence[Member]) -> str:
    """What stands for an ensemble where a network has its checkpoint's digest; the order of members leaves no trace."""
    parts = sorted((member.checkpoint_digest, sorted(member.weights.items())) for member in members)
    return sha256(json.dumps(parts).encode()).hexdigest()


class OpenedMembers(NamedTuple):
    """The predictions of an ensemble's members, or None and the reason why they cannot be had."""

    members: list[StoredPrediction] | None
    reason: str = ""


def open_members(manifest: PredictionManifest, folder: str | Path) -> OpenedMembers:
    """Open the members that an ensemble's manifest names, where they still are what it says.

    The paths come with the folder, from wherever it was made: they are opened for reading, as predictions, and used
    only where the digests of network and input and the rows are the ensemble's.

    Args:
        manifest: of the ensemble.
        folder: where the ensemble stands; relative paths start there.
    """
    if not manifest.members:
        return OpenedMembers(None, "it is a network's own prediction")
    members = []
    for member in manifest.members:
        place = Path(folder) / member.path
        try:
            found = read_prediction_manifest(place)
            expected, seen = (member.checkpoint_digest, member.input_digest), found.identity[1:]
            if expected != seen or (found.variable_set, found.rows) != (manifest.variable_set, manifest.rows):
                return OpenedMembers(None, f"{place}: is another prediction than the ensemble was made of")
            members.append(StoredPrediction.open(place))
        except (DatasetError, OSError) as error:
            return OpenedMembers(None, str(error))
        members[-1].share_rows(members[0])
        if members[-1].rows is not members[0].rows:
            return OpenedMembers(None, f"{place}: has other rows than {members[0].folder}")
    return OpenedMembers(members)
