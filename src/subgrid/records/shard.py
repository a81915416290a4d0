"""Writing one shard: space reserved first, rows put straight to their places, then synced and given its name.

Until the rename the file is called ``.NAME.partial-…`` and nobody takes it for a shard. Rows go through a shared
mapping of the file, so memory does not grow with the shard. The space is reserved before, so that a full disk is an
error here and not a fault in the mapping.
"""

import fcntl
import mmap
import os
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from subgrid.errors import SubgridError
from subgrid.records.framing import crc32c
from subgrid.records.files import sync_folder


class ShardWriter:
    """A shard of known size that is being written; a context manager that removes what was not finished."""

    def __init__(self, path: Path, rows: int, stride: int) -> None:
        self.path = path
        self.size = rows * stride
        self._partial = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex[:8]}")
        self._file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ours while we live, see `remove_partials`
        try:
            os.posix_fallocate(self._file, 0, self.size)
        except OSError as error:
            self._abandon()
            raise SubgridError(
                f"{path}: no room for a shard of {self.size} bytes ({error.strerror}); nothing is lost: free some "
                "space and run the same command again"
            ) from error
        self._map = mmap.mmap(self._file, self.size)
        self._records = np.frombuffer(self._map, dtype=f"V{stride}")

    def put(self, places: np.ndarray, records: np.ndarray) -> None:
        """Put sealed records, uint8 (rows, stride), at their places (rows,)."""
        self._records[places] = records.view(self._records.dtype)[:, 0]

    def finish(self) -> int:
        """Sync the shard, give it its name, return its CRC32C."""
        checksum = crc32c(self._records.view(np.uint8))
        self._release()
        os.fsync(self._file)
        os.close(self._file)
        self._file = -1
        os.replace(self._partial, self.path)
        sync_folder(self.path.parent)
        return checksum

    def _release(self) -> None:
        del self._records
        self._map.close()

    def _abandon(self) -> None:
        os.close(self._file)
        self._file = -1
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            self._release()
            self._abandon()


def remove_partials(path: Path) -> None:
    """Remove what an interrupted writer of that shard left behind; what a living process writes stays."""
    for left in path.parent.glob(f".{path.name}.partial-*"):
        with suppress(FileNotFoundError, BlockingIOError), open(left, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
