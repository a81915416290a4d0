"""The folder of a run: names of checkpoints, pointers to them, what a killed process left behind.

    recipe.yaml  data  metrics.jsonl  latest  best  checkpoints/NAME/...

``latest`` and ``best`` are text files that hold the name of a checkpoint. A folder under ``checkpoints`` is complete as
soon as it has its name: it is written under a name that starts with a dot, synced, and renamed.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from subgrid.disk import sync
from subgrid.errors import DatasetError, SettingsError

POINTERS = ("latest", "best")
DATA = "data"
"""A file with the path of the run's first data set, a note for later commands; it is part of no digest."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_ASIDE = ".writing-"
_Read = TypeVar("_Read")


def split_name(run: str | Path) -> tuple[Path, str]:
    """``RUN@NAME`` -> the folder of the run and the name of a checkpoint, ``latest`` when there is none.

    A folder whose own name holds an ``@`` is taken as it stands. Raises SettingsError for a name that is no name.
    """
    text = os.fspath(run)
    if "@" not in text or Path(text).is_dir():
        return Path(text), "latest"
    folder, _, name = text.rpartition("@")
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{text}: {name!r} is not the name of a checkpoint; expected latest, best or one of its names"
        )
    return Path(folder), name


def find_checkpoint(run: str | Path) -> Path:
    """The folder of the checkpoint that ``RUN`` or ``RUN@NAME`` means; raises DatasetError when there is none."""
    folder, asked = split_name(run)
    name = asked
    if asked in POINTERS:
        pointed = read_pointer(folder, asked)
        if pointed is None:
            raise DatasetError(
                f"{folder}: expected a run with a file {asked!r} that names a checkpoint, found "
                f"{'none' if folder.is_dir() else 'no such folder'}; train one with: subgrid train RECIPE --data "
                f"DATASET --out {folder}"
            )
        name = pointed
    path = folder / "checkpoints" / name
    if not path.is_dir():
        if asked in POINTERS and read_pointer(folder, asked) != name:
            return find_checkpoint(run)  # a training that goes on has taken it away meanwhile
        known = ", ".join(checkpoint_names(folder)) or "none"
        raise DatasetError(f"{folder}: there is no checkpoint {name!r}; there are: {known}")
    return path


def followed(run: str | Path, read: Callable[[Path], _Read]) -> _Read:
    """What ``read`` finds in the folder of the checkpoint that ``run`` means.

    A training that goes on takes a checkpoint away once the next one stands: then the next one is read. Raises
    DatasetError when there is no checkpoint, and what ``read`` raises when one stays.
    """
    while True:
        path = find_checkpoint(run)
        try:
            return read(path)
        except DatasetError:
            if path.is_dir():
                raise


def checkpoint_names(run: Path) -> list[str]:
    """Names of the complete checkpoints of a run."""
    folder = run / "checkpoints"
    return sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)) if folder.is_dir() else []


def read_pointer(run: Path, pointer: str) -> str | None:
    """The name in the file ``latest`` or ``best``, None where there is no such file."""
    path = run / pointer
    if not path.is_file():
        return None
    name = path.read_text(encoding="utf-8", errors="replace").strip()
    if not _NAME.fullmatch(name):
        raise DatasetError(f"{path}: expected the name of a checkpoint, found {name[:80]!r}")
    return name


def write_pointer(run: Path, pointer: str, name: str) -> None:
    """Let ``latest`` or ``best`` name a checkpoint; it names the old one or the new one, never half of it."""
    write_text(run / pointer, f"{name}\n")


def write_text(path: Path, text: str) -> None:
    """Write a file aside, sync it, put it in place of the old one."""
    aside = path.with_name(f".{path.name}.new")
    with open(aside, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    sync(path.parent)


@contextmanager
def new_checkpoint(run: Path, name: str) -> Iterator[Path]:
    """A folder to write a checkpoint into; it gets its name when the block ends well, and is removed when not."""
    aside = run / "checkpoints" / f"{_ASIDE}{name}"
    place = aside.with_name(name)
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        for path in (*aside.iterdir(), aside):
            sync(path)
        os.replace(aside, place)
        sync(place.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def keep_only(run: Path, names: set[str]) -> None:
    """Remove the checkpoints that nothing points to any more, and whatever a killed process left half-written."""
    folder = run / "checkpoints"
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in names:
            # Renamed first: a folder that is half removed must not have the name of a checkpoint.
            gone = path.with_name(f".removed-{path.name.lstrip('.')}")
            with suppress(OSError):
                os.replace(path, gone)
            shutil.rmtree(gone, ignore_errors=True)
    for path in run.glob(".*.new"):
        path.unlink(missing_ok=True)
