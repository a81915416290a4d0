"""Writing one shard: rows are put straight to their places, then the shard is synced and given its name.

Until the rename the file is called ``.NAME.partial-…`` and nobody takes it for a shard. A shard of up to 256 MB is
filled in memory that is used again for the next one, and written in one go. A larger one is filled through a shared
mapping of its file, which costs three times the time and no memory; its space is reserved before, so that a full disk
is an error here and not a fault in the mapping.
"""

import fcntl
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from subgrid.disk import reserve, sync
from subgrid.errors import SubgridError
from subgrid.records.files import PARTIAL
from subgrid.records.framing import crc32c

IN_MEMORY = 256_000_000
"""Bytes of the largest shard that is filled in memory."""

_CHUNK = 1 << 20
_KEPT = 2  # one shard is filled while the one before it is synced
_free: list[np.ndarray] = []


def _memory(size: int) -> np.ndarray:
    """Bytes to fill, uint8 (size,), of an earlier shard where they are enough: fresh pages are what costs time."""
    with suppress(IndexError):
        buffer = _free.pop()
        if size <= buffer.size:
            return buffer
    return np.empty(size, dtype=np.uint8)


class ShardWriter:
    """A shard of known size that is being written; a context manager that removes what was not finished.

    ``mapped`` says whether it is filled through a mapping of its file; by default where it is large.
    """

    def __init__(self, path: Path, rows: int, stride: int, mapped: bool | None = None) -> None:
        self.path = path
        self.size = rows * stride
        mapped = self.size > IN_MEMORY if mapped is None else mapped
        self._partial = path.with_name(f".{path.name}{PARTIAL}{uuid.uuid4().hex[:8]}")
        self._file = -1
        self._map: mmap.mmap | None = None
        self._bytes: np.ndarray | None = None
        with self._room():
            self._file = _locked_file(self._partial)
            if mapped:
                reserve(self._file, self.size)
        if mapped:
            self._map = mmap.mmap(self._file, self.size)
            self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        else:
            self._bytes = _memory(self.size)
        self._records: np.ndarray | None = self._bytes[: self.size].view(f"V{stride}")

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Turn a refusing disk into an error that says what to do, and remove the shard."""
        try:
            yield
        except OSError as error:
            self.abandon()
            raise SubgridError(
                f"{self.path}: a shard of {self.size} bytes cannot be written ({error.strerror}); what is finished is "
                "kept: make room and run the same command again"
            ) from error

    def put(self, places: np.ndarray, records: np.ndarray) -> None:
        """Put sealed records, uint8 (rows, stride), at their places (rows,)."""
        assert self._records is not None
        self._records[places] = records.view(self._records.dtype)[:, 0]

    def finish(self) -> int:
        """Write and sync the shard, give it its name, return its CRC32C.

        Raises SubgridError when the disk is full; nothing of the shard stays.
        """
        assert self._bytes is not None
        content = self._bytes[: self.size]
        checksum = crc32c(content)
        with self._room():
            if self._map is None:
                for start in range(0, self.size, _CHUNK):
                    _write(self._file, content[start : start + _CHUNK], start)
            del content
            self._release()
            os.fsync(self._file)
            os.replace(self._partial, self.path)
            sync(self.path.parent)
        os.close(self._file)
        self._file = -1
        return checksum

    def _release(self) -> None:
        """Let go of the memory or the mapping."""
        buffer, self._bytes, self._records = self._bytes, None, None
        if self._map is not None:
            del buffer
            with suppress(BufferError):  # an interrupted `finish` still looks at it: it goes with the traceback
                self._map.close()
        elif buffer is not None and len(_free) < _KEPT:
            _free.append(buffer)

    def abandon(self) -> None:
        """Remove what was written; nothing happens to a shard that is finished."""
        if self._file >= 0:
            self._release()
            os.close(self._file)
            self._file = -1
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()


def _locked_file(path: Path) -> int:
    """A new file, ours while we live, see ``remove_partials``; some file systems have no locks."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)  # swept by another builder before it was locked


def _write(file: int, data: np.ndarray, place: int) -> None:
    view = data.data
    while view:
        written = os.pwrite(file, view, place)
        view, place = view[written:], place + written


def remove_partials(path: Path) -> None:
    """Remove what an interrupted writer of that shard left behind; what a living process writes stays."""
    for left in path.parent.glob(f".{path.name}{PARTIAL}*"):
        with suppress(OSError), open(left, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
