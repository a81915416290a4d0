"""A data set at a URL, or behind a pointer file: its small files read, its shards fetched ahead into a bounded cache.

A shard is verified (size, CRC32C of the manifest) when it is fetched and then mapped like a local one. Wrong bytes are
fetched once more; then there is an error. Nothing but the manifest's bytes ever reaches a reader.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from threading import Event, Lock
from typing import Any, BinaryIO
from weakref import WeakSet

import numpy as np

from subgrid.errors import DatasetError, InputError, SettingsError, SubgridError
from subgrid.records import transfer
from subgrid.records.blueprint import SHARDS
from subgrid.records.cache import Cache, NoRoomError
from subgrid.records.example import RecordLayout
from subgrid.records.files import parse_size
from subgrid.records.ledger import Shard
from subgrid.records.manifest import MANIFEST, Manifest, parse_manifest
from subgrid.records.pointer import Pointed
from subgrid.records.shards import MEND, Shards, map_shard
from subgrid.records.transfer import Fixed, Origin, Patience
from subgrid.source.locations import shown
from subgrid.source.retries import within

CACHE, CACHE_SIZE = "SUBGRID_CACHE", "SUBGRID_CACHE_SIZE"
_SIZE = "50GB"
_TOGETHER = 4  # shards fetched at the same time
_SHORT = 1.0  # seconds to wait for room before this process lets go of what it keeps itself


@dataclass(frozen=True)
class Fetching:
    """How shards are fetched.

    Attributes:
        cache: where they are kept.
        patience: with the store.
    """

    cache: Cache
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def from_environment(cls) -> "Fetching":
        """SUBGRID_CACHE is the folder (default ~/.cache/subgrid), SUBGRID_CACHE_SIZE its limit (default 50GB).

        Raises SettingsError for a size that is none.
        """
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = Path(os.environ.get(CACHE) or Path(home) / "subgrid").expanduser()
        try:
            return cls(Cache(folder, parse_size(os.environ.get(CACHE_SIZE) or _SIZE)))
        except SettingsError as error:
            raise SettingsError(f"{CACHE_SIZE}: {error}") from error


class Bucket:
    """A data set that is not on this machine.

    Args:
        place: an fsspec URL, or the path of a pointer file.
        fetching: cache and patience.
    """

    def __init__(self, place: str | Path, fetching: Fetching | None = None) -> None:
        self.origin: Origin = Pointed(place) if isinstance(place, Path) else Fixed(place)
        self.folder: Path | str = place if isinstance(place, Path) else shown(place)
        self.fetching = fetching or Fetching.from_environment()
        self.digest = ""
        self._readers: WeakSet[FetchedShards] = WeakSet()

    def manifest(self) -> Manifest:
        """Read and check the manifest; raises DatasetError, TransferError."""
        try:
            content = transfer.read_object(MANIFEST, self.origin, self.fetching.patience)
        except FileNotFoundError:
            raise DatasetError(
                f"{self.label}: expected a data set with a {MANIFEST}, found none (an unfinished build has none)"
            ) from None
        manifest = parse_manifest(content, f"{self.label}/{MANIFEST}")
        self.digest = manifest.digest
        if isinstance(self.origin, Pointed):
            self.origin.digest = manifest.digest
        return manifest

    @property
    def label(self) -> str:
        """Where the data set lies at this moment."""
        return shown(self.origin.url).rstrip("/")

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """A small file of the data set as a local one, for as long as the block runs."""
        where = f"{self.label}/{name}"
        try:
            content = transfer.read_object(name, self.origin, self.fetching.patience)
        except FileNotFoundError:
            raise DatasetError(f"{where}: the file is missing; copy the data set anew") from None
        with TemporaryDirectory(prefix="subgrid-") as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            try:
                yield path
            except (DatasetError, InputError) as error:
                raise type(error)(str(error).replace(str(path), where)) from error

    def shards(self, chosen: Sequence[Shard], layout: RecordLayout) -> "FetchedShards":
        """Shards of the data set, opened when first needed."""
        found = FetchedShards(self, chosen, layout)
        self._readers.add(found)
        return found

    def open(
        self, shard: Shard, layout: RecordLayout, patience: Patience, wait: float | None = None
    ) -> tuple[BinaryIO, bool]:
        """A shard in the cache, open and held there, and whether it was fetched and verified just now.

        Args:
            shard, layout: which.
            patience: with the store.
            wait: seconds for which room is waited for; default those of the cache.
        """
        cache = self.fetching.cache if wait is None else replace(self.fetching.cache, wait=wait)
        return cache.open(
            self.digest, shard.name, shard.bytes, lambda partial: self._fetch(shard, layout, partial, patience)
        )

    def let_go(self) -> None:
        """Let go of all shards that readers of this process keep open; they open them again when they need them."""
        for reader in list(self._readers):
            reader.let_go()

    def check(self, shard: Shard, layout: RecordLayout) -> None:
        """Verify a shard as it lies there, past the cache; raises DatasetError."""
        folder = self.fetching.cache.folder
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            self._fetch(shard, layout, file, self.fetching.patience)

    def strangers(self, known: set[str]) -> list[str]:
        """Names in the folder of shards that are not ``known``; none where a store lists nothing (plain HTTP)."""

        def listed(system: Any, path: str, url: str) -> list[str]:
            system.invalidate_cache()
            found = within(self.fetching.patience.stall, system, "ls", path, detail=False)
            start = f"{path.lstrip('/')}/"
            below = {str(name).lstrip("/").removeprefix(start) for name in found if start in str(name)}
            return sorted(below - known)

        try:
            return transfer.persist(listed, SHARDS, self.origin, self.fetching.patience)
        except FileNotFoundError:
            return []

    def _fetch(self, shard: Shard, layout: RecordLayout, file: BinaryIO, patience: Patience) -> None:
        """Write a shard into a file and verify it; wrong bytes are fetched once more, or from where it moved to."""
        name, tries = f"{SHARDS}/{shard.name}", 2
        while tries:
            tries -= 1
            where = f"{self.label}/{name}"
            try:
                wrong = self._attempt(name, shard, layout, file, patience)
            except FileNotFoundError:
                raise DatasetError(f"{where}: the shard is missing; copy the data set anew") from None
            if not wrong:
                return
            if not tries and self.origin.moved():
                tries = 2
        raise DatasetError(f"{where}: fetched twice, and wrong both times: {wrong}; copy this shard anew")

    def _attempt(self, name: str, shard: Shard, layout: RecordLayout, file: BinaryIO, patience: Patience) -> str:
        """What is wrong with the shard that came; nothing when it is whole."""
        size = transfer.size_of(name, self.origin, patience, shard.bytes)
        if size not in (None, shard.bytes):
            return f"expected {shard.bytes} bytes, found {size}"
        file.seek(0)
        transfer.fetch(name, shard.bytes, file, self.origin, patience)
        file.flush()
        try:
            map_shard(file, name, shard, layout)
        except DatasetError as error:
            return str(error).removeprefix(f"{name}: ").removesuffix(f"; {MEND}")
        return ""


class FetchedShards(Shards):
    """Shards that are fetched when they are needed, or before; safe to use from several threads."""

    def __init__(self, bucket: Bucket, shards: Sequence[Shard], layout: RecordLayout) -> None:
        super().__init__(Path(SHARDS), shards, layout)
        self.bucket = bucket
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: dict[int, Future] = {}
        self._now: frozenset[int] | None = None  # all
        self._stop, self._guard = Event(), Lock()

    def __getitem__(self, index: int) -> np.ndarray:
        """See ``Shards``; only shards that are read now are kept open, so that the cache can drop the others."""
        if self._now is None or index in self._now:
            return super().__getitem__(index)
        return self.once(index)

    def once(self, index: int) -> np.ndarray:
        """See ``Shards.once``; the cache cannot drop the shard while the array lives."""
        shard, patience = self.shards[index], replace(self.bucket.fetching.patience, stop=self._stop)
        for _ in range(2):
            try:
                opened, fetched = self.bucket.open(shard, self.layout, patience, _SHORT)
            except NoRoomError:  # it may be this process itself that holds everything
                self.bucket.let_go()
                opened, fetched = self.bucket.open(shard, self.layout, patience)
            with opened as file:
                try:
                    found = map_shard(file, shard.name, shard, self.layout, fetched or bool(self._verified[index]))
                except DatasetError:
                    self.bucket.fetching.cache.discard(self.bucket.digest, shard.name)  # damaged on this disk
                    continue
            self._verified[index] = True
            return found
        raise DatasetError(f"{self.bucket.fetching.cache.folder}: damages what is written there ({shard.name})")

    def expect(self, now: Sequence[int], coming: Sequence[int] = ()) -> None:
        """Let go of all shards but those of ``now``; fetch what is missing of them, then what is ``coming``.

        Raises SettingsError when those of ``now`` do not fit the cache.
        """
        limit, needed = self.bucket.fetching.cache.limit, sum(self.shards[index].bytes for index in now)
        if needed > limit:
            raise SettingsError(
                f"{self.bucket.folder}: {len(now)} shards are read at the same time, {needed} bytes; the cache holds "
                f"{limit}: raise {CACHE_SIZE} or lower training.window"
            )
        with self._lock:
            self._now = frozenset(now)
            self._open = {index: found for index, found in self._open.items() if index in self._now}
        fitting = []
        for index in coming:
            needed += 0 if index in now else self.shards[index].bytes
            if needed <= limit:
                fitting.append(index)
        self.ahead([*now, *fitting])

    def ahead(self, coming: Sequence[int]) -> None:
        """Fetch shards in the background; what was to be fetched and is not among them is forgotten."""
        with self._guard:
            self._pool = self._pool or ThreadPoolExecutor(_TOGETHER, thread_name_prefix="fetch")
            for index, future in list(self._under_way.items()):
                if index not in coming:
                    future.cancel()
                if future.done():
                    del self._under_way[index]
            for index in coming:
                if index not in self._open and index not in self._under_way:
                    self._under_way[index] = self._pool.submit(self._bring, index, self._stop)

    def _bring(self, index: int, stop: Event) -> None:
        patience = replace(self.bucket.fetching.patience, stop=stop)
        try:
            file, fetched = self.bucket.open(self.shards[index], self.layout, patience, wait=0.0)
        except SubgridError:
            return  # whoever needs the shard asks again, and is told
        file.close()
        self._verified[index] = self._verified[index] or fetched

    def rest(self) -> None:
        """Stop fetching and let go of all shards."""
        with self._guard:
            self._stop.set()
            self._stop = Event()
            if self._pool:
                self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool, self._under_way, self._now = None, {}, None
        self.let_go()

    def let_go(self) -> None:
        """Keep no shard open."""
        self._open = {}
