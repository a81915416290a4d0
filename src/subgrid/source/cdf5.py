"""The classic netCDF layout ("CDF-1", "CDF-2", "CDF-5"), read without a library: a header, then plain arrays.

ClimSim's files are CDF-5: a header of some 2 kB names every variable with its place in the file, big-endian. Reading
header and buffer directly is several times faster than a general library, and it can do what libraries do not: compare
the size that the header implies with the size of the file. A file that was cut short opens elsewhere without a word
and reads as zeros.

Format: NetCDF Classic and 64-bit Data format specifications (Unidata; CDF-5 from PnetCDF).
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from subgrid.errors import InputError

_WIDTHS = {1: (4, 4), 2: (4, 8), 5: (8, 8)}  # version -> bytes of a count, bytes of a file offset
_TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8", 7: "u1", 8: ">u2", 9: ">u4", 10: ">i8", 11: ">u8"}
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 0x0A, 0x0B, 0x0C
_PROBE = 16_384  # bytes: several times the header of any step file


@dataclass(frozen=True)
class Entry:
    """Where one variable stands in a file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int

    @property
    def end(self) -> int:
        """The first byte after the variable."""
        return self.begin + self.dtype.itemsize * prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What the header of a classic file says.

    Attributes:
        version: 1, 2 or 5.
        variables: place of each variable by name.
        length: bytes of the header itself.
        size: bytes that a whole file has (up to three bytes of padding may follow).
    """

    version: int
    variables: dict[str, Entry]
    length: int
    size: int


class UnsupportedError(Exception):
    """A file that another reader must open: not a classic netCDF, or one with a record dimension."""


class _Cursor:
    """Reads the header's items one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 4
        self.version = data[3] if data[:3] == b"CDF" and len(data) > 3 else 0
        if self.version not in _WIDTHS:
            raise UnsupportedError
        self.count_width, self.offset_width = _WIDTHS[self.version]

    def number(self, width: int) -> int:
        end = self.place + width
        if end > len(self.data):
            raise InputError("the file ends inside its header")
        value = int.from_bytes(self.data[self.place : end], "big")
        self.place = end
        return value

    def count(self) -> int:
        return self.number(self.count_width)

    def name(self) -> str:
        length = self.count()
        text = self.data[self.place : self.place + length].decode("utf-8", "replace")
        self.skip(length)
        return text

    def skip(self, length: int) -> None:
        self.place += length + -length % 4
        if self.place > len(self.data):
            raise InputError("the file ends inside its header")

    def list_length(self, tag: int) -> int:
        found, length = self.number(4), self.count()
        if found not in (0, tag):
            raise InputError(f"the header is damaged: expected list {tag:#x} or none, found {found:#x}")
        return length if found else 0

    def skip_attributes(self) -> None:
        for _ in range(self.list_length(_ATTRIBUTES)):
            self.name()
            dtype = self.dtype()
            self.skip(dtype.itemsize * self.count())

    def dtype(self) -> np.dtype:
        code = self.number(4)
        if code not in _TYPES:
            raise InputError(f"the header is damaged: unknown type {code}")
        return np.dtype(_TYPES[code])


def parse_header(data: bytes) -> Header:
    """Parse the beginning of a file (the whole header at least).

    Raises:
        UnsupportedError: not a classic netCDF file, or one with a record dimension: ask netCDF4.
        InputError: the header is cut or damaged.
    """
    cursor = _Cursor(data)
    cursor.count()  # number of records
    lengths = []
    for _ in range(cursor.list_length(_DIMENSIONS)):
        cursor.name()
        lengths.append(cursor.count())
    if 0 in lengths:
        raise UnsupportedError
    cursor.skip_attributes()
    variables = {}
    for _ in range(cursor.list_length(_VARIABLES)):
        name = cursor.name()
        dimensions = [cursor.count() for _ in range(cursor.count())]
        if any(dimension >= len(lengths) for dimension in dimensions):
            raise InputError(f"the header is damaged: {name} has a dimension that is not there")
        cursor.skip_attributes()
        dtype = cursor.dtype()
        cursor.count()  # size in bytes: follows from shape and type
        variables[name] = Entry(dtype, tuple(lengths[one] for one in dimensions), cursor.number(cursor.offset_width))
    size = max((entry.end for entry in variables.values()), default=cursor.place)
    return Header(cursor.version, variables, cursor.place, size)


def header_of(path: Path) -> Header | None:
    """The header of a file on this disk by its first bytes; None where it has none of ours or is damaged."""
    try:
        with open(path, "rb") as file:
            return parse_header(file.read(_PROBE))
    except (OSError, UnsupportedError, InputError):
        return None


class HeaderReader:
    """Parses headers, and a header equal to the last one not again (all files of a run share theirs).

    Only the two words that hold date and second differ between steps, and they stand behind the header.
    """

    def __init__(self) -> None:
        self._last: tuple[bytes, Header] | None = None

    def read(self, data: np.ndarray) -> Header:
        """The header of a file's bytes, uint8 (size,); checked against the size of the file.

        Raises UnsupportedError as ``parse_header`` does, and InputError for a file of the wrong size.
        """
        if self._last is not None:
            known, header = self._last
            if data[: header.length].tobytes() == known:
                return _sized(header, data.size)
        header = _parse(data)
        self._last = (data[: header.length].tobytes(), header)
        return _sized(header, data.size)


def _parse(data: np.ndarray) -> Header:
    try:
        return parse_header(data[:_PROBE].tobytes())
    except InputError:
        if data.size <= _PROBE:
            raise
        return parse_header(data.tobytes())  # longer than ClimSim's: some tools add to a history without end


def _sized(header: Header, size: int) -> Header:
    if not header.size <= size < header.size + 4:
        state = "cut short" if size < header.size else "too long"
        raise InputError(f"the file is {state}: its header implies {header.size} bytes, it has {size}")
    return header


def view(data: np.ndarray, entry: Entry) -> np.ndarray:
    """One variable of a file's bytes as an array in the file's byte order, without a copy."""
    return np.ndarray(entry.shape, entry.dtype, buffer=data, offset=entry.begin)
