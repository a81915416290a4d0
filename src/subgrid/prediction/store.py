"""A prediction on disk: a folder of equal-length records like a data set's, and ``prediction.json``, written last.

    prediction.json                   names the shards; whoever is killed leaves the old prediction or the new one
    shards/prediction-00000.tfrecord  under other numbers than those of the prediction that is replaced

Each row holds ``row``, ``column``, ``time``, ``prediction`` (float64, physical units: the network's own values),
``rule`` (float64: what the cloud-water rule gives for ptend_q0002 at levels 12-26) and, from a network with that head,
``confidence`` (float32, the estimated absolute error in normalised units).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from subgrid.errors import DatasetError, first_fault
from subgrid.prediction.members import Blend, Member
from subgrid.records.example import Feature, RecordLayout
from subgrid.records.files import PARTIAL
from subgrid.records.ledger import Shard
from subgrid.records.provenance import Provenance
from subgrid.records.shards import open_shard
from subgrid.schema.variable_sets import VariableSet, variable_set

FORMAT = "subgrid-prediction/1"
MANIFEST = "prediction.json"
SHARDS = "shards"
UNDER_WAY = f".{SHARDS}{PARTIAL}new"
SHARD_START = "prediction-"


class PredictionManifest(BaseModel):
    """Where a prediction comes from.

    Attributes:
        variable_set: whose targets were predicted.
        rows: how many.
        run, checkpoint, checkpoint_digest: the emulator; of an ensemble, the first two are empty, and the digest is one
            of its members and weights.
        input, input_digest: the columns.
        provenance: of the columns, and of the data that the network learnt from; none where that is not known.
        ids: what the ids of Kaggle's rows start with (``test_``); empty for rows that have none.
        rule, confidence: whether the rows hold them.
        scale: of a prediction with confidence, physical units of one normalised unit of each target column, 0 where it
            is not trained.
        members: networks whose predictions this one is the mean of; none for a network's own.
        blend: where the weights of the members come from; None for a network's own.
        shards: the record files.
        program: that wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    variable_set: str
    rows: int
    run: str
    checkpoint: str
    checkpoint_digest: str
    input: str
    input_digest: str
    provenance: tuple[Provenance, ...] = ()
    ids: str = ""
    rule: bool
    confidence: bool
    scale: tuple[float, ...] = ()
    members: tuple[Member, ...] = ()
    blend: Blend | None = None
    shards: tuple[Shard, ...] = ()
    program: str

    @model_validator(mode="after")
    def _members_have_weights(self) -> Self:
        names = {item.name for item in variable_set(self.variable_set).targets} if self.members else set()
        if any(set(member.weights) != names for member in self.members) or bool(self.members) != bool(self.blend):
            raise ValueError("expected a weight of every member for every target, and where the weights come from")
        return self

    @property
    def identity(self) -> tuple[str, str, str]:
        """What decides the values: two predictions with the same are the same."""
        return (self.variable_set, self.checkpoint_digest, self.input_digest)

    @property
    def network(self) -> str:
        """What predicted, in words: RUN@CHECKPOINT, or the mean of how many networks."""
        return f"the mean of {len(self.members)} networks" if self.members else f"{self.run}@{self.checkpoint}"


class PredictedRows(NamedTuple):
    """Rows of a prediction: row, column, time (row,), prediction (row, target_width), rule (row, 15) or None,
    confidence (row, target_width) or None."""

    row: np.ndarray
    column: np.ndarray
    time: np.ndarray
    prediction: np.ndarray
    rule: np.ndarray | None
    confidence: np.ndarray | None


def prediction_layout(variables: VariableSet, rule: bool, confidence: bool) -> RecordLayout:
    """The record of a predicted row."""
    features = [Feature("row", "<i8", 1), Feature("column", "<i4", 1), Feature("time", "<i8", 1)]
    features += [Feature("confidence", "<f4", variables.target_width)] if confidence else []
    features += [Feature("rule", "<f8", 15)] if rule else []
    features += [Feature("prediction", "<f8", variables.target_width)]
    return RecordLayout(tuple(features), aligned=("rule", "prediction"))


def shard_name(number: int) -> str:
    """What a shard of a prediction is called."""
    return f"{SHARD_START}{number:05d}.tfrecord"


class StoredPrediction:
    """A prediction opened for reading."""

    def __init__(self, folder: Path, manifest: PredictionManifest) -> None:
        self.folder, self.manifest = folder, manifest
        self.variables = variable_set(manifest.variable_set)
        self.layout = prediction_layout(self.variables, manifest.rule, manifest.confidence)
        self._shards = [open_shard(folder / SHARDS / shard.name, shard, self.layout) for shard in manifest.shards]
        self._index()

    @classmethod
    def open(cls, folder: str | Path) -> "StoredPrediction":
        """Open a finished prediction, every shard verified; raises DatasetError for anything else."""
        return cls(Path(folder), read_prediction_manifest(Path(folder)))

    def _index(self) -> None:
        views = [self.layout.views(records)["row"][:, 0] for records in self._shards]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *views])
        ascending = bool((rows[1:] > rows[:-1]).all())  # as of raw steps: needs no index beside the rows themselves
        self._sorted = None if ascending else np.argsort(rows, kind="stable")
        self.rows = rows if self._sorted is None else rows[self._sorted]
        double = np.flatnonzero(self.rows[1:] == self.rows[:-1])
        if double.size:
            raise DatasetError(f"{self.folder}: row {self.rows[double[0]]} is predicted twice ({double.size} doubles)")
        self._starts = np.cumsum([0, *(shard.rows for shard in self.manifest.shards)])

    def share_rows(self, other: "StoredPrediction") -> None:
        """Take over another prediction's arrays of row numbers where they are equal: an ensemble's members need one."""
        if np.array_equal(self.rows, other.rows):
            self.rows = other.rows
        if self._sorted is not None and other._sorted is not None and np.array_equal(self._sorted, other._sorted):
            self._sorted = other._sorted

    def at(self, row: np.ndarray) -> PredictedRows:
        """The predictions of rows by their numbers, all of which must be there, in the order asked."""
        place = np.searchsorted(self.rows, row)
        if self._sorted is not None:
            place = self._sorted[place]
        records = np.empty((row.size, self.layout.stride), dtype=np.uint8)
        shard = np.searchsorted(self._starts, place, side="right") - 1
        for index in np.unique(shard):
            here = shard == index
            records[here] = self._shards[index][place[here] - self._starts[index]]
        return self._rows(records)

    def _rows(self, records: np.ndarray) -> PredictedRows:
        views = self.layout.views(records)
        row, column, time = (views[name][:, 0] for name in ("row", "column", "time"))
        return PredictedRows(row, column, time, views["prediction"], views.get("rule"), views.get("confidence"))

    def row_chunks(self, size: int) -> Iterator[np.ndarray]:
        """The rows' numbers in stored order, int64, at most ``size`` at once."""
        for records in self._shards:
            for start in range(0, len(records), size):
                yield self.layout.views(records[start : start + size])["row"][:, 0]

    def scan(self) -> Iterator[PredictedRows]:
        """Every shard's rows, in stored order."""
        for records in self._shards:
            yield self._rows(records)


def read_prediction_manifest(folder: Path) -> PredictionManifest:
    """Read the manifest; raises DatasetError when the folder is no finished prediction."""
    path = folder / MANIFEST
    try:
        manifest = PredictionManifest.model_validate_json(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"{folder}: expected a prediction with a {MANIFEST}, found none") from None
    except (ValidationError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path}: damaged, or written by another version of subgrid ({first_fault(error)}); predict anew"
        ) from error
    if manifest.format != FORMAT:
        raise DatasetError(f"{path}: expected a manifest of format {FORMAT}, found {manifest.format!r}")
    return manifest
