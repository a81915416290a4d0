"""A folder of raw files, local or at any fsspec URL (``gs://``, ``s3://``, ``hf://``, ``https://``).

Endpoints, anonymous access, requester-pays and credentials are fsspec's own configuration (``~/.config/fsspec``, or
variables such as ``FSSPEC_S3_ENDPOINT_URL``); what a URL says beside the place is never shown.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import InputError, MissingExtraError
from subgrid.source.hub import files as hub_files
from subgrid.source.retries import cause_of, enduring, limited, reason, retried, transient, within
from subgrid.source.urls import is_remote as is_remote
from subgrid.source.urls import shown as shown
from subgrid.source.urls import without_secrets

GRID_ENDING = "_grid-info.nc"
"""How the name of the grid file ends that lies beside raw steps."""

SILENCE = 300.0
"""Seconds after which a request counts as failed: 96 MB, a high-resolution file, come within it at 0.3 MB/s."""

LISTING = 1800.0
"""Seconds for all pages of a listing: 420,480 files are 421 pages of a thousand, and a busy server asks for pauses."""

_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3", "hf": "hub"}


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path in it.

    Raises MissingExtraError for a missing library, InputError for a URL that fsspec does not know or whose server
    cannot be reached: some file systems (ftp, sftp) connect as soon as they are made.
    """
    from fsspec.core import url_to_fs

    try:
        found: tuple[Any, str] = retried(lambda: url_to_fs(url))
        if url.startswith("hf://"):
            hub_files.limit_silence()
        return found
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

    So is TimeoutError, when no answer comes in time. A web server that refuses to tell (403) counts as having none, as
    some say so of every file that is not there; with ``refusals`` that is raised too.
    """
    try:
        within(SILENCE, system, "info", path)
    except FileNotFoundError as error:
        if transient(error) or (refusals and cause_of(error) is not error):
            raise
        return False
    return True


@dataclass(frozen=True)
class Location:
    """A folder to read from. ``names`` are paths relative to it, with forward slashes.

    Attributes:
        url: path or URL.
        commit: what is read of a repository of the Hugging Face hub; empty for the newest, and for other places.
    """

    url: str
    commit: str = ""

    @property
    def remote(self) -> bool:
        """Whether a file system other than the local one is asked."""
        return is_remote(self.url)

    @property
    def shown(self) -> str:
        """How it is called in messages and in files: without what may be secret."""
        return shown(self.url)

    def pinned(self, commit: str = "") -> "Location":
        """The same, held to a commit where there are any: to ``commit``, else to the one that the URL means now.

        Raises InputError when the URL names another one, or the hub does not say.
        """
        if not hub_files.in_repository(self.url):
            return self
        system, path = file_system(self.url)
        named = hub_files.named_commit(path)
        if named and commit and named != commit:
            raise InputError(
                f"{self.shown}: names another commit than the plan was made of, {commit}; leave it out of the "
                "URL, or make another plan"
            )
        try:
            found = named or commit or retried(lambda: limited(SILENCE, lambda: hub_files.newest_commit(system, path)))
        except FileNotFoundError:
            return self  # whoever lists it will tell
        except Exception as error:
            raise InputError(
                f"{self.shown}: cannot be looked up ({reason(error)}); see to it that it can, and run the same "
                "command again"
            ) from error
        return replace(self, commit=found)

    def _place(self, name: str = "") -> tuple[Any, str]:
        """The file system, and the path of the folder or of a file in it."""
        system, path = file_system(self.url)
        path = hub_files.at_commit(path, self.commit) if self.commit else path
        return system, f"{path.rstrip('/')}/{name}" if name else path

    def names(self) -> list[str]:
        """All files below the folder, sorted, links to folders followed; raises InputError when it is not there."""
        system, path = self._place()
        start = path.rstrip("/") + "/"
        if not self.remote and os.path.isfile(path):
            raise InputError(f"{self.shown}: is a file; expected a folder of raw steps, a data set, .csv or .parquet")
        try:
            there = retried(lambda: there_is(system, path, refusals=True))
            found = retried(lambda: self._below(system, path), again=enduring(1)) if there else []
        except Exception as error:
            raise InputError(
                f"{self.shown}: cannot be listed ({reason(error)}); see to it that it can, and run the same "
                "command again"
            ) from error
        if not there:
            raise InputError(f"{self.shown}: no such folder; expected raw steps laid out like train/0001-02/*.mli.*.nc")
        return sorted(name.removeprefix(start) for name in found)

    def _below(self, system: Any, path: str) -> list[str]:
        return list(within(LISTING, system, "find", path) if self.remote else _files_below(path))

    def read(self, name: str, memory: np.ndarray | None = None) -> np.ndarray:
        """The bytes of one file, uint8 (size,); raises FileNotFoundError when it is absent.

        Those of a repository of the hub are compared with its digest, and fetched again where they are others.
        ``memory``, uint8, is used where it is large enough: reading into the same place again costs half as much.
        """
        if not self.remote:
            with open(self.local(name), "rb") as file:  # buffered: a bare file may give less than was asked for
                size = os.fstat(file.fileno()).st_size
                if memory is None or memory.size < size:
                    memory = np.empty(size, dtype=np.uint8)
                return memory[: file.readinto(memory[:size].data)]
        system, path = self._place(name)
        checked = hub_files.in_repository(self.url)

        def fetch() -> bytes:
            if checked:
                return limited(SILENCE, lambda: hub_files.read_checked(system, path))
            return bytes(within(SILENCE, system, "cat_file", path))

        try:
            content = retried(fetch)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise InputError(
                f"{self.label(name)}: cannot be read ({reason(error)}); nothing is lost: run the same command again"
            ) from error
        return np.frombuffer(content, dtype=np.uint8)

    def exists(self, name: str) -> bool:
        """Whether there is such a file; costs no listing."""
        if not self.remote:
            return self.local(name).exists()
        system, path = self._place(name)
        try:
            return retried(lambda: there_is(system, path))
        except Exception as error:
            raise InputError(
                f"{self.label(name)}: cannot be looked up ({reason(error)}); see to it that it can, and run the same "
                "command again"
            ) from error

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
