"""A bounded folder of files fetched from elsewhere, shared by any number of processes.

    CACHE/DIGEST/NAME            a whole file: verified before it had this name
    CACHE/DIGEST/.NAME.partial   one that is being fetched; its full size is reserved

Locks are those of the kernel (flock), so they fall with their process. Whoever reads a file holds a shared lock on it,
through its mapping as long as that lives; whoever fetches one holds an exclusive lock on the partial file, and others
wait for it instead of fetching it too. Under the lock of the whole cache room is made, by removing the files whose last
use is longest ago and that nobody holds, and a fetched file gets its name. So the cache never takes more than its
limit, and nothing in use goes away.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from subgrid.disk import reserve
from subgrid.errors import SubgridError

_LOCK = ".lock"
_PARTIAL = ".partial"
_POLL = 0.1  # seconds between two looks for room


class NoRoomError(SubgridError):
    """All of a cache is in use."""


@dataclass(frozen=True)
class Cache:
    """The cache in one folder.

    Attributes:
        folder: made when first needed.
        limit: bytes of all files together.
        wait: seconds to wait for others to let go of files before there is said to be no room.
    """

    folder: Path
    limit: int
    wait: float = 60.0

    def open(self, key: str, name: str, size: int, fetch: Callable[[BinaryIO], None]) -> tuple[BinaryIO, bool]:
        """The file ``name`` of the data set ``key``, open and held, and whether it was fetched just now.

        Args:
            key: the data set's digest.
            name: plain file name.
            size: bytes.
            fetch: writes them into the open file, and raises when they are wrong.

        Raises:
            NoRoomError: everything is in use, and stays so.
            SubgridError: the disk refuses.
        """
        path = self.folder / key / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            while True:
                if found := _held(path):
                    return found, False
                with self._partial(path, size) as partial:
                    if partial is None:
                        continue  # another process has just fetched it
                    fetch(partial)
                    partial.flush()
                    with self._locked():  # whoever makes room counts each file, under one name or the other
                        os.replace(_partial_of(path), path)
                    fcntl.flock(partial, fcntl.LOCK_SH)
                    return os.fdopen(os.dup(partial.fileno()), "rb"), True
        except OSError as error:
            raise SubgridError(
                f"{path}: cannot be written ({error.strerror or error}); make room, or name another folder with "
                "SUBGRID_CACHE or a smaller size with SUBGRID_CACHE_SIZE"
            ) from error

    def discard(self, key: str, name: str) -> None:
        """Remove a file that proved damaged."""
        (self.folder / key / name).unlink(missing_ok=True)

    @contextmanager
    def _partial(self, path: Path, size: int) -> Iterator[BinaryIO | None]:
        """The file to fetch into, held, its room reserved; None when it was another's and is finished."""
        aside, deadline = _partial_of(path), time.monotonic() + self.wait
        while (file := self._reserve(path, aside, size)) is None:
            if _wait_for(aside) or path.exists():
                yield None
                return
            if time.monotonic() > deadline:
                raise NoRoomError(
                    f"{self.folder}: no room for {path.name} ({size} bytes): all of its {self.limit} bytes are in use; "
                    "raise SUBGRID_CACHE_SIZE, lower training.window, or let fewer processes share it"
                )
            time.sleep(_POLL)
        try:
            yield file
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        finally:
            file.close()

    def _reserve(self, path: Path, aside: Path, size: int) -> BinaryIO | None:
        """A partial file of full size; None where another process has it or there is no room."""
        with self._locked():
            if path.exists() or not self._make_room(size, aside):
                return None
            file = open(aside, "w+b")  # noqa: SIM115 - the caller holds it
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                reserve(file.fileno(), size)
            except BaseException:
                file.close()
                aside.unlink(missing_ok=True)
                raise
            return file

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.folder / _LOCK, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_room(self, size: int, aside: Path) -> bool:
        """Remove files until ``size`` more bytes fit; False when they cannot, or somebody else fetches this one."""
        total, finished = 0, []
        for path in self.folder.glob("*/*"):
            with suppress(FileNotFoundError):
                state = path.stat()
                if path.name.endswith(_PARTIAL):
                    if not _removed(path):  # one whose process was killed goes
                        if path == aside:
                            return False
                        total += state.st_size
                elif not path.name.startswith("."):
                    finished.append((state.st_mtime_ns, state.st_size, path))
        total += sum(entry[1] for entry in finished)
        for _, bytes_, path in sorted(finished):
            if total + size <= self.limit:
                break
            if _removed(path):
                total -= bytes_
        return total + size <= self.limit


def _partial_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{_PARTIAL}")


def _held(path: Path) -> BinaryIO | None:
    """A finished file, open, with a shared lock and marked as used now; None when there is none."""
    while True:
        try:
            file = open(path, "rb")  # noqa: SIM115 - the caller holds it
        except FileNotFoundError:
            return None
        fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            os.utime(file.fileno())
            return file
        file.close()  # removed between opening and locking


def _removed(path: Path) -> bool:
    """Remove a file that nobody holds; False when somebody does."""
    try:
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            return True
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False


def _wait_for(aside: Path) -> bool:
    """Wait until whoever fetches into ``aside`` is done; False when nobody does."""
    try:
        with open(aside, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return True
    except FileNotFoundError:
        return False
