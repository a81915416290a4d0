"""Large tables in csv or parquet, local or at any fsspec URL, read as a stream of batches of columns.

A csv file is read in blocks of whole lines, so memory does not grow with it. Numbers become float64 with correct
rounding (pyarrow parses like Python's ``float``, denormals too); an empty cell becomes null. A file that ends inside a
line is refused: whether its last number is whole, nobody can tell.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from subgrid.errors import InputError
from subgrid.source.locations import Location, shown
from subgrid.source.table_bytes import Sum, opened, read_at

if TYPE_CHECKING:
    import pyarrow as pa

Report = Callable[[int, int], None]

BLOCK = 1 << 24
"""Bytes read at once."""

_LONGEST_LINE = 1 << 26
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Survey:
    """What one pass over the bytes of a table tells.

    Attributes:
        rows: of data, the header not counted.
        digest: SHA-256 of the file's size, the CRC32C of all its bytes and its first 16 MiB: its identity, wherever it
            is copied to. A CRC keeps up with any disk, where a SHA-256 of 180 GB would not.
    """

    rows: int
    digest: str


class CsvTable:
    """A csv file with one line of column names and one line a row.

    Attributes:
        first_line: number of the first line of data.
    """

    first_line = 2

    def __init__(self, location: Location) -> None:
        self.location, self.label = location, location.shown
        with opened(location) as file:
            line = _first_line(file)
        self._body = len(line)
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.label}: expected a csv file in UTF-8, found other bytes in its first line"
            ) from error
        if not text.endswith("\n"):
            raise InputError(f"{self.label}: expected a line of column names, found {text[:60]!r} without a line's end")
        self.names: list[str] = next(csv.reader([text]), [])

    def survey(self, progress: Report | None = None) -> Survey:
        """Count the rows and sum up the bytes; raises InputError when the file ends inside a line."""
        lines, last = 0, b""
        total = Sum()
        for data in _raw_blocks(self.location, progress):
            total.add(data)
            lines, last = lines + data.count(b"\n"), data[-1:]
        if last != b"\n":
            raise self._cut()
        return Survey(lines - 1, total.digest)

    def batches(self, texts: Sequence[str], numbers: Sequence[str]) -> Iterator["pa.Table"]:
        """Some of the columns, in file order, as tables of string columns and float64 columns with nulls.

        Raises InputError, with line and column, for a line of another length, a value that is no number, an empty line
        and a last line that is cut.
        """
        line = self.first_line
        for _, block in self.whole_lines():
            table = self.parse(block, line, texts, numbers)
            line += table.num_rows
            yield table

    def parse(self, block: bytes, line: int, texts: Sequence[str], numbers: Sequence[str]) -> "pa.Table":
        """What ``batches`` says of whole lines; ``line`` is the number of the first of them, for messages."""
        table = self._parsed(block, line, texts, numbers)
        if table.num_rows != (lines := block.count(b"\n")):
            raise InputError(
                f"{self.label}: lines {line} to {line + lines - 1} hold {table.num_rows} rows; empty lines and "
                "line breaks inside a value cannot be read"
            )
        return table

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range, fewer where the file ends in it."""
        with opened(self.location) as file:
            return read_at(file, start, stop - start)

    def whole_lines(self, progress: Report | None = None) -> Iterator[tuple[int, bytes]]:
        """The lines of data in file order, some at once, and the byte that they start at.

        Raises InputError for a last line that is cut and for one that is no line of a table.
        """
        rest, start = b"", self._body
        for data in _raw_blocks(self.location, progress, self._body):
            data = rest + data
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if len(rest) > _LONGEST_LINE:
                raise InputError(f"{self.label}: a line is longer than {_LONGEST_LINE:,} bytes; is this a csv file?")
            if cut:
                yield start, data[:cut]
                start += cut
        if rest:
            raise self._cut()

    def _cut(self) -> InputError:
        return InputError(
            f"{self.label}: the last line does not end with a line break; the file was cut, fetch it again (or, if it "
            "is known to be whole, add the line break)"
        )

    def _parsed(self, block: bytes, line: int, texts: Sequence[str], numbers: Sequence[str]) -> "pa.Table":
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        kinds = dict.fromkeys(texts, pa.string()) | dict.fromkeys(numbers, pa.float64())
        try:
            return arrow_csv.read_csv(
                pa.BufferReader(block),
                arrow_csv.ReadOptions(column_names=self.names, block_size=len(block) + 1),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=kinds, include_columns=list(kinds), null_values=[""], strings_can_be_null=True
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._explained(block, line, numbers, str(error)) from error

    def _explained(self, block: bytes, line: int, numbers: Sequence[str], reason: str) -> InputError:
        """The first line that pyarrow could not read, found the slow way."""
        places = [(self.names.index(name), name) for name in numbers]
        for offset, raw in enumerate(block.splitlines()):
            cells = next(csv.reader([raw.decode("utf-8", "replace")]), [])
            where = f"{self.label}: line {line + offset} ({cells[0] if cells else 'empty'})"
            if cells and len(cells) != len(self.names):
                return InputError(
                    f"{where} has {len(cells)} values where the first line names {len(self.names)} columns; the file "
                    "is damaged or was cut, fetch it again"
                )
            for place, name in places if cells else ():
                if not _is_number(cells[place]):
                    return InputError(f"{where}: expected a number for {name}, found {cells[place]!r}")
        return InputError(f"{self.label}: lines {line} and following cannot be read ({reason})")


class ParquetTable:
    """A parquet file whose columns are numbers, but for those asked for as text.

    Attributes:
        rows: how many the file says that it has.
    """

    first_line = None  # there are none

    def __init__(self, location: Location) -> None:
        self.location, self.label = location, location.shown
        with opened(location) as file:
            found = self._parquet(file)
        self.names: list[str] = list(found.schema_arrow.names)
        self.rows = int(found.metadata.num_rows)

    def _parquet(self, file: Any) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        try:  # a small buffer and no look-ahead: row groups may be larger than memory
            return parquet.ParquetFile(file, buffer_size=1 << 16, pre_buffer=False)
        except pa.ArrowException as error:
            raise InputError(f"{self.label}: not a parquet file, or one that was cut ({error})") from error

    def survey(self, progress: Report | None = None) -> Survey:
        """Rows by the file's own count, and the sum of its bytes."""
        total = Sum()
        for data in _raw_blocks(self.location, progress):
            total.add(data)
        return Survey(self.rows, total.digest)

    def batches(self, texts: Sequence[str], numbers: Sequence[str]) -> Iterator["pa.Table"]:
        """See ``CsvTable.batches``; numbers of any type that float64 holds exactly are taken."""
        import pyarrow as pa

        columns = [*texts, *numbers]
        with opened(self.location) as file:
            found = self._parquet(file)
            rows = max(1, BLOCK // (8 * len(columns)))
            kinds = pa.schema([(name, pa.string() if name in texts else pa.float64()) for name in columns])
            self._check_kinds(found.schema_arrow, texts, numbers)
            try:
                for batch in found.iter_batches(batch_size=rows, columns=columns):
                    yield pa.Table.from_batches([batch]).select(columns).cast(kinds)
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{self.label}: cannot be read as a table of numbers ({error})") from error

    def _check_kinds(self, schema: "pa.Schema", texts: Sequence[str], numbers: Sequence[str]) -> None:
        from pyarrow import types

        for name in texts:
            kind = schema.field(name).type
            if not (types.is_string(kind) or types.is_large_string(kind)):
                raise InputError(f"{self.label}: expected text in the column {name}, found {kind}")
        for name in numbers:
            kind = schema.field(name).type
            if not (types.is_floating(kind) or types.is_integer(kind)):
                raise InputError(f"{self.label}: expected numbers in the column {name}, found {kind}")


TableFile = CsvTable | ParquetTable


def is_table(url: str) -> bool:
    """Whether a name ends like a table's: .csv or .parquet."""
    return url.lower().endswith(SUFFIXES)


def open_table(url: str, commit: str = "") -> TableFile:
    """Open a table by the end of its name; raises InputError for another end, a missing or an unreadable file.

    One in a repository of the hub is held to ``commit``, or else to the one that the URL means now.
    """
    if not is_table(url):
        ends = " or ".join(SUFFIXES)
        raise InputError(f"{shown(url)}: expected a table whose name ends with {ends}; unpack archives first")
    location = Location(url).pinned(commit)
    return CsvTable(location) if url.lower().endswith(".csv") else ParquetTable(location)


def _first_line(file: Any) -> bytes:
    """The first line with its end; without one where there is none. fsspec's files know no limit of a line's length."""
    line = b""
    while b"\n" not in line and len(line) < _LONGEST_LINE and (data := read_at(file, len(line), 1 << 16)):
        line += data
    return line[: line.find(b"\n") + 1] or line


def _raw_blocks(location: Location, progress: Report | None = None, start: int = 0) -> Iterator[bytes]:
    with opened(location) as file:
        size = file.seek(0, 2)
        done = start
        while data := read_at(file, done, BLOCK):
            yield data
            done += len(data)
            if progress:
                progress(done, size)


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
