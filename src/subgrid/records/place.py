"""Where a data set lies: in a folder, at a URL, or where a pointer file says. The reader asks one of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from subgrid.records import transfer
from subgrid.records.blueprint import BUILD_FILE, SHARDS
from subgrid.records.bucket import Bucket, Fetching
from subgrid.records.example import RecordLayout
from subgrid.records.files import PARTIAL
from subgrid.records.ledger import Shard
from subgrid.records.manifest import MANIFEST, Manifest, read_manifest
from subgrid.records.pointer import read_pointer
from subgrid.records.shards import Shards, open_shard
from subgrid.records.transfer import Fixed, Patience
from subgrid.source.urls import is_remote, local_path


class Folder:
    """A data set on this machine; the same questions as to a ``Bucket``."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path | str = folder
        self._path = folder

    def manifest(self) -> Manifest:
        """Read and check the manifest (see ``read_manifest``)."""
        return read_manifest(self._path)

    @property
    def label(self) -> str:
        """How it is called in messages."""
        return str(self._path)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """A small file of the data set."""
        yield self._path / name

    def shards(self, chosen: Sequence[Shard], layout: RecordLayout) -> Shards:
        """Shards of the data set, opened when first needed."""
        return Shards(self._path / SHARDS, chosen, layout)

    def check(self, shard: Shard, layout: RecordLayout) -> None:
        """Verify a shard; raises DatasetError."""
        open_shard(self._path / SHARDS / shard.name, shard, layout)

    def strangers(self, known: set[str]) -> list[str]:
        """Names in the folder of shards that are not ``known``; files half-written are left out."""
        names = {path.name for path in (self._path / SHARDS).glob("*")} - known
        return sorted(name for name in names if PARTIAL not in name)


Place = Folder | Bucket


def open_place(place: str | Path, fetching: Fetching | None = None) -> Place:
    """The place that a path or URL means; a path may be that of a pointer file.

    Args:
        place: as users give it.
        fetching: cache and patience for what is not here; default as the environment says.

    Raises:
        SettingsError: the environment names no size.
        DatasetError: a damaged pointer.
    """
    if is_remote(str(place)):
        return Bucket(str(place), fetching)
    path = local_path(place)
    return Folder(path) if read_pointer(path) is None else Bucket(path, fetching)


def holds_dataset(place: str | Path) -> bool:
    """Whether a data set, finished or being built, is there; a pointer always means one.

    Raises TransferError when a URL cannot be asked.
    """
    pointer = None if is_remote(str(place)) else read_pointer(local_path(place))
    return pointer is not None or bool(mark_of(place))


def mark_of(place: str | Path) -> str:
    """The file that tells a data set: its manifest, else the blueprint of one being built; empty where none is there.

    Raises TransferError when a URL cannot be asked.
    """
    return next((name for name in (MANIFEST, BUILD_FILE) if _has(place, name)), "")


def _has(place: str | Path, name: str) -> bool:
    if is_remote(str(place)):
        try:
            transfer.size_of(name, Fixed(str(place)), Patience())
            return True
        except FileNotFoundError:
            return False
    return (local_path(place) / name).exists()
