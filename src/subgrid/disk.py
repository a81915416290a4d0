"""What the kernel gives beyond reading and writing: locks that fall with their process, room, waiting for the disk."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from subgrid.errors import SettingsError

LOCK = ".lock"
"""The file in a folder that is locked by who writes into it; it stays."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


def taken(file: IO[bytes], shared: bool = False) -> bool:
    """Lock an open file for this process alone, or for it and others that share it; False while somebody else has it.

    True on a file system that has no locks, such as Lustre mounted without them: nobody can have it there.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def reserve(file: int, size: int) -> None:
    """Give an open file so many bytes of the disk, so that a full one is told now and not through a mapping.

    Where the system cannot (macOS), it only gets the length.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a folder. It is made where there is none, and goes again if nothing came.

    Raises SettingsError where another process is at work there, or nothing can be written.
    """
    made = not folder.exists()
    with _lock_of(folder) as file:
        if not taken(file) or not os.fstat(file.fileno()).st_nlink:
            raise _busy(folder)
        try:
            yield
        finally:
            if made and os.listdir(folder) == [LOCK]:
                (folder / LOCK).unlink()
                with suppress(OSError):
                    folder.rmdir()


def _lock_of(folder: Path) -> IO[bytes]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open(folder / LOCK, "ab")
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written into ({error.strerror}); choose another folder, or make room or rights there"
        ) from error


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Keep others from writing into a folder that is read, by what ``locked`` left there; nothing is written.

    Raises SettingsError where another process is at work there.
    """
    with ExitStack() as stack:
        with suppress(FileNotFoundError, NotADirectoryError):
            if not taken(stack.enter_context(open(folder / LOCK, "rb")), shared=True):
                raise _busy(folder)
        yield


def _busy(folder: Path) -> SettingsError:
    return SettingsError(f"{folder}: another process is at work in this folder; wait for it or end it")
