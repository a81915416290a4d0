"""Shards of a data set opened for reading: verified as a whole once, then mapped into memory."""

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np

from subgrid.errors import DatasetError
from subgrid.records.example import RecordLayout
from subgrid.records.framing import crc32c
from subgrid.records.ledger import Shard

MEND = "make it anew (a shard of a data set that was built here: subgrid verify DATASET --repair)"
"""What to do about a damaged shard, where nothing better is known."""


def open_shard(path: Path, shard: Shard, layout: RecordLayout, verified: bool = False) -> np.ndarray:
    """Map a shard and check it: size, checksum of the whole, place of the arrays in its first record.

    The checksum is left out where the shard was ``verified`` before.

    Returns uint8 (rows, stride); private to the process, so writing to it changes no file.

    Raises:
        DatasetError: the shard is missing, of another size, or its bytes are not those of the manifest (then the
            first bad row is named).
    """
    try:
        with open(path, "rb") as file:
            return map_shard(file, str(path), shard, layout, verified)
    except FileNotFoundError:
        raise DatasetError(f"{path}: the shard is missing; {MEND}") from None
    except IsADirectoryError:
        raise DatasetError(f"{path}: expected {shard.bytes} bytes, found a folder; {MEND}") from None


def map_shard(file: BinaryIO, where: str, shard: Shard, layout: RecordLayout, verified: bool = False) -> np.ndarray:
    """The same of an open file, which may be closed afterwards; ``where`` names it in messages."""
    size = os.fstat(file.fileno()).st_size
    if size != shard.bytes or size != shard.rows * layout.stride:
        raise DatasetError(
            f"{where}: expected {shard.bytes} bytes ({shard.rows} rows of {layout.stride}), found {size}; "
            f"the shard was cut or belongs to another data set; {MEND}"
        )
    records = np.memmap(file, dtype=np.uint8, mode="c", shape=(shard.rows, layout.stride))
    if not verified and crc32c(records.reshape(-1)) != shard.crc32c:
        bad = layout.bad_rows(records)
        what = f"row {bad[0]} is damaged ({len(bad)} in all)" if bad else "its rows are whole, but not those written"
        raise DatasetError(f"{where}: the checksum is not the manifest's: {what}; {MEND}")
    layout.check(records[0], where)
    return records


class Shards:
    """The shards of one split, each opened when first needed; safe to use from several threads."""

    def __init__(self, folder: Path, shards: Sequence[Shard], layout: RecordLayout) -> None:
        self.folder, self.shards, self.layout = folder, tuple(shards), layout
        self._open: dict[int, np.ndarray] = {}
        self._verified = bytearray(len(self.shards))
        self._lock = Lock()

    def __getitem__(self, index: int) -> np.ndarray:
        """Records of a shard, uint8 (rows, stride)."""
        found = self._open.get(index)
        if found is None:
            with self._lock:
                found = self._open.get(index)
                if found is None:
                    found = self._open[index] = self.once(index)
        return found

    def once(self, index: int) -> np.ndarray:
        """The same, not kept open here: for going through all shards, so that nothing adds up on the way."""
        shard = self.shards[index]
        records = open_shard(self.folder / shard.name, shard, self.layout, bool(self._verified[index]))
        self._verified[index] = True
        return records

    def expect(self, now: Sequence[int], coming: Sequence[int] = ()) -> None:
        """Be told which shards are read now and which after them; nothing to do where all are at hand."""

    def ahead(self, coming: Sequence[int]) -> None:
        """Be told that shards will be read soon, one after the other; nothing to do where all are at hand."""

    def rest(self) -> None:
        """Be told that nothing will be read for a while; nothing to do where all are at hand."""

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of each shard."""
        return tuple(shard.rows for shard in self.shards)
