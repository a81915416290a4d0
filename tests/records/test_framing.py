"""The frame of a record against published checksums, a checksum computed bit by bit, and a parser of our own."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import DatasetError
from subgrid.records import framing

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed


def crc_bit_by_bit(data: bytes) -> int:
    """CRC32C as its definition says: a shift register of 32 bits, fed one bit at a time."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            wrong = (register ^ byte >> bit) & 1
            register = register >> 1 ^ (_POLYNOMIAL if wrong else 0)
    return register ^ 0xFFFFFFFF


def masked_by_rotation(crc: int) -> int:
    bits = f"{crc:032b}"
    return (int(bits[-15:] + bits[:-15], 2) + 0xA282EAD8) % 2**32


def parse(data: bytes) -> list[bytes]:
    """Contents of all records, both checksums compared with the bitwise one."""
    contents = []
    while data:
        size, size_crc = data[:8], data[8:12]
        length = int.from_bytes(size, "little")
        content, content_crc = data[12 : 12 + length], data[12 + length : 16 + length]
        assert int.from_bytes(size_crc, "little") == masked_by_rotation(crc_bit_by_bit(size))
        assert int.from_bytes(content_crc, "little") == masked_by_rotation(crc_bit_by_bit(content))
        contents.append(content)
        data = data[16 + length :]
    return contents


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, B.4, and the check value of the CRC catalogue
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksums_are_the_published_ones(data: bytes, expected: int) -> None:
    assert framing.crc32c(data) == crc_bit_by_bit(data) == expected
    assert framing.crc32c(as_array(data)) == expected


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_checksums_equal_those_computed_bit_by_bit(one: bytes, other: bytes) -> None:
    assert framing.crc32c(one) == crc_bit_by_bit(one)
    assert framing.extend_crc32c(framing.crc32c(one), other) == crc_bit_by_bit(one + other)
    assert framing.extend_crc32c(0, as_array(one)) == crc_bit_by_bit(one)


@given(st.integers(0, 2**32 - 1))
def test_the_mask_is_a_rotation_and_an_offset(crc: int) -> None:
    assert framing.masked(crc) == masked_by_rotation(crc)


def test_the_empty_record_has_the_bytes_that_tensorflow_writes() -> None:
    # A zero length has masked checksum 0x07980329, no bytes at all have the bare mask.
    assert framing.frame(b"") == bytes(8) + bytes.fromhex("29039807") + bytes.fromhex("d8ea82a2")


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_frames_are_read_by_an_independent_parser_and_by_ours(contents: list[bytes]) -> None:
    data = b"".join(framing.frame(content) for content in contents)
    assert parse(data) == contents
    assert [content.tobytes() for content in framing.records(as_array(data), "shard")] == contents
    assert all(framing.frame(content).startswith(framing.header(len(content))) for content in contents)


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4), st.data())
def test_a_flipped_bit_anywhere_is_found_in_its_row(contents: list[bytes], data: st.DataObject) -> None:
    frames = [framing.frame(content) for content in contents]
    row = data.draw(st.integers(0, len(frames) - 1))
    bit = data.draw(st.integers(0, 8 * len(frames[row]) - 1))
    damaged = bytearray(b"".join(frames))
    damaged[sum(map(len, frames[:row])) + bit // 8] ^= 1 << bit % 8
    with pytest.raises(DatasetError, match=rf"^shard\.tfrecord: row {row} has a bad checksum"):
        list(framing.records(as_array(bytes(damaged)), "shard.tfrecord"))


@given(st.binary(max_size=30), st.data())
def test_a_cut_anywhere_inside_a_record_is_found(content: bytes, data: st.DataObject) -> None:
    whole = framing.frame(b"first")
    cut = framing.frame(content)[: data.draw(st.integers(1, len(content) + 15))]
    with pytest.raises(DatasetError, match="s: row 1 is cut: the shard ends inside"):
        list(framing.records(as_array(whole + cut), "s"))


def test_a_length_larger_than_any_file_is_a_cut_record() -> None:
    with pytest.raises(DatasetError, match="row 0 is cut"):
        list(framing.records(as_array(framing.header(2**63) + bytes(100)), "s"))


def test_header_and_footer_have_the_sizes_they_say() -> None:
    assert len(framing.header(5)) == framing.HEADER == struct.calcsize("<QI")
    assert len(framing.frame(b"12345")) == framing.HEADER + 5 + framing.FOOTER
