"""Local room for files on their way elsewhere: a folder of this process, which a killed process leaves behind.

Every process holds a lock on its folder as long as it lives; folders that nobody holds are swept.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock

from subgrid.errors import SubgridError

_PREFIX = "subgrid-scratch-"
_held: dict[tuple[Path, int], tuple[Path, int]] = {}
_making = Lock()


def own_folder(parent: Path) -> Path:
    """The folder of this process below ``parent``, made when first asked for; those of ended ones go before."""
    key = parent.resolve(), os.getpid()
    with _making:  # the threads of a worker share one
        while key not in _held or not _held[key][0].is_dir():
            parent.mkdir(parents=True, exist_ok=True)
            sweep(parent)
            # Another process may sweep it away before it is locked: then there is no such folder, or soon none.
            with suppress(FileNotFoundError):
                _held[key] = _made(parent)
        return _held[key][0]


def _made(parent: Path) -> tuple[Path, int]:
    """A new folder and an open handle that locks it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    handle = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some file systems have no locks: there, nothing is swept either
        fcntl.flock(handle, fcntl.LOCK_EX)
    return folder, handle


def refuse_small(
    parent: Path,
    needed: int,
    what: str = "shards on their way to a URL",
    instead: str = "another folder with --scratch, or take fewer workers or a smaller --span",
) -> None:
    """Raise SubgridError, with numbers, where fewer than ``needed`` bytes are free for files in ``parent``.

    ``what`` needs them, ``instead`` is what to name, for the message.
    What other processes will take of the same disk meanwhile is not known.
    """
    existing = next(folder for folder in (parent, *parent.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise SubgridError(
            f"{parent}: {what} need {needed:,} bytes of scratch space, {free:,} are free; name {instead}"
        )


def sweep(parent: Path) -> None:
    """Remove the folders below ``parent`` whose processes have ended."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


@atexit.register
def _leave() -> None:
    for (_, process), (folder, _) in _held.items():
        if process == os.getpid():
            shutil.rmtree(folder, ignore_errors=True)
