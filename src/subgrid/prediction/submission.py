"""A prediction as the competition's file: rows and columns of the sample submission, values times its weights.

In this order, in float64: the network's own values; the training mean for columns that are to be replaced; the
cloud-water rule; times the weights; exactly 0.0 where a weight is 0. Joined on the rows' numbers, in chunks.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.evaluation.scorecard import competition_columns, ruled_columns
from subgrid.prediction.columns import contains
from subgrid.prediction.store import StoredPrediction
from subgrid.prediction.weights import Kind, kind_of
from subgrid.records.files import write_whole
from subgrid.records.table_writer import Add, check_table_name, table_writer
from subgrid.schema.variable_sets import VariableSet
from subgrid.source.kaggle import KaggleChunk, KaggleTable
from subgrid.statistics.table import Table
from subgrid.training.checkpoint import load_emulator


@dataclass(frozen=True)
class Corrections:
    """What is put in the place of the network's own values.

    Attributes:
        rule: whether the cloud-water rule gives ptend_q0002 at levels 12-26.
        means: values in physical units by column name, for columns that are replaced by a constant. Where the rule
            stands, it stands before them.
    """

    rule: bool = True
    means: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Submitted:
    """What was written.

    Attributes:
        rows: of the submission.
        extra: predicted rows that the sample does not ask for.
        weights: which of the two sets of weights the sample holds.
    """

    rows: int
    extra: int
    weights: Kind


def submit(
    prediction: StoredPrediction,
    sample: KaggleTable,
    out: Path,
    corrections: Corrections = Corrections(),
    progress: Callable[[int, int], None] | None = None,
) -> Submitted:
    """Write a submission, whole or not at all.

    Args:
        prediction: of the rows of a table of Kaggle's.
        sample: the competition's sample submission: ids, columns and, the same in every row, the weights.
        out: a new or old file, .csv or .parquet.
        corrections: in the place of the network's own values.
        progress: called with (rows written, rows predicted).

    Raises:
        InputError: a sample of other columns or weights, with rows that differ, with an id twice.
        DatasetError: a prediction of other rows or targets than the sample asks for, or without what is needed.
    """
    check_table_name(out)
    _check(prediction, sample, corrections)
    weights = _weights_of(sample, prediction.variables)
    kind = kind_of(weights, prediction.variables, sample.label)
    job = _Job(prediction, sample, corrections, weights, progress)
    done: list[int] = []

    def write(aside: Path) -> None:
        with table_writer(aside, out.suffix.lower() == ".parquet", sample.names) as add:
            done.append(job.write(add))

    write_whole(out, write)
    return Submitted(done[0], prediction.rows.size - done[0], kind)


@dataclass(frozen=True, eq=False)
class _Job:
    prediction: StoredPrediction
    sample: KaggleTable
    corrections: Corrections
    weights: np.ndarray
    progress: Callable[[int, int], None] | None

    def write(self, add: Add) -> int:
        """Add all rows; how many there were."""
        rows = missing = 0
        first = ""
        for chunk in self.sample.chunks(self.prediction.variables.target_columns):
            self._refuse_other_weights(chunk)
            lacking = np.flatnonzero(~contains(self.prediction.rows, chunk.row))
            first = first or (chunk.ids[lacking[0]] if lacking.size else "")
            missing, rows = missing + lacking.size, rows + chunk.row.size
            if not missing:
                add(chunk.ids, self._ordered(self._values(chunk.row)))
            if self.progress:
                self.progress(rows, self.prediction.rows.size)
        if missing:
            raise DatasetError(
                f"{self.prediction.folder}: lacks {missing} of the {rows} rows of {self.sample.label}; the first is "
                f"{first}. The prediction was made from {self.prediction.manifest.input}"
            )
        return rows

    def _refuse_other_weights(self, chunk: KaggleChunk) -> None:
        differs = (chunk.values != self.weights).any(axis=1)
        for place in np.flatnonzero(differs)[:1]:
            raise InputError(
                f"{self.sample.label}: expected the same weights in every row of a sample submission, but "
                f"{chunk.ids[place]} differs from the first row"
            )

    def _values(self, row: np.ndarray) -> np.ndarray:
        """What is submitted for some rows, float64 (row, target_width)."""
        variables = self.prediction.variables
        found = self.prediction.at(row)
        values = np.array(found.prediction)
        for name, mean in (self.corrections.means or {}).items():
            values[:, variables.target_columns.index(name)] = mean
        if self.corrections.rule and found.rule is not None:
            values[:, ruled_columns(variables)] = found.rule
        with np.errstate(over="ignore"):
            weighted = np.where(self.weights == 0, 0.0, values * self.weights)
        if not np.isfinite(weighted).all():
            raise DatasetError(
                f"{self.prediction.folder}: a value times its weight is infinite; it is far outside of physics"
            )
        return weighted

    def _ordered(self, values: np.ndarray) -> np.ndarray:
        """Columns in the order of the sample."""
        place = {name: index for index, name in enumerate(self.prediction.variables.target_columns)}
        return values[:, [place[name] for name in self.sample.names]]


def _check(prediction: StoredPrediction, sample: KaggleTable, corrections: Corrections) -> None:
    manifest, names = prediction.manifest, prediction.variables.target_columns
    if competition_columns(prediction.variables) is None:
        raise DatasetError(
            f"{prediction.folder}: expected all targets of the competition, found those of the variable set "
            f"{prediction.variables.name!r}"
        )
    sample.expect(names, names)
    if corrections.rule and not manifest.rule:
        raise DatasetError(f"{prediction.folder}: holds no values of the cloud-water rule; leave it out with --no-rule")
    prefix = sample.prefix
    if not prefix:
        raise InputError(f"{sample.label}: expected a sample submission, found one without rows")
    placed = (prediction.at(prediction.rows[:1]).column >= 0).any()  # rows of Kaggle's tables have no known column
    if placed or (manifest.ids and manifest.ids != prefix):
        found = "rows of a simulation" if placed else f"rows like {manifest.ids}123"
        raise DatasetError(
            f"{prediction.folder}: expected a prediction of rows like {prefix}123 as in {sample.label}, found {found}; "
            f"it was made from {manifest.input}"
        )


def _weights_of(sample: KaggleTable, variables: VariableSet) -> np.ndarray:
    found: np.ndarray = next(sample.chunks(variables.target_columns)).values[0]
    return found.copy()


def negative_columns(scores: Path, variables: VariableSet) -> list[str]:
    """The target columns whose R2 is below 0 in a ``score.json``, of the network's own values.

    Raises InputError when the file holds no scores of these targets.
    """
    try:
        content = json.loads(scores.read_text(encoding="utf-8"))
        r2 = {name: content["by_level"][name]["r2"] for name in variables.target_slices}
        below = set(content["below_zero"]["columns"])  # names those, too, whose R2 has no number: -inf is null in JSON
    except OSError as error:
        raise InputError(f"{scores}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{scores}: expected the scores that `subgrid score --json` prints, of the targets of {variables.name!r} "
            f"({type(error).__name__}: {error})"
        ) from error
    values: list[float | None] = [value for name in variables.target_slices for value in r2[name]]
    if len(values) != variables.target_width:
        raise InputError(f"{scores}: expected R2 of {variables.target_width} targets, found {len(values)}")
    pairs = zip(variables.target_columns, values, strict=True)
    return [name for name, value in pairs if name in below or (value is not None and value < 0)]


def training_means(prediction: StoredPrediction, run: str | None) -> Table:
    """The statistics of a run: the one that made the prediction, where it can still be found, or ``run``.

    Raises:
        DatasetError: there is no such run, or its checkpoint is not the one that predicted.
        SettingsError: a prediction of several members, without ``run``; or a run of other targets.
    """
    manifest = prediction.manifest
    if run is None and manifest.members:
        raise SettingsError(f"{prediction.folder}: is the mean of several predictions; name the run with --run RUN")
    place = run or f"{manifest.run}@{manifest.checkpoint}"
    try:
        _, info = load_emulator(place)
    except DatasetError as error:
        raise DatasetError(
            f"{error}\nTraining means come from the run; name it with --run RUN, or leave out --mean-where-negative"
        ) from error
    if run is None and info.digest != manifest.checkpoint_digest:
        raise DatasetError(
            f"{place}: is not the checkpoint that made {prediction.folder} any more; name a run with --run RUN"
        )
    if info.variables != prediction.variables:
        raise SettingsError(
            f"{place}: expected a run on the variable set {prediction.variables.name!r}, found {info.variables.name!r}"
        )
    return info.table


def corrections_of(prediction: StoredPrediction, rule: bool, scores: Path | None, run: str | None) -> Corrections:
    """The corrections that a command line asks for; raises what ``negative_columns`` and ``training_means`` raise."""
    if scores is None:
        return Corrections(rule)
    negative = negative_columns(scores, prediction.variables)
    mean = dict(
        zip(prediction.variables.target_columns, training_means(prediction, run).targets.mean.tolist(), strict=True)
    )
    return Corrections(rule, {name: mean[name] for name in negative})


def refuse_out(out: Path, sample: KaggleTable, overwrite: bool = False) -> None:
    """Check where a submission is to go, before anything is computed.

    Raises:
        SettingsError: a name that says neither csv nor parquet, a folder, the sample itself, or (unless ``overwrite``)
            a file that is there and is no submission of the sample's columns.
    """
    check_table_name(out)
    if out.is_dir():
        raise SettingsError(f"{out}: expected a file to write the submission to, found a folder")
    if out.exists() and Path(sample.label).exists() and out.samefile(sample.label):
        raise SettingsError(f"{out}: is the sample submission itself; write to another file")
    if out.exists() and not overwrite and not _is_submission(out, sample):
        raise SettingsError(
            f"{out}: is there and is no submission; write to another file, or replace it with --overwrite"
        )


def _is_submission(path: Path, sample: KaggleTable) -> bool:
    try:
        return sorted(KaggleTable(str(path)).names) == sorted(sample.names)
    except InputError:
        return False
