"""Columns to predict or to score against: a data set, a folder of raw steps, one of Kaggle's tables.

All kinds give the same chunks: inputs or targets with the rows' numbers, so a prediction of one can be scored against
the other.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from subgrid.errors import DatasetError, InputError
from subgrid.records.build import read_grid
from subgrid.records.finish import Origin
from subgrid.records.place import holds_dataset
from subgrid.records.provenance import Provenance
from subgrid.records.reader import Dataset
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import TIME_STEP
from subgrid.source.columns import StepReader
from subgrid.source.kaggle import KaggleTable
from subgrid.source.locations import GRID_ENDING, Location, shown
from subgrid.source.steps import Step, list_steps
from subgrid.source.table_rows import TableRows
from subgrid.source.tables import Report, Survey, is_table

_SCAN = 4096


@dataclass(frozen=True)
class InputChunk:
    """Inputs of some rows.

    Attributes:
        inputs: (row, input_width), in stored units when ``stored``, else raw physical units in float64.
        stored: which of the two.
        row, column, time: int (row,), as in a ``Batch``.
    """

    inputs: np.ndarray
    stored: bool
    row: np.ndarray
    column: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class TruthChunk:
    """Inputs and targets of rows in raw physical units, float64 (row, width), and where they belong, int (row,).

    A table of targets alone has no inputs.
    """

    row: np.ndarray
    inputs: np.ndarray | None
    targets: np.ndarray
    column: np.ndarray
    time: np.ndarray


class DatasetColumns:
    """The rows of one split of a data set, or of all its splits."""

    def __init__(self, dataset: Dataset, split: str | None) -> None:
        self.dataset = dataset
        self.ids = "" if dataset.manifest.placed else "row_"  # numbers of another kind than a simulation's
        self.label, self.provenance = str(dataset.folder), dataset.manifest.provenance
        self.splits = [split] if split else list(dataset.splits)
        self.rows = sum(dataset.rows(one) for one in self.splits)
        self.digest = sha256(json.dumps([dataset.digest, self.splits]).encode()).hexdigest()
        self.without_truth = np.empty(0, dtype=np.int64)

    def grid(self) -> Grid | None:
        """Where the columns stand; None where the rows do not say in which of them they lie."""
        return self.dataset.grid if self.dataset.manifest.placed else None

    def row_numbers(self) -> np.ndarray:
        """Numbers of all rows, sorted, int64 (row,)."""
        found = [chunk.row for split in self.splits for chunk in self.dataset.scan(split, _SCAN)]
        return np.sort(np.concatenate(found))

    def inputs(self, batch: int) -> Iterator[InputChunk]:
        """Chunks of at most ``batch`` rows, in stored order."""
        for split in self.splits:
            for found in self.dataset.scan(split, batch):
                yield InputChunk(found.inputs, True, found.row, found.column, found.time)

    def truth(self, wanted: np.ndarray) -> Iterator[TruthChunk]:
        """Rows whose numbers are among ``wanted`` (sorted), with their targets; the others are passed over."""
        variables = self.dataset.variables
        for split in self.splits:
            for found in self.dataset.scan(split, _SCAN):
                chosen = np.flatnonzero(contains(wanted, found.row))
                if chosen.size:
                    inputs = _physical(found.inputs, chosen, variables.input_exponents)
                    targets = _physical(found.targets, chosen, variables.target_exponents)
                    yield TruthChunk(found.row[chosen], inputs, targets, found.column[chosen], found.time[chosen])


class RawColumns:
    """All columns of a folder of raw steps; those of steps without an ``mlo`` have inputs and no truth."""

    ids = ""

    def __init__(self, location: Location, variables: VariableSet) -> None:
        self.location, self.variables, self.label = location, variables, location.shown
        self.steps, self.provenance = [step for step in list_steps(location) if step.mli], _provenance(location)
        reader = StepReader(location, variables)
        reader.read(self.steps[0], targets=False)
        self.columns = int(reader.columns or 0)
        self.rows = len(self.steps) * self.columns
        self.digest = _identity(location, self.steps)
        incomplete = [self._row_numbers(step) for step in self.steps if not step.mlo]
        self.without_truth = np.concatenate([np.empty(0, dtype=np.int64), *incomplete])

    def _row_numbers(self, step: Step) -> np.ndarray:
        return step.time // TIME_STEP * self.columns + np.arange(self.columns)

    def grid(self) -> Grid | None:
        """The grid in the folder's one grid file; None where it has none. Raises InputError for several."""
        return read_grid(self.location) if any(name.endswith(GRID_ENDING) for name in self.location.names()) else None

    def row_numbers(self) -> np.ndarray:
        """Numbers of all rows, sorted, int64 (row,)."""
        return np.concatenate([self._row_numbers(step) for step in self.steps])

    def inputs(self, batch: int) -> Iterator[InputChunk]:
        """Chunks of at most ``batch`` rows, by time."""
        reader = StepReader(self.location, self.variables, self.columns)
        for step in self.steps:
            inputs = np.ascontiguousarray(reader.read(step, targets=False).inputs.T)
            row, column = self._row_numbers(step), np.arange(self.columns, dtype=np.int32)
            for start in range(0, self.columns, batch):
                here = slice(start, start + batch)
                time = np.full(row[here].size, step.time, dtype=np.int64)
                yield InputChunk(inputs[here], False, row[here], column[here], time)

    def truth(self, wanted: np.ndarray) -> Iterator[TruthChunk]:
        """Rows whose numbers are among ``wanted`` (sorted), with their targets."""
        reader = StepReader(self.location, self.variables, self.columns)
        for step in self.steps:
            row = self._row_numbers(step)
            chosen = np.flatnonzero(contains(wanted, row))
            if not step.mlo or not chosen.size:
                continue
            found = reader.read(step)
            assert found.targets is not None
            time = np.full(chosen.size, step.time, dtype=np.int64)
            inputs, targets = (np.ascontiguousarray(values.T[chosen]) for values in (found.inputs, found.targets))
            yield TruthChunk(row[chosen], inputs, targets, chosen, time)


class KaggleColumns:
    """The rows of one of Kaggle's tables: inputs, or targets, or both. Where and when they lie is not known: -1."""

    def __init__(self, url: str, variables: VariableSet) -> None:
        self.table, self.variables, self.label = KaggleTable(url), variables, shown(url)
        self.table.expect([])
        self.provenance = _provenance(TableRows(url))
        self.has_inputs, self.has_truth = (
            self.table.has(names) for names in (variables.input_columns, variables.target_columns)
        )
        self.without_truth = np.empty(0, dtype=np.int64)
        self._survey: Survey | None = None

    def survey(self, progress: Report | None = None) -> Survey:
        """Number of rows and identity, from one pass over the file's bytes; made once, ``progress`` in bytes.

        Raises InputError for a table without rows.
        """
        if self._survey is None:
            self._demand(self.has_inputs, self.variables.input_columns)
            found = self.table.file.survey(progress)
            if not found.rows:
                raise InputError(f"{self.label}: expected rows to predict, found a line of column names alone")
            self._survey = found
        return self._survey

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.survey().rows

    @property
    def digest(self) -> str:
        """The file's identity."""
        return self.survey().digest

    @cached_property
    def ids(self) -> str:
        """What the ids of rows start with, ``test_`` or ``train_``."""
        return self.table.prefix

    def _demand(self, there: bool, names: Sequence[str]) -> None:
        if not there:
            raise InputError(f"{self.label}: expected the columns {names[0]} ... {names[-1]}, found none of them")

    def row_numbers(self) -> np.ndarray:
        """Numbers of all rows, sorted, int64 (row,)."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *(chunk.row for chunk in self.table.chunks([]))]))

    def inputs(self, batch: int) -> Iterator[InputChunk]:
        """Chunks of at most ``batch`` rows, in file order."""
        for chunk in self.table.chunks(self.variables.input_columns):
            for start in range(0, chunk.row.size, batch):
                here = slice(start, start + batch)
                yield InputChunk(chunk.values[here], False, chunk.row[here], *_unknown(chunk.row[here]))

    def truth(self, wanted: np.ndarray) -> Iterator[TruthChunk]:
        """Rows whose numbers are among ``wanted`` (sorted), with their targets, and inputs if the table has them."""
        self._demand(self.has_truth, self.variables.target_columns)
        names = self.variables.input_columns if self.has_inputs else []
        for chunk in self.table.chunks([*names, *self.variables.target_columns]):
            chosen = np.flatnonzero(contains(wanted, chunk.row))
            if chosen.size:
                row, values = chunk.row[chosen], chunk.values[chosen]
                inputs = values[:, : len(names)] if names else None
                yield TruthChunk(row, inputs, values[:, len(names) :], *_unknown(row))

    def grid(self) -> Grid | None:
        """None: a table does not say where its rows lie."""
        return None


def _provenance(source: Location | TableRows) -> Provenance:
    origin = Origin.of(source)
    return Provenance.told(origin.source, origin.licence)


def _unknown(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(row.size, -1, dtype=np.int32), np.full(row.size, -1, dtype=np.int64)


Columns = DatasetColumns | RawColumns | KaggleColumns


def _identity(location: Location, steps: Sequence[Step]) -> str:
    """SHA-256 of which steps there are and of what their storage says of the files: size, time, checksum.

    Two simulations have steps of the same dates, and reading all of them twice would be too dear.
    """
    try:
        files = [(step.label, location.checksum(step.mli)) for step in steps]
    except FileNotFoundError as error:
        raise InputError(
            f"{location.shown}: a file is gone that was listed ({error}); run the same command again"
        ) from error
    return sha256(json.dumps(files).encode()).hexdigest()


def _physical(stored: np.ndarray, chosen: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """The chosen rows of stored values, x * 2**exponent, as x in float64: exact, but for float64's own denormals."""
    rows = stored if chosen.size == len(stored) else stored[chosen]
    return rows.astype(np.float64) * np.ldexp(1.0, -exponents)


def contains(wanted: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Which of the numbers ``row`` are among ``wanted`` (sorted), bool (row,)."""
    place = np.minimum(np.searchsorted(wanted, row), wanted.size - 1)
    return wanted[place] == row if wanted.size else np.zeros(row.size, dtype=bool)


def open_columns(path: str, variables: VariableSet, split: str | None = None) -> Columns:
    """Open a data set (folder, URL, pointer), a folder of raw steps, or one of Kaggle's tables (.csv or .parquet).

    Raises:
        DatasetError: a data set of another variable set, or without that split.
        InputError: no raw steps there, a table without the set's columns, or a split asked of what has none.
    """
    if holds_dataset(path):
        dataset = Dataset.open(path)
        if dataset.variables != variables:
            raise DatasetError(
                f"{shown(path)}: expected rows of the variable set {variables.name!r}, found {dataset.variables.name!r}"
            )
        return DatasetColumns(dataset, split)
    table = is_table(path) and not Path(path).is_dir()
    if split:
        what = "Kaggle's tables" if table else "raw steps"
        raise InputError(f"{shown(path)}: {what} have no splits; leave out --split {split}, or build a data set first")
    if table:
        return KaggleColumns(path, variables)
    return RawColumns(Location(path).pinned(), variables)
