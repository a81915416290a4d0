"""Kaggle's tables of the LEAP competition: ``train.csv``, ``test.csv``, sample submissions, and the same in parquet.

A row starts with ``sample_id``, like ``train_123`` or ``test_456``, whose number is the row's number. The other columns
are those of the schema (``state_t_0`` ...), in any order. Where and when a row lies is not in the tables.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from subgrid.errors import InputError
from subgrid.schema.variables import TABLE
from subgrid.source.tables import open_table

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_ID = "sample_id"
"""The first column of all of Kaggle's tables."""

KNOWN_COLUMNS = frozenset(column for item in TABLE.values() for column in item.column_names())
"""Columns that a table may have beside ``sample_id``, whichever variable set reads it."""

_ID = r"^[A-Za-z]+_[0-9]{1,10}$"
_PREFIX = re.compile(r"^[A-Za-z]+_")
_ROWS = 1 << 33  # so many numbers fit a gigabyte of bits; the whole high-resolution run has 5.7e9 columns
_PAGE = 1 << 17  # bytes of a page of bits


@dataclass(frozen=True)
class KaggleChunk:
    """Some rows of a table.

    Attributes:
        ids: the ``sample_id`` of each, as text.
        row: their numbers, int64 (row,).
        values: the columns asked for, float64 (row, column), finite.
    """

    ids: list[str]
    row: np.ndarray
    values: np.ndarray


class KaggleTable:
    """One table, its header checked; one of the hub is held to a commit, see ``open_table``.

    Attributes:
        names: its columns but for ``sample_id``.
    """

    def __init__(self, url: str, commit: str = "") -> None:
        self.file = open_table(url, commit)
        self.label = self.file.label
        doubled = [name for name, count in Counter(self.file.names).items() if count > 1]
        if doubled:
            raise InputError(f"{self.label}: {_some(doubled)} stand(s) twice in the header")
        if SAMPLE_ID not in self.file.names:
            raise InputError(
                f"{self.label}: expected a column {SAMPLE_ID} as in Kaggle's tables, found {_some(self.file.names)}"
            )
        self.names = [name for name in self.file.names if name != SAMPLE_ID]

    def expect(self, required: Sequence[str], allowed: Iterable[str] = KNOWN_COLUMNS) -> None:
        """Raise InputError that names the columns that are missing, or that belong to no table of this kind."""
        found, allowed = set(self.names), {*allowed, *required}
        missing = [name for name in required if name not in found]
        foreign = [name for name in self.names if name not in allowed]
        wrong = [f"misses {_some(missing)}"] if missing else []
        wrong += [f"holds {_some(foreign)}, which does not belong there"] if foreign else []
        if wrong:
            raise InputError(f"{self.label}: the table {' and '.join(wrong)}")

    def has(self, columns: Sequence[str]) -> bool:
        """Whether all of these columns are there (True) or none; raises InputError for a part of them."""
        if set(columns).isdisjoint(self.names):
            return False
        self.expect(columns)
        return True

    @property
    def prefix(self) -> str:
        """What the ids start with: ``train_`` or ``test_``; empty for a table without rows."""
        for chunk in self.chunks([]):
            return _prefix(chunk.ids[0])
        return ""

    def chunks(self, columns: Sequence[str]) -> Iterator[KaggleChunk]:
        """All rows in file order, with the values of ``columns`` in that order.

        Raises:
            InputError: an id that is no id, of another kind than the first, or that stood before; an empty cell, NaN or
                infinity (row, column and counts are said); what the file's own reader refuses.
        """
        ids, line = RowIds(self.label), self.file.first_line
        for table in self.file.batches([SAMPLE_ID], columns):
            if table.num_rows:
                yield self.chunk(table, columns, ids, line)
                line = None if line is None else line + table.num_rows

    def chunk(self, table: "pa.Table", columns: Sequence[str], ids: "RowIds", line: int | None) -> KaggleChunk:
        """Some rows as the file's reader gives them; ``line`` is where the first of them stands, for messages.

        Raises InputError as ``chunks`` does.
        """
        found = table.column(SAMPLE_ID)
        row = ids.numbers(found, line)
        text: list[str] = found.to_pylist()
        return KaggleChunk(text, row, self._values(table, columns, text, line))

    def _values(self, table: "pa.Table", columns: Sequence[str], ids: list[str], line: int | None) -> np.ndarray:
        values = np.empty((table.num_rows, len(columns)))
        for place, name in enumerate(columns):
            values[:, place] = table.column(name).to_numpy()  # null becomes NaN
        if not np.isfinite(values).all():
            row = int(np.argwhere(~np.isfinite(values))[0, 0])
            raise self._not_finite(table, columns, values, _where(self.label, line, row), ids[row])
        return values

    def _not_finite(
        self, table: "pa.Table", columns: Sequence[str], values: np.ndarray, where: str, name: str
    ) -> InputError:
        row, column = np.argwhere(~np.isfinite(values))[0]
        cell = table.column(columns[column])[int(row)].as_py()
        empty = sum(table.column(name).null_count for name in columns)
        nan, infinite = int(np.isnan(values).sum()) - empty, int(np.isinf(values).sum())
        what = "empty" if cell is None else cell
        return InputError(
            f"{where}: {columns[column]} is {what} in the row {name} ({empty} empty, {nan} NaN and {infinite} "
            f"infinite of {values.size} values in the {len(values)} rows read with it)"
        )


class RowIds:
    """Reads the ids of a table, some after the others: what they start with is told by the first, none stands twice."""

    def __init__(self, label: str) -> None:
        self._label, self._prefix, self._seen = label, "", _Seen()

    def numbers(self, ids: "pa.Array | pa.ChunkedArray", line: int | None = None) -> np.ndarray:
        """Numbers of rows, int64 (row,), of at least one id; ``line`` is where the first stands, for messages.

        Raises InputError for an id that is no id, of another kind than the first, too large, or that stood before.
        """
        self._prefix = self._prefix or _prefix(str(ids[0]))
        row = self._parsed(ids, line)
        for place in self._seen.add(row)[:1]:
            where = _where(self._label, line, int(place))
            raise InputError(f"{where}: the row {ids[int(place)].as_py()} stands there twice")
        return row

    def _parsed(self, ids: "pa.Array | pa.ChunkedArray", line: int | None) -> np.ndarray:
        import pyarrow as pa
        from pyarrow import compute

        fine = compute.and_(compute.match_substring_regex(ids, _ID), compute.starts_with(ids, self._prefix))
        wrong = ~np.asarray(compute.fill_null(fine, False))
        for place in np.flatnonzero(wrong)[:1].tolist():
            like = f"{self._prefix}123 like the first" if self._prefix else "train_123 or test_456"
            where = _where(self._label, line, place)
            raise InputError(f"{where}: expected a {SAMPLE_ID} like {like}, found {ids[place].as_py()!r}")
        digits = compute.utf8_slice_codeunits(ids, start=len(self._prefix))
        row = np.asarray(compute.cast(digits, pa.int64()))
        if row.max() >= _ROWS:
            where = _where(self._label, line, int(row.argmax()))
            raise InputError(f"{where}: expected numbers of rows below {_ROWS}, found {self._prefix}{row.max()}")
        return row


class _Seen:
    """A set of row numbers: a bit each, in pages that are made when one of their numbers is first seen."""

    def __init__(self) -> None:
        self._pages: dict[int, np.ndarray] = {}

    def add(self, row: np.ndarray) -> np.ndarray:
        """Add numbers, int64 (row,); the places, ascending, of those that were there before or stand twice."""
        order = np.argsort(row, kind="stable")
        again = np.zeros(row.size, dtype=bool)
        again[order[1:]] = row[order[1:]] == row[order[:-1]]
        byte, bit = row >> 3, (1 << (row & 7)).astype(np.uint8)
        for number in np.unique(byte // _PAGE).tolist():
            page = self._pages.setdefault(number, np.zeros(_PAGE, dtype=np.uint8))
            here = np.flatnonzero(byte // _PAGE == number)
            again[here] |= (page[byte[here] % _PAGE] & bit[here]) != 0
            np.bitwise_or.at(page, byte[here] % _PAGE, bit[here])
        return np.flatnonzero(again)


def _where(label: str, line: int | None, place: int) -> str:
    return label if line is None else f"{label}: line {line + place}"


def _prefix(text: str) -> str:
    found = _PREFIX.match(text)
    return found[0] if found else ""


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
