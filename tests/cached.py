"""What a cache holds, for the tests of it and of those who read through it."""

import fcntl
from pathlib import Path


def taken(folder: Path) -> int:
    """Bytes of all files of the cache, at a moment at which none is made, named or removed."""
    with open(folder / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return sum(path.stat().st_size for path in folder.glob("*/*"))
