"""Small files that appear whole or not at all: written aside, synced, renamed."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from subgrid.errors import SubgridError


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a path beside ``path``, sync what it wrote and rename it to ``path``.

    Raises SubgridError when the disk refuses; ``path`` is then as it was before.
    """
    aside = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        write(aside)
        handle = os.open(aside, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(aside, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as error:  # netCDF4 reports a full disk as a RuntimeError
        raise SubgridError(
            f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); nothing is lost: mend that and "
            "run the same command again"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as a JSON file, whole or not at all."""
    write_whole(path, lambda aside: aside.write_text(json.dumps(data, indent=1) + "\n"))
