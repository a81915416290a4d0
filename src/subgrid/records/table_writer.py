"""Writing a table of ``sample_id`` and float64 columns chunk by chunk, as csv or parquet.

The text of a csv is the shortest that gives the same float64 back.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from subgrid.errors import SettingsError
from subgrid.source.kaggle import SAMPLE_ID
from subgrid.source.tables import SUFFIXES, is_table

if TYPE_CHECKING:
    import pyarrow as pa

Add = Callable[[Sequence[str], np.ndarray], None]
"""Appends rows: their ids, and their values, float64 (row, column)."""


def check_table_name(path: Path) -> None:
    """Raise SettingsError for a file name that says neither csv nor parquet."""
    if not is_table(path.name):
        raise SettingsError(f"{path}: expected a name that ends with {' or '.join(SUFFIXES)}")


@contextmanager
def table_writer(path: Path, parquet: bool, names: Sequence[str]) -> Iterator[Add]:
    """Open ``path`` for a table of ``sample_id`` and columns; yields what adds rows; closes it in the end."""
    import pyarrow as pa

    schema = pa.schema([(SAMPLE_ID, pa.string()), *((name, pa.float64()) for name in names)])
    opened = _parquet if parquet else _csv
    with opened(path, schema) as write:

        def add(ids: Sequence[str], values: np.ndarray) -> None:
            columns = [pa.array(ids, pa.string()), *(pa.array(column) for column in np.ascontiguousarray(values.T))]
            write(pa.Table.from_arrays(columns, schema=schema))

        yield add


@contextmanager
def _csv(path: Path, schema: "pa.Schema") -> Iterator[Callable[["pa.Table"], None]]:
    from pyarrow import csv

    with open(path, "wb") as file:
        file.write((",".join(schema.names) + "\n").encode())  # pyarrow would quote the names
        options = csv.WriteOptions(include_header=False, quoting_style="none")
        with csv.CSVWriter(file, schema, write_options=options) as writer:
            yield writer.write_table


@contextmanager
def _parquet(path: Path, schema: "pa.Schema") -> Iterator[Callable[["pa.Table"], None]]:
    from pyarrow import parquet

    with parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        yield writer.write_table
