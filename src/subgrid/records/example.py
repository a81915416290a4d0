"""One row <-> bytes: a ``tf.train.Example`` whose every instance has the same length.

All features are bytes features with little-endian numbers, so nothing in a record has a variable length and a shard is
a strided array: row i starts at byte i * stride. Three ``pad`` features bring the record to a multiple of 64 bytes and
the first two arrays to 64-byte boundaries; a record without them has an odd stride, which torch refuses to view.

Wire format (protocol buffers): Example{1: Features{1: repeated entry{1: key, 2: Feature{1: BytesList{1: bytes}}}}}.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from subgrid.errors import DatasetError
from subgrid.records.framing import FOOTER, HEADER, header, masked_checksums

ALIGNMENT = 64
_LENGTH_DELIMITED = 2
_PAD = "pad"


@dataclass(frozen=True)
class Feature:
    """One named array of a row: ``width`` numbers of a little-endian dtype such as ``<f4``."""

    name: str
    dtype: str
    width: int

    @property
    def bytes(self) -> int:
        """Bytes that the array takes in a record."""
        return int(np.dtype(self.dtype).itemsize * self.width)


@dataclass(frozen=True)
class RecordLayout:
    """Where the arrays of a row stand inside its record; follows from the features alone.

    Attributes:
        features: arrays of a row; those named in ``aligned`` come last, each behind a pad.
        aligned: names of the (at most two) large arrays that must start on a 64-byte boundary.
    """

    features: tuple[Feature, ...]
    aligned: tuple[str, ...]

    @cached_property
    def _template(self) -> tuple[bytes, dict[str, int]]:
        """One whole record of zeros without its last checksum, and the offset of every array in it."""
        large = [feature for feature in self.features if feature.name in self.aligned]
        body = b"".join(_entry(one.name, bytes(one.bytes)) for one in self.features if one not in large)
        content = body
        for position, feature in enumerate(large):
            content = _aligned(content, f"{_PAD}_{position}", feature, self._outer_width)
        content = _stretched(content, f"{_PAD}_{len(large)}", self._outer_width)
        record = bytes([1 << 3 | _LENGTH_DELIMITED]) + _varint(len(content)) + content
        whole = header(len(record)) + record
        return whole, _offsets(whole[HEADER:], {feature.name for feature in self.features})

    @cached_property
    def _outer_width(self) -> int:
        """Bytes before the first entry: the record's header, the tag and length of the Features message."""
        most = sum(feature.bytes + 64 for feature in self.features) + 3 * (ALIGNMENT + 32)
        least = sum(feature.bytes for feature in self.features)
        if len(_varint(most)) != len(_varint(least)):  # near a power of 128 the width of the length would be in doubt
            raise DatasetError(f"a row of {least} bytes has no fixed record layout; add or drop a variable")
        return HEADER + 1 + len(_varint(least))

    @property
    def template(self) -> bytes:
        """A record of zeros, framed, without its last four bytes (the content's checksum)."""
        return self._template[0]

    @property
    def stride(self) -> int:
        """Bytes from one record to the next, a multiple of 64."""
        return len(self.template) + FOOTER

    @property
    def offsets(self) -> dict[str, int]:
        """Offset of each array from the start of its record (frame included)."""
        return self._template[1]

    def blank(self, rows: int) -> np.ndarray:
        """``rows`` records of zeros without valid checksums, uint8 (rows, stride)."""
        records = np.zeros((rows, self.stride), dtype=np.uint8)
        records[:, : self.stride - FOOTER] = np.frombuffer(self.template, dtype=np.uint8)
        return records

    def views(self, records: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of records, by name, without a copy: (rows, width), strided over uint8 (rows, stride)."""
        rows = records.shape[0]
        return {
            feature.name: np.ndarray(
                (rows, feature.width),
                np.dtype(feature.dtype),
                buffer=records.data if records.flags.c_contiguous else records,
                offset=self.offsets[feature.name],
                strides=(self.stride, np.dtype(feature.dtype).itemsize),
            )
            for feature in self.features
        }

    def seal(self, records: np.ndarray) -> None:
        """Write the checksum of every record's content into its last four bytes, in place."""
        end = self.stride - FOOTER
        checksums = records[:, end:].view("<u4")
        checksums[:, 0] = masked_checksums(records[:, HEADER:end])

    def bad_rows(self, records: np.ndarray) -> list[int]:
        """Rows whose frame or checksum is not what this layout demands."""
        end = self.stride - FOOTER
        frame = np.frombuffer(self.template[:HEADER], dtype=np.uint8)
        framed = (records[:, :HEADER] == frame).all(axis=1)
        stored = np.ascontiguousarray(records[:, end:]).view("<u4")[:, 0]
        return np.flatnonzero(~framed | (masked_checksums(records[:, HEADER:end]) != stored)).tolist()

    def check(self, record: np.ndarray, where: str) -> None:
        """Compare the place of every array in a real record, parsed, with this layout.

        Raises DatasetError when they differ: the manifest does not belong to the shard.
        """
        try:
            found = _offsets(record[HEADER : self.stride - FOOTER].tobytes(), set(self.offsets))
        except (LookupError, ValueError) as error:
            raise DatasetError(f"{where}: the first record is not a tf.train.Example of the manifest") from error
        if found != self.offsets:
            raise DatasetError(
                f"{where}: the manifest places the arrays at {self.offsets}, the first record has them at {found}"
            )


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | _LENGTH_DELIMITED]) + _varint(len(content)) + content


def _entry(name: str, value: bytes) -> bytes:
    """One entry of the map of features."""
    feature = _delimited(1, _delimited(1, value))
    return _delimited(1, _delimited(1, name.encode()) + _delimited(2, feature))


def _aligned(content: bytes, pad: str, feature: Feature, outer: int) -> bytes:
    entry = _entry(feature.name, bytes(feature.bytes))
    lead = len(entry) - feature.bytes  # the value stands at the end of its entry
    for size in range(ALIGNMENT):
        padded = content + _entry(pad, bytes(size))
        if (outer + len(padded) + lead) % ALIGNMENT == 0:
            return padded + entry
    raise AssertionError("64 sizes of a pad reach every residue")


def _stretched(content: bytes, pad: str, outer: int) -> bytes:
    for size in range(ALIGNMENT):
        padded = content + _entry(pad, bytes(size))
        if (outer + len(padded) + FOOTER) % ALIGNMENT == 0:
            return padded
    raise AssertionError("64 sizes of a pad reach every residue")


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _fields(data: bytes, start: int, end: int) -> dict[int, list[tuple[int, int]]]:
    """Spans of the length-delimited fields of one message, by field number."""
    found: dict[int, list[tuple[int, int]]] = {}
    place = start
    while place < end:
        tag, place = _read_varint(data, place)
        if tag & 7 != _LENGTH_DELIMITED:
            raise ValueError(f"unexpected wire type {tag & 7}")
        length, place = _read_varint(data, place)
        found.setdefault(tag >> 3, []).append((place, place + length))
        place += length
    if place != end:
        raise ValueError("a message ends inside a field")
    return found


def _offsets(record: bytes, names: set[str]) -> dict[str, int]:
    """Offsets, frame included, of the values of named bytes features in the content of a record."""
    offsets = {}
    for features in _fields(record, 0, len(record))[1]:
        for entry in _fields(record, *features)[1]:
            parts = _fields(record, *entry)
            key = record[slice(*parts[1][0])].decode()
            if key in names:
                value = _fields(record, *_fields(record, *parts[2][0])[1][0])[1][0]
                offsets[key] = HEADER + value[0]
    return offsets


def pack(layout: RecordLayout, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows of named arrays (rows, width) as sealed records, uint8 (rows, stride)."""
    rows = len(next(iter(arrays.values())))
    records = layout.blank(rows)
    for name, view in layout.views(records).items():
        view[...] = np.asarray(arrays[name]).reshape(rows, -1)
    layout.seal(records)
    return records
