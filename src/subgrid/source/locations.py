"""A folder of raw files, local or at any fsspec URL (``gs://``, ``s3://``, ``hf://``, ``https://``).

Endpoints, anonymous access, requester-pays and credentials are fsspec's own configuration (``~/.config/fsspec``, or
variables such as ``FSSPEC_S3_ENDPOINT_URL``); what a URL says beside the place is never shown.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from subgrid.errors import InputError, MissingExtraError
from subgrid.source.hub import files as hub_files
from subgrid.source.hub.session import limit_silence
from subgrid.source.retries import cause_of, enduring, limited, of_hub, reason, retried, transient, within
from subgrid.source.urls import is_remote as is_remote
from subgrid.source.urls import local_path, without_secrets
from subgrid.source.urls import shown as shown

T = TypeVar("T")

GRID_ENDING = "_grid-info.nc"
"""How the name of the grid file ends that lies beside raw steps."""

ANSWER = 300.0
"""Seconds for a whole answer: 96 MB, a high-resolution file, come within it at 0.3 MB/s."""

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
            limit_silence()
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


def there_is(system: Any, path: str) -> bool:
    """Whether a file system has a file or folder; unlike its ``exists``, an error is no answer, and raised.

    So is TimeoutError, when no answer comes in time. A web server that refuses to tell (403) counts as having none, as
    some say so of every file that is not there; the hub says what it means.
    """
    try:
        within(ANSWER, system, "info", path)
    except FileNotFoundError as error:
        if transient(error) or of_hub(cause_of(error)):
            raise
        return False
    return True


def forget_refusal(system: Any, error: BaseException) -> None:
    """Have a file system of the hub ask anew: it keeps a "no such repository" for as long as the process lives."""
    if of_hub(cause_of(error)):
        system.invalidate_cache()


def _asked(system: Any, label: str, what: str, call: Callable[[], T], silences: int | None = None) -> T:
    """What a call brings, made again where that may help; after so many ``silences`` no more.

    Raises FileNotFoundError where the file itself is absent, InputError for all else: a repository that is gone or
    closed says nothing of its files.
    """
    try:
        return retried(call, again=enduring(silences) if silences else transient)
    except Exception as error:
        if isinstance(error, FileNotFoundError) and cause_of(error) is error:
            raise
        forget_refusal(system, error)
        raise InputError(
            f"{label}: cannot be {what} ({reason(error)}); see to it that it can, and run the same command again"
        ) from error


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
        system, path = Location(self.url)._place()
        named = hub_files.named_commit(path)
        if named and commit and named != commit:
            raise InputError(
                f"{self.shown}: names another commit than the plan was made of, {commit}; leave it out of the "
                "URL, or make another plan"
            )
        found = named or commit

        def ask() -> str:
            return limited(ANSWER, lambda: hub_files.newest_commit(system, path))

        return replace(self, commit=found or _asked(system, self.shown, "looked up", ask))

    def _place(self, name: str = "") -> tuple[Any, str]:
        """The file system, and the path of the folder or of a file in it; raises InputError as ``file_system``."""
        system, path = file_system(self.url)
        if hub_files.in_repository(self.url):
            try:
                path = hub_files.at_commit(path, self.commit)
            except ValueError as error:
                # The library's own message holds the whole name, and whatever stands in it by mistake.
                raise InputError(
                    f"{self.shown}: expected hf://datasets/OWNER/NAME[@REVISION][/FOLDER], or hf://OWNER/NAME[...] for "
                    "a repository of models"
                ) from error
        return system, f"{path.rstrip('/')}/{name}" if name else path

    def names(self) -> list[str]:
        """All files below the folder, sorted, links to folders followed; raises InputError when it is not there."""
        system, path = self._place()
        if not self.remote and os.path.isfile(path):
            raise InputError(f"{self.shown}: is a file; expected a folder of raw steps, a data set, .csv or .parquet")
        try:
            _asked(system, self.shown, "listed", lambda: within(ANSWER, system, "info", path))
            below = _asked(system, self.shown, "listed", lambda: _below(system, path, self.remote), silences=1)
        except FileNotFoundError as error:
            raise InputError(
                f"{self.shown}: no such folder; expected raw steps laid out like train/0001-02/*.mli.*.nc"
            ) from error
        return sorted(below)

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
                return limited(ANSWER, lambda: hub_files.read_checked(system, path))
            return bytes(within(ANSWER, system, "cat_file", path))

        return np.frombuffer(_asked(system, self.label(name), "read", fetch), dtype=np.uint8)

    def exists(self, name: str) -> bool:
        """Whether there is such a file; costs no listing."""
        if not self.remote:
            return self.local(name).exists()
        system, path = self._place(name)
        return _asked(system, self.label(name), "looked up", lambda: there_is(system, path))

    def checksum(self, name: str) -> int | str:
        """What tells other contents of a file: its digest on the hub, else what the storage says of size and time.

        Raises FileNotFoundError and InputError as ``read``.
        """
        system, path = self._place(name)
        if not self.remote:
            return int(system.checksum(path))
        ask = partial(hub_files.listed_digest, system) if hub_files.in_repository(self.url) else system.checksum
        return _asked(system, self.label(name), "looked up", lambda: limited(ANSWER, lambda: ask(path)))

    def open_file(self) -> Any:
        """The location itself, where it is one file, opened for reading bytes; raises as ``read``."""
        if not self.remote:
            return open(self.local(""), "rb")
        system, path = self._place()
        return _asked(system, self.shown, "opened", lambda: limited(ANSWER, lambda: system.open(path, "rb")))

    def absolute(self) -> "Location":
        """The same for a process in another working folder."""
        return self if self.remote else Location(str(self.local("").resolve()))

    def local(self, name: str) -> Path:
        """The path of a file of a local folder."""
        return local_path(self.url) / name

    def label(self, name: str) -> str:
        """How a file is called in messages."""
        return f"{self.shown.rstrip('/')}/{name}"


def _below(system: Any, path: str, remote: bool) -> list[str]:
    """Names of all files below a folder, relative to it."""
    found = within(LISTING, system, "find", path) if remote else _files_below(path)
    start = path.rstrip("/") + "/"
    return [name.removeprefix(start) for name in found]


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
