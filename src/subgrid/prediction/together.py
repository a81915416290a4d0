"""Predictions of the same rows by different networks, side by side: opened, compared, read by the rows' numbers."""

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.store import PredictedRows, PredictionManifest, StoredPrediction, read_prediction_manifest
from subgrid.schema.variable_sets import VariableSet

_ROWS = 2048  # read at once: some 6 MB a member


class Given(NamedTuple):
    """A prediction to be combined, and the group it was given in (empty without groups)."""

    folder: Path
    group: str = ""


def parse_given(text: str) -> list[Given]:
    """Predictions that an argument ``PREDICTION`` or ``GROUP=PREDICTION`` names.

    A pattern behind ``GROUP=``, which no shell expands, is expanded here: ``low=preds/low-*``. A folder whose own name
    has a ``=`` is taken as it stands.

    Raises:
        DatasetError: a pattern that nothing fits.
    """
    group, equals, path = text.partition("=")
    if not equals or not re.fullmatch(r"[\w-]+", group) or Path(text).exists():
        return [Given(Path(text))]
    if Path(path).exists() or not glob.has_magic(path):
        return [Given(Path(path), group)]
    found = sorted(glob.glob(path))
    if not found:
        raise DatasetError(f"{text}: no folder fits the pattern {path}")
    return [Given(Path(one), group) for one in found]


class Together:
    """Predictions of the same rows by different networks, opened and compared.

    Attributes:
        given: folders and groups, in the order given.
        stored: the predictions.
        variables: whose targets they predict.
    """

    def __init__(self, given: Sequence[Given]) -> None:
        """Open them all.

        Raises:
            SettingsError: fewer than two, or the same network twice.
            DatasetError: no predictions, or of other rows, inputs or variables; what differs is said.
        """
        if len(given) < 2:
            raise SettingsError(f"an ensemble needs two predictions or more, found {len(given)}")
        self.given = tuple(given)
        _refuse_doubles([(one.folder, read_prediction_manifest(one.folder)) for one in given])
        self.stored: list[StoredPrediction] = []
        for one in given:
            stored = StoredPrediction.open(one.folder)
            if self.stored:
                _refuse_unlike(self.stored[0], stored)
                stored.share_rows(self.stored[0])
            self.stored.append(stored)
        self.variables: VariableSet = self.stored[0].variables

    def at(self, row: np.ndarray) -> list[PredictedRows]:
        """What each predicts for rows by number; raises DatasetError where places or rule values differ."""
        found = [stored.at(row) for stored in self.stored]
        for stored, rows in zip(self.stored, found, strict=True):
            self._refuse_other_values(found[0], rows, stored.folder)
        return found

    def _refuse_other_values(self, one: PredictedRows, other: PredictedRows, folder: Path) -> None:
        for name in ("column", "time", "rule"):
            left, right = getattr(one, name), getattr(other, name)
            if left is None or left.tobytes() == right.tobytes():
                continue
            size = len(left)
            differs = (np.ascontiguousarray(left).view(np.uint8) != np.ascontiguousarray(right).view(np.uint8)).reshape(
                size, -1
            ).any(axis=1)  # fmt: skip
            raise DatasetError(
                f"{folder}: {name} differs from that in {self.given[0].folder} in {int(differs.sum())} of {size} rows, "
                f"the first is row {one.row[np.argmax(differs)]}: these are not predictions of the same inputs"
            )

    def chunks(self) -> Iterator[list[PredictedRows]]:
        """All rows in pieces, in the stored order of the first."""
        for rows in self.stored[0].row_chunks(_ROWS):
            yield self.at(rows)


def _refuse_doubles(manifests: Sequence[tuple[Path, PredictionManifest]]) -> None:
    """A network may stand in an ensemble once, be it inside another ensemble."""
    seen: dict[str, Path] = {}
    for folder, manifest in manifests:
        for digest in [member.checkpoint_digest for member in manifest.members] or [manifest.checkpoint_digest]:
            if digest in seen:
                raise SettingsError(
                    f"{folder}: is of the same network as {seen[digest]}"
                    f"{' or contains it' if manifest.members else ''} (checkpoint digest {digest[:12]}); "
                    "a member counts once, give it a weight instead"
                )
            seen[digest] = folder


def _refuse_unlike(one: StoredPrediction, other: StoredPrediction) -> None:
    left, right = one.manifest, other.manifest
    if left.variable_set != right.variable_set:
        raise DatasetError(
            f"{other.folder}: predicts the variable set {right.variable_set!r}, {one.folder} {left.variable_set!r}"
        )
    wrong = []
    if not np.array_equal(one.rows, other.rows):
        lacking, surplus = np.setdiff1d(one.rows, other.rows), np.setdiff1d(other.rows, one.rows)
        wrong.append(
            f"it lacks {lacking.size} of the {one.rows.size} rows of {one.folder} and has {surplus.size} others"
        )
    if left.input_digest != right.input_digest:
        wrong.append(
            f"it was predicted from {right.input} (digest {right.input_digest[:12]}), {one.folder} from {left.input} "
            f"(digest {left.input_digest[:12]})"
        )
    if left.rule != right.rule:
        wrong.append(f"it holds {'values' if right.rule else 'no values'} of the cloud-water rule, unlike {one.folder}")
    if wrong:
        raise DatasetError(f"{other.folder}: members must be of the same rows and inputs; {'; '.join(wrong)}")
