"""What the kernel gives beyond reading and writing: locks, which fall with their process, and waiting for the disk."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from subgrid.errors import SettingsError

LOCK = ".lock"
"""The file in a folder that is locked by who writes into it; it stays."""

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


def taken(file: IO[bytes] | int) -> bool:
    """Lock an open file for this process alone, without waiting; False while another has it.

    True on a file system that has no locks, such as Lustre mounted without them: nobody can have it there.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path, work: str = "writing into") -> Iterator[None]:
    """Keep other processes out of a folder, which is made where there is none, while this one is ``work`` it.

    Raises SettingsError where another is at it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "ab") as file:
        if not taken(file):
            raise SettingsError(f"{folder}: another process is {work} this folder; wait for it or end it")
        yield
