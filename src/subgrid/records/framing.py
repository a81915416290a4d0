"""The TFRecord frame around a record, and its checksums.

    uint64 length | uint32 masked CRC32C of the length | bytes | uint32 masked CRC32C of the bytes      (little-endian)

A masked CRC is ((crc >> 15 | crc << 17) + 0xa282ead8) mod 2**32, so that a CRC of data that hold CRCs stays useful
(TensorFlow, tsl/lib/io/record_writer.h). Both checksums are written and both are verified.
"""

import struct
from collections.abc import Iterator

import google_crc32c
import numpy as np

from subgrid.errors import DatasetError

HEADER = 12
"""Bytes before a record's content: its length and the length's checksum."""

FOOTER = 4
"""Bytes after it: the content's checksum."""

_MASK = 0xA282EAD8


def crc32c(data: bytes | np.ndarray) -> int:
    """CRC32C (Castagnoli) of bytes or of a contiguous uint8 array."""
    return int(google_crc32c.value(data))


def extend_crc32c(crc: int, data: bytes | np.ndarray) -> int:
    """CRC32C of what ``crc`` covers followed by ``data``; start with 0."""
    return int(google_crc32c.extend(crc, data))


def masked(crc: int) -> int:
    """The masked form of a CRC32C as it stands in a file."""
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def masked_checksums(records: np.ndarray) -> np.ndarray:
    """The masked CRC32C of every row of uint8 (row, byte), uint32 (row,)."""
    crc = np.array([google_crc32c.value(record) for record in records], dtype=np.uint64)
    return (((crc >> np.uint64(15)) | (crc << np.uint64(17))) + np.uint64(_MASK)).astype(np.uint32)


def header(length: int) -> bytes:
    """The 12 bytes before a record of that length."""
    size = struct.pack("<Q", length)
    return size + struct.pack("<I", masked(crc32c(size)))


def frame(content: bytes) -> bytes:
    """One whole record."""
    return header(len(content)) + content + struct.pack("<I", masked(crc32c(content)))


def records(data: np.ndarray, where: str) -> Iterator[np.ndarray]:
    """The contents of all records of a shard's bytes, uint8 each, of whatever length; both checksums verified.

    Raises DatasetError that names the row for a bad checksum or a shard that ends inside a record.
    """
    place, row = 0, 0
    while place < data.size:
        start = place + HEADER
        head = data[place:start].tobytes()
        if len(head) < HEADER:
            raise DatasetError(f"{where}: row {row} is cut: the shard ends inside its header")
        length, checksum = struct.unpack("<QI", head)
        if masked(crc32c(head[:8])) != checksum:
            raise DatasetError(f"{where}: row {row} has a bad checksum of its length")
        end = start + length + FOOTER
        if end > data.size:
            raise DatasetError(f"{where}: row {row} is cut: the shard ends inside it")
        content = data[start : start + length]
        if masked(crc32c(content)) != int.from_bytes(data[end - FOOTER : end].tobytes(), "little"):
            raise DatasetError(f"{where}: row {row} has a bad checksum")
        yield content
        place, row = end, row + 1
