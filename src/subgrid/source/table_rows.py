"""Kaggle's ``train.csv``, or the same in parquet, as rows to build from, in blocks that are read in any order.

A csv file is read once to find where blocks start, and to see that no id stands twice; then every block is read by
itself, from there. Values in parquet lie by column, in groups of any size: they are unpacked once, into a file of
float64 rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from subgrid.errors import InputError, SubgridError
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import TIME_STEP
from subgrid.source.blocks import BlockSource, Report, block_columns, blocks, unknown_places, whole_blocks
from subgrid.source.columns import StepColumns
from subgrid.source.kaggle import SAMPLE_ID, KaggleTable, RowIds
from subgrid.source.locations import Location, is_remote
from subgrid.source.steps import Step
from subgrid.source.tables import CsvTable, ParquetTable, is_table

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_ID = 80  # bytes that are looked at, and shown where they are no id


@dataclass(frozen=True)
class TableRows(BlockSource):
    """A table with all inputs and targets of a variable set. The numbers of its rows are those of its ids.

    Attributes:
        place: path or URL.
        unpacked: file of the table's rows, float64 (row, 1 + inputs + targets), the rows' numbers first; None where
            they are read from the table itself.
        commit: what is read of a repository of the Hugging Face hub, as in ``Location``.
    """

    place: str
    unpacked: Path | None = None
    commit: str = ""

    placed: ClassVar[bool] = False

    @classmethod
    def find(cls, place: str) -> "TableRows | None":
        """The table that a path or URL names by its end, as it is now; None for anything else."""
        if not is_table(place) or Location(place).local("").is_dir():
            return None
        return cls(place, commit=Location(place).pinned().commit)

    @property
    def url(self) -> str:
        """What it is called."""
        return self.place

    @property
    def beside(self) -> Location:
        """The folder of the table."""
        if is_remote(self.place):
            return Location(self.place.rpartition("/")[0], self.commit)
        return Location(str(Location(self.place).local("").parent))

    def absolute(self) -> "TableRows":
        """The same for a process in another working folder."""
        return replace(self, place=Location(self.place).absolute().url,
                       unpacked=self.unpacked.resolve() if self.unpacked else None)  # fmt: skip

    def open(self, variables: VariableSet) -> KaggleTable:
        """The table, its header checked; raises InputError that names columns that are missing, doubled or foreign."""
        table = KaggleTable(self.place, self.commit)
        table.expect(_columns(variables))
        return table

    def survey(self, variables: VariableSet, columns: int, progress: Report | None = None) -> list[Step]:
        """The blocks; those of a csv file are called by their bytes. Raises InputError, see ``BlockSource``."""
        file = self.open(variables).file
        if isinstance(file, ParquetTable):
            return blocks(whole_blocks(file.rows, columns, file.label))
        rows, starts = _starts(file, columns, progress)
        whole_blocks(rows, columns, file.label)
        ranges = [f"{start}-{stop}" for start, stop in pairwise(starts)]
        return [Step(number * TIME_STEP, name, name) for number, name in enumerate(ranges)]

    def unpacked_bytes(self, variables: VariableSet, rows: int) -> int:
        """Of so many rows of a parquet file, unpacked; 0 for csv."""
        return 0 if self.place.lower().endswith(".csv") else 8 * rows * (1 + len(_columns(variables)))

    def unpack(self, variables: VariableSet, path: Path, progress: Report | None = None) -> "TableRows":
        """Unpack a parquet file; raises InputError for what its reader refuses, SubgridError for a full disk."""
        table, done = self.open(variables), 0
        if isinstance(table.file, CsvTable):
            return self
        try:
            with open(path, "wb") as file:
                for chunk in table.chunks(_columns(variables)):
                    file.write(np.column_stack([chunk.row.astype(np.float64), chunk.values]).data)
                    done += chunk.row.size
                    if progress:
                        progress(done, table.file.rows)
        except OSError as error:
            raise SubgridError(f"{path}: {table.label} cannot be unpacked there ({error.strerror})") from error
        return replace(self, unpacked=path)

    def reader(self, variables: VariableSet, columns: int) -> Callable[[Step], StepColumns]:
        """Reads blocks; raises InputError with line and column for what is no number, not finite or not physical."""
        read = _from_file if self.unpacked else _from_csv
        return partial(_block, self.open(variables), variables, partial(read, self, variables, columns))


def _columns(variables: VariableSet) -> list[str]:
    return [*variables.input_columns, *variables.target_columns]


def _starts(file: CsvTable, columns: int, progress: Report | None) -> tuple[int, list[int]]:
    """How many rows there are, and the bytes where every ``columns``-th of them starts and where the last one ends."""
    ids, place, rows = RowIds(file.label), file.names.index(SAMPLE_ID), 0
    starts: list[int] = []
    stop = 0
    for start, data in file.whole_lines(progress):
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
        lines = [0, *ends[:-1].tolist()]
        ids.numbers(_ids(data, lines, ends.tolist(), place), file.first_line + rows)
        starts += [start + line for line in lines[-rows % columns :: columns]]
        rows, stop = rows + len(lines), start + len(data)
    return rows, [*starts, stop]


def _ids(data: bytes, starts: list[int], ends: list[int], place: int) -> "pa.Array":
    """The values in column ``place`` of lines, as text; what follows them is not looked at."""
    import pyarrow as pa

    lines = (data[start:end].split(b",", place + 1) for start, end in zip(starts, ends, strict=True))
    found = [b"".join(cells[place : place + 1])[:_LONGEST_ID] for cells in lines]
    return pa.array([text.strip(b'"\r\n').decode("utf-8", "replace") for text in found], pa.string())


def _from_csv(source: TableRows, variables: VariableSet, columns: int, table: KaggleTable, step: Step) -> np.ndarray:
    """Numbers and values of a block, float64 (row, 1 + column)."""
    file, names = table.file, _columns(variables)
    assert isinstance(file, CsvTable)
    start, stop = map(int, step.mli.split("-"))
    line = file.first_line + step.time // TIME_STEP * columns
    data = file.read(start, stop)
    if len(data) < stop - start or not data.endswith(b"\n") or data.count(b"\n") != columns:
        raise InputError(
            f"{file.label}: expected {columns} rows from line {line}, byte {start}, as when they were counted; the "
            "file has changed since, run the same command again"
        )
    chunk = table.chunk(file.parse(data, line, [SAMPLE_ID], names), names, RowIds(file.label), line)
    return np.column_stack([chunk.row.astype(np.float64), chunk.values])


def _from_file(source: TableRows, variables: VariableSet, columns: int, table: KaggleTable, step: Step) -> np.ndarray:
    """The same from unpacked rows."""
    assert source.unpacked is not None
    width = 1 + len(_columns(variables))
    wanted = columns * width
    try:
        found = np.fromfile(source.unpacked, np.float64, wanted, offset=8 * wanted * (step.time // TIME_STEP))
    except OSError as error:
        raise InputError(
            f"{source.unpacked}: the rows of {table.label} are not there ({error.strerror}); every worker must see the "
            "folder that --scratch names"
        ) from error
    return found.reshape(columns, width)


def _block(
    table: KaggleTable, variables: VariableSet, read: Callable[[KaggleTable, Step], np.ndarray], step: Step
) -> StepColumns:
    found = read(table, step)
    row, width = found[:, 0].astype(np.int64), 1 + variables.input_width
    values = (np.ascontiguousarray(part.T) for part in (found[:, 1:width], found[:, width:]))

    def say(wrong: str) -> str:
        return f"{table.label}: {wrong} in the {row.size} rows from id {row[0]}; values must be physical"

    return block_columns(step.time, (next(values), next(values)), unknown_places(row), say, variables)
