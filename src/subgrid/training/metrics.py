"""Metrics of a run as JSON lines: appended and synced one by one, cut back when a run goes on from a checkpoint."""

import json
import os
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from subgrid.errors import SubgridError


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add one JSON line and sync it; NaN and infinity are written as null."""
    text = json.dumps(_finite(dict(line)), allow_nan=False) + "\n"
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SubgridError(
            f"{path}: the metrics of rows {line.get('rows')} could not be written ({error.strerror or error}); the "
            "checkpoints written before stand: make room and start the same command again"
        ) from error


def cut(path: Path, sub_epochs: int, finished: bool = False) -> list[dict[str, Any]]:
    """Keep the lines of the first sub-epochs and drop the others, with what a killed process left of a line.

    Args:
        path: the file of metrics; nothing happens where there is none.
        sub_epochs: how many sub-epochs are closed by the checkpoint that a run goes on from.
        finished: whether a last line ``finished`` may stay.

    Returns:
        the lines that were kept.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    kept = []
    for line in text.splitlines(keepends=True):
        entry = _parse(line)
        late = entry is None or entry.get("sub_epoch", 0) > sub_epochs
        if entry is None or late or (entry.get("event") == "finished" and not finished):
            break
        kept.append((line, entry))
    if (remaining := "".join(line for line, _ in kept)) != text:
        aside = path.with_name(f".{path.name}.new")
        with open(aside, "w", encoding="utf-8") as file:
            file.write(remaining)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    return [entry for _, entry in kept]


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Lines up to the first that is torn: a run may be writing, or was killed while it did; none without a file."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [entry for entry in takewhile(lambda found: found is not None, map(_parse, text.splitlines(True))) if entry]


def sub_epochs(path: Path) -> list[dict[str, Any]]:
    """The lines of closed sub-epochs."""
    return [line for line in whole_lines(path) if line.get("event") == "sub_epoch"]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line) if line.endswith("\n") else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and value - value != 0:
        return None
    return value
