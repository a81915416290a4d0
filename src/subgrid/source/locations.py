"""A folder of raw files, local or at any fsspec URL (``gs://``, ``s3://``, ``hf://``, ``https://``).

Endpoints, anonymous access, requester-pays and credentials are fsspec's own configuration (``~/.config/fsspec``, or
variables such as ``FSSPEC_S3_ENDPOINT_URL``); what a URL says beside the place is never shown.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import InputError, MissingExtraError
from subgrid.source.retries import cause_of, reason, retried, transient, within
from subgrid.source.urls import is_remote as is_remote
from subgrid.source.urls import shown as shown
from subgrid.source.urls import without_secrets

GRID_ENDING = "_grid-info.nc"
"""How the name of the grid file ends that lies beside raw steps."""

SILENCE = 300.0
"""Seconds after which a remote file that is not there counts as failed: 96 MB, a high-resolution file, at 0.3 MB/s."""

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3", "hf": "hub"}


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it.

    Raises MissingExtraError for a missing library, InputError for a URL that fsspec does not know or whose server
    cannot be reached: some file systems (ftp, sftp) connect as soon as they are made.
    """
    from fsspec.core import url_to_fs

    try:
        return retried(lambda: url_to_fs(url))
    except ImportError as error:
        scheme = url.split("://")[0]
        extra = _EXTRAS.get(scheme)
        hint = f"pip install 'subgrid[{extra}]'" if extra else "install the file system that fsspec names"
        raise MissingExtraError(f"{shown(url)}: {scheme}:// needs an optional library; {hint}") from error
    except ValueError as error:
        raise InputError(f"{shown(url)}: not a location that fsspec knows ({without_secrets(str(error))})") from error
    except Exception as error:
        raise InputError(
            f"{shown(url)}: cannot be reached ({reason(error)}); see to it that it can, and run the same command again"
        ) from error


def there_is(system: Any, path: str, refusals: bool = False) -> bool:
    """Whether a file system has a file or folder; unlike its ``exists``, an error is no answer, and raised.

    A web server that refuses to tell (403) counts as having none, as some say so of every file that is not there; with
    ``refusals`` that is raised too.
    """
    try:
        system.info(path)
    except FileNotFoundError as error:
        if transient(error) or (refusals and cause_of(error) is not error):
            raise
        return False
    return True


@dataclass(frozen=True)
class Location:
    """A folder to read from. ``names`` are paths relative to it, with forward slashes."""

    url: str

    @property
    def remote(self) -> bool:
        """Whether a file system other than the local one is asked."""
        return is_remote(self.url)

    @property
    def shown(self) -> str:
        """How it is called in messages and in files: without what may be secret."""
        return shown(self.url)

    def names(self) -> list[str]:
        """All files below the folder, sorted, links to folders followed; raises InputError when it is not there."""
        system, path = file_system(self.url)
        start = path.rstrip("/") + "/"
        if not self.remote and os.path.isfile(path):
            raise InputError(f"{self.shown}: is a file; expected a folder of raw steps, a data set, .csv or .parquet")
        try:
            there = retried(lambda: there_is(system, path, refusals=True))
            found = retried(lambda: system.find(path) if self.remote else [*_files_below(path)]) if there else []
        except Exception as error:
            raise InputError(f"{self.shown}: cannot be listed ({reason(error)})") from error
        if not there:
            raise InputError(f"{self.shown}: no such folder; expected raw steps laid out like train/0001-02/*.mli.*.nc")
        return sorted(name.removeprefix(start) for name in found)

    def read(self, name: str, memory: np.ndarray | None = None) -> np.ndarray:
        """The bytes of one file, uint8 (size,); raises FileNotFoundError when it is absent.

        ``memory``, uint8, is used where it is large enough: reading into the same place again costs half as much.
        """
        if not self.remote:
            with open(self.local(name), "rb") as file:  # buffered: a bare file may give less than was asked for
                size = os.fstat(file.fileno()).st_size
                if memory is None or memory.size < size:
                    memory = np.empty(size, dtype=np.uint8)
                return memory[: file.readinto(memory[:size].data)]
        system, path = file_system(self.url)
        try:
            content = retried(lambda: within(SILENCE, system, "cat_file", f"{path.rstrip('/')}/{name}"))
        except FileNotFoundError:
            raise
        except Exception as error:
            why = "no answer in time" if isinstance(error, TimeoutError) else reason(error)
            raise InputError(
                f"{self.label(name)}: cannot be read ({why}); nothing is lost: run the same command again"
            ) from error
        return np.frombuffer(content, dtype=np.uint8)

    def exists(self, name: str) -> bool:
        """Whether there is such a file; costs no listing."""
        if not self.remote:
            return self.local(name).exists()
        system, path = file_system(self.url)
        try:
            return retried(lambda: there_is(system, f"{path.rstrip('/')}/{name}"))
        except Exception as error:
            raise InputError(f"{self.label(name)}: cannot be looked up ({reason(error)})") from error

    def open_file(self) -> Any:
        """The location itself, where it is one file, opened for reading bytes."""
        if not self.remote:
            return open(self.local(""), "rb")
        system, path = file_system(self.url)
        return system.open(path, "rb")

    def absolute(self) -> "Location":
        """The same for a process in another working folder."""
        return self if self.remote else Location(str(self.local("").resolve()))

    def local(self, name: str) -> Path:
        """The path of a file of a local folder."""
        return Path(self.url.removeprefix("file://")).expanduser() / name

    def label(self, name: str) -> str:
        """How a file is called in messages."""
        return f"{self.shown.rstrip('/')}/{name}"


def _files_below(folder: str, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Paths of all files below a local folder; links are followed, but for one that leads back to a folder above."""
    here = os.path.realpath(folder)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files_below(entry.path, above | {here})
            else:
                yield entry.path
