"""Small files that appear whole or not at all: written aside, synced, renamed. Sizes in words."""

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from subgrid.disk import sync
from subgrid.errors import SettingsError, SubgridError

PARTIAL = ".partial-"
"""What the name of a file has in it, after a dot and its own, while it is written: ``.NAME.partial-…``."""

_FULL = 1 << 20
"""Bytes left on a disk that is as good as full."""

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a path beside ``path``, sync what it wrote and rename it to ``path``.

    Raises SubgridError when the disk refuses; ``path`` is then as it was before.
    """
    aside = path.with_name(f".{path.name}{PARTIAL}{uuid.uuid4().hex[:8]}")
    try:
        write(aside)
        sync(aside)
        os.replace(aside, path)
        sync(path.parent)
    except (OSError, RuntimeError) as error:
        raise SubgridError(
            f"{path}: cannot be written ({_reason(error, path.parent)}); nothing is lost: mend that and run the same "
            "command again"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _reason(error: Exception, folder: Path) -> str:
    """Why a file was not written; netCDF's libraries call a full disk an HDF error, or permission denied."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _FULL:
            return os.strerror(errno.ENOSPC)
    return getattr(error, "strerror", None) or str(error)


def as_json(data: Any) -> str:
    """Plain data as the text of a JSON file."""
    return json.dumps(data, indent=1) + "\n"


def write_json(path: Path, data: Any) -> None:
    """Write plain data as a JSON file, whole or not at all."""
    write_whole(path, lambda aside: aside.write_text(as_json(data)))


def parse_size(text: str | int) -> int:
    """Bytes of ``64MB``, ``1.5 GB``, ``32MiB`` or a plain number; raises SettingsError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]I?B|)", str(text).strip().upper())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size < 1:
        raise SettingsError(f"expected a size such as 64MB, 1GB or 32MiB, found {text!r}")
    return size
