"""A small data set in memory that is read like one on disk; loaded by path, here and in processes that tests kill."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from subgrid.records.reader import Batch, StreamSettings
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

COLUMNS, TRAINING_ROWS, VALIDATION_ROWS = 24, 120, 60


class MemoryStream:
    """An endless stream of batches."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches

    def __iter__(self) -> "MemoryStream":
        return self

    def __next__(self) -> Batch:
        return next(self._batches)

    def __enter__(self) -> "MemoryStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""


class MemoryDataset:
    """Rows by split, in stored units, and what a data set knows of them."""

    def __init__(self, variables: VariableSet, grid: Grid, rows: dict[str, Batch]) -> None:
        self.variables, self.grid, self._rows = variables, grid, rows
        content = b"".join(np.ascontiguousarray(array).tobytes() for batch in rows.values() for array in batch)
        self.digest = hashlib.sha256(content).hexdigest()

    @property
    def splits(self) -> dict[str, int]:
        return {split: len(batch.row) for split, batch in self._rows.items()}

    def rows(self, split: str) -> int:
        return self.splits[split]

    def table(self, split: str = "training") -> Table:
        def moments(stored: np.ndarray, exponents: np.ndarray) -> Moments:
            return Moments.of(np.ascontiguousarray(np.ldexp(stored.astype(np.float64), -exponents).T))

        batch, variables = self._rows[split], self.variables
        return Table(
            variables,
            moments(batch.inputs, variables.input_exponents),
            moments(batch.targets, variables.target_exponents),
        )

    def stream(self, split: str, settings: StreamSettings, start: int = 0) -> MemoryStream:
        return MemoryStream(self._shuffled(self._rows[split], settings, start))

    @staticmethod
    def _shuffled(rows: Batch, settings: StreamSettings, place: int) -> Iterator[Batch]:
        count = len(rows.row)
        while True:
            epochs = range(place // count, (place + settings.batch) // count + 1)
            order = {epoch: np.random.default_rng([settings.seed, epoch]).permutation(count) for epoch in epochs}
            chosen = [order[at // count][at % count] for at in range(place, place + settings.batch)]
            yield Batch(*(array[chosen] for array in rows))
            place += settings.batch

    def scan(self, split: str, batch: int) -> Iterator[Batch]:
        rows = self._rows[split]
        for first in range(0, len(rows.row), batch):
            yield Batch(*(array[first : first + batch] for array in rows))


def small_grid() -> Grid:
    """Twenty-four columns anywhere, sixty levels that get thicker downwards in sigma."""
    rng, hybi = np.random.default_rng(4), np.linspace(0, 1, 61)
    hyai = np.linspace(0.001, 0, 61)
    levels: dict[str, Any] = {"hyai": hyai, "hybi": hybi}
    levels |= {"hyam": (hyai[1:] + hyai[:-1]) / 2, "hybm": (hybi[1:] + hybi[:-1]) / 2}
    area = np.full(COLUMNS, 4 * np.pi / COLUMNS)
    return Grid(lat=rng.uniform(-80, 80, COLUMNS), lon=rng.uniform(0, 360, COLUMNS), area=area, **levels)


def memory_dataset(validation: bool) -> MemoryDataset:
    """Targets that follow from inputs, with some noise; the first target is constant."""
    variables, rng = variable_set("kaggle"), np.random.default_rng(1)

    def rows(count: int) -> Batch:
        inputs = rng.normal(size=(count, variables.input_width))
        targets = np.tanh(inputs[:, : variables.target_width])
        targets += 0.1 * rng.normal(size=targets.shape)
        targets[:, 0] = 3.0
        row = np.arange(count)
        column, time = (row % COLUMNS).astype(np.int32), row // COLUMNS * 1200
        return Batch(inputs.astype(np.float32), targets.astype(np.float32), row, column, time)

    splits = {"training": rows(TRAINING_ROWS)} | ({"validation": rows(VALIDATION_ROWS)} if validation else {})
    return MemoryDataset(variables, small_grid(), splits)
