"""netCDF4, one thread at a time: the library below is not safe for threads, and netCDF4 lets others run meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Literal

_alone = RLock()


@contextmanager
def opened(path: str | Path, mode: Literal["r", "w"] = "r", **options: Any) -> Iterator[Any]:
    """A ``netCDF4.Dataset``, no value masked, closed behind the block; other threads wait outside.

    Raises OSError or RuntimeError, as netCDF4 does, for what is no netCDF file or a damaged one.
    """
    import netCDF4

    with _alone, netCDF4.Dataset(path, mode, **options) as file:
        file.set_auto_mask(False)
        yield file
