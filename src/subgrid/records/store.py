"""Where a build writes to: a local folder, or a place at any fsspec URL. A file appears there whole or not at all.

Local files are written aside, synced and renamed. Files for elsewhere are made in scratch space and put there in one
go: in an object store an object appears when its upload is complete; on other file systems (sftp, WebDAV) the file is
put aside and moved. Names are relative, with forward slashes.
"""

import fcntl
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from subgrid.disk import sync
from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.records.files import PARTIAL, as_json, write_whole
from subgrid.records.scratch import own_folder, sweep
from subgrid.source import locations
from subgrid.source.locations import file_system, is_remote, shown, there_is
from subgrid.source.retries import PAUSES, cause_of, enduring, limited, reason, retried, within
from subgrid.source.urls import local_path

_OBJECT_STORES = {"gs", "gcs", "s3", "s3a", "abfs", "abfss", "az", "adl", "oci", "oss", "r2", "hf"}
_SLOWEST = 100_000
"""Bytes a second; an upload that is slower counts as failed: one of 64 MB after eleven minutes."""
_UPLOADS = 3
"""Uploads of one file that are waited for so long."""


class Store(Protocol):
    """A folder that a build writes to; can be pickled, so that workers write there too."""

    def __hash__(self) -> int: ...

    @property
    def remote(self) -> bool:
        """Whether files are made elsewhere and then put there."""

    def label(self, name: str = "") -> str:
        """How a file is called in messages."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    def listing(self, folder: str = "") -> set[str]:
        """Names of what lies in a folder, empty where there is none; what is half written is left out."""

    def read(self, name: str) -> bytes:
        """The content of a file; raises FileNotFoundError."""

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Make a file by calling ``write`` with a local path; raises SubgridError when that cannot be."""

    def place(self, name: str) -> Path:
        """The local path where a large file is to be finished that shall be delivered."""

    def deliver(self, name: str) -> None:
        """Bring a file that was finished at its ``place`` where it belongs; raises SubgridError."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    def begin(self, folders: tuple[str, ...]) -> None:
        """Make folders, where the file system has such a thing."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a builder works here; what killed builders left behind is swept where no other one is at work."""


@dataclass(frozen=True)
class LocalStore:
    """A local folder."""

    folder: Path

    remote = False

    def label(self, name: str = "") -> str:
        """See ``Store``."""
        return str(self.folder / name)

    def exists(self, name: str) -> bool:
        """See ``Store``."""
        return (self.folder / name).exists()

    def listing(self, folder: str = "") -> set[str]:
        """See ``Store``."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return {name for name in os.listdir(self.folder / folder) if PARTIAL not in name}
        return set()

    def read(self, name: str) -> bytes:
        """See ``Store``."""
        return (self.folder / name).read_bytes()

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """See ``Store``."""
        write_whole(self.folder / name, write)

    def place(self, name: str) -> Path:
        """See ``Store``: it is made where it belongs."""
        return self.folder / name

    def deliver(self, name: str) -> None:
        """See ``Store``: it is there."""

    def remove(self, name: str) -> None:
        """See ``Store``."""
        (self.folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            sync((self.folder / name).parent)

    def begin(self, folders: tuple[str, ...]) -> None:
        """See ``Store``."""
        for folder in folders:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """See ``Store``: builders share a lock on the folder; one that can have it alone may sweep."""
        if self.folder.exists() and not self.folder.is_dir():
            raise DatasetError(f"{self.folder}: expected a folder to build into, found a file")
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for folder in (self.folder, self.folder / "parts"):
                    for left in folder.glob(f".*{PARTIAL}*"):
                        left.unlink(missing_ok=True)
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)  # who sweeps is quick
            yield
        finally:
            os.close(handle)


@dataclass(frozen=True)
class RemoteStore:
    """A place at a URL.

    Attributes:
        url: of the data set.
        scratch: the local folder for files on their way there.
    """

    url: str
    scratch: Path

    remote = True

    def _at(self, name: str) -> tuple[Any, str]:
        system, path = file_system(self.url)
        return system, f"{path.rstrip('/')}/{name}".rstrip("/")

    def label(self, name: str = "") -> str:
        """See ``Store``."""
        return f"{shown(self.url).rstrip('/')}/{name}".rstrip("/")

    def exists(self, name: str) -> bool:
        """See ``Store``."""
        system, path = self._at(name)
        system.invalidate_cache()
        return bool(_tried("cannot be looked up", self.label(name), lambda: there_is(system, path)))

    def listing(self, folder: str = "") -> set[str]:
        """See ``Store``."""
        system, path = self._at(folder)
        system.invalidate_cache()  # other builders write there too
        try:
            found = _tried("cannot be listed", self.label(folder), lambda: _asked(system, "ls", path, detail=False))
        except FileNotFoundError:
            return set()
        names = {name.rstrip("/").rpartition("/")[2] for name in found if name.rstrip("/") != path}
        return {name for name in names if PARTIAL not in name}

    def read(self, name: str) -> bytes:
        """See ``Store``."""
        system, path = self._at(name)
        return bytes(_tried("cannot be read", self.label(name), lambda: _asked(system, "cat_file", path)))

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """See ``Store``."""
        handle, made = tempfile.mkstemp(dir=own_folder(self.scratch))
        os.close(handle)
        try:
            write(Path(made))
            self._put(Path(made), name)
        except (OSError, RuntimeError) as error:  # netCDF4 reports a full disk as a RuntimeError
            raise SubgridError(f"{self.scratch}: no room to make {self.label(name)} ({reason(error)})") from error
        finally:
            Path(made).unlink(missing_ok=True)

    def place(self, name: str) -> Path:
        """See ``Store``: in scratch space."""
        where = sha256(self.url.encode()).hexdigest()[:8]  # a worker of a cluster may serve several builds
        return own_folder(self.scratch) / f"{where}-{name.replace('/', '-')}"

    def deliver(self, name: str) -> None:
        """See ``Store``."""
        try:
            self._put(self.place(name), name)
        finally:
            self.place(name).unlink(missing_ok=True)

    def _put(self, made: Path, name: str) -> None:
        system, path = self._at(name)
        whole = self.url.partition("://")[0] in _OBJECT_STORES
        seconds = max(locations.ANSWER, made.stat().st_size / _SLOWEST)

        def put() -> None:
            if whole:
                within(seconds, system, "put_file", str(made), path)
            else:
                limited(seconds, put_aside)

        def put_aside() -> None:
            parent, _, last = path.rpartition("/")
            aside = f"{parent}/.{last}{PARTIAL}{uuid.uuid4().hex[:8]}"
            try:
                system.makedirs(parent, exist_ok=True)
                system.put_file(str(made), aside)
                with suppress(Exception):
                    system.mv(aside, path)
                if system.exists(aside):  # not every file system moves over what is there; WebHDFS does not even say so
                    if system.exists(path):
                        system.rm_file(path)
                    system.mv(aside, path)
            except BaseException:
                with suppress(Exception):
                    system.rm_file(aside)
                raise

        _tried("cannot be written", self.label(name), put, _UPLOADS)

    def remove(self, name: str) -> None:
        """See ``Store``."""
        system, path = self._at(name)
        with suppress(FileNotFoundError):
            _tried("cannot be removed", self.label(name), lambda: _asked(system, "rm_file", path))

    def begin(self, folders: tuple[str, ...]) -> None:
        """See ``Store``: object stores have no folders, and others get theirs with the first file."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """See ``Store``: only scratch space is swept."""
        sweep(self.scratch)
        try:
            yield
        finally:
            sweep(self.scratch)


def _asked(system: Any, name: str, *arguments: Any, **options: Any) -> Any:
    return within(locations.ANSWER, system, name, *arguments, **options)


def _tried(what: str, label: str, call: Callable[[], Any], silences: int = len(PAUSES) + 1) -> Any:
    try:
        return retried(call, again=enduring(silences))
    except Exception as error:
        if isinstance(error, FileNotFoundError) and cause_of(error) is error:
            raise
        raise SubgridError(
            f"{label}: {what} ({reason(error)}); nothing is lost: mend that and run the same command again"
        ) from error


def as_store(out: "Store | Path | str", scratch: Path | None = None) -> Store:
    """The store at a path or URL; ``scratch`` defaults to the folder for temporary files.

    Raises MissingExtraError or InputError for a URL that cannot be used.
    """
    if not isinstance(out, (Path, str)):
        return out
    if not is_remote(str(out)):
        return LocalStore(local_path(out))
    file_system(str(out))
    return RemoteStore(str(out), scratch or Path(tempfile.gettempdir()))


def refuse_processes(store: Store) -> None:
    """Raise SettingsError where other processes cannot see what this one writes."""
    if store.label().startswith("memory://"):
        raise SettingsError(f"{store.label()}: lies in the memory of one process; build it with one worker")


def write_json(store: Store, name: str, data: Any) -> None:
    """Write plain data as a JSON file, whole or not at all."""
    store.write(name, lambda aside: aside.write_text(as_json(data)))
