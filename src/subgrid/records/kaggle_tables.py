"""A data set as tables like those of the LEAP competition, so that what is made for Kaggle can be made and tried on it.

    train.csv              training split: inputs and targets
    test.csv               validation split: inputs
    sample_submission.csv  the same rows: the competition's new weights, 1 and 0
    solution.csv           the same rows: targets, which ``subgrid score`` takes for the truth

All values are in physical units, float64. Row i of a split in stored order, in which steps are mixed, is ``train_i`` or
``test_i``: as in the competition, where and when it lies is not said.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from subgrid.records.files import write_whole
from subgrid.records.splits import TRAINING
from subgrid.records.table_writer import table_writer
from subgrid.schema.variable_sets import VariableSet, scored_columns

Values = tuple[np.ndarray, np.ndarray]
"""Inputs and targets of some rows in physical units, float64 (row, width)."""


class KaggleFile(NamedTuple):
    """One table: what its ids start with, its columns, and their values, (row, column), from those of the rows."""

    prefix: str
    columns: list[str]
    values: Callable[[Values], np.ndarray]


def kaggle_files(split: str, variables: VariableSet) -> dict[str, KaggleFile]:
    """The tables of a split by the names of their files."""
    inputs, targets = variables.input_columns, variables.target_columns
    if split == TRAINING:
        return {"train.csv": KaggleFile("train_", [*inputs, *targets], np.hstack)}
    weights = scored_columns(variables).astype(np.float64)
    return {
        "test.csv": KaggleFile("test_", inputs, lambda values: values[0]),
        "sample_submission.csv": KaggleFile("test_", targets, lambda values: np.tile(weights, (len(values[0]), 1))),
        "solution.csv": KaggleFile("test_", targets, lambda values: values[1]),
    }


def write_kaggle_file(path: Path, file: KaggleFile, rows: Iterator[Values]) -> None:
    """Write one table, whole or not at all; raises SubgridError when the disk refuses."""

    def write(aside: Path) -> None:
        start = 0
        with table_writer(aside, False, file.columns) as add:
            for values in rows:
                end = start + len(values[0])
                add([f"{file.prefix}{row}" for row in range(start, end)], file.values(values))
                start = end

    write_whole(path, write)
