"""An endless shuffled stream of rows: an order in closed form, threads that gather ahead, a place that is one integer.

Batch b of a stream that starts at row s holds the rows at positions s + b*B ... s + (b+1)*B of the order; process r of
P gets the r-th P-th of them. Several sources (shards of several data sets) mix by a pattern, each in an order of its
own. Inside a process's share the rows stand sorted by source and shard, so a batch is gathered by one copy a shard, of
whole records, into memory that is used again once nobody refers to it.
"""

import sys
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import NamedTuple

import numpy as np

from subgrid.errors import SettingsError
from subgrid.records.example import RecordLayout
from subgrid.records.mixture import Pattern
from subgrid.records.order import Order
from subgrid.records.shards import Shards

_THREADS = 2
_AHEAD = 4  # batches under way
_WINDOWS_KEPT = 3


class Batch(NamedTuple):
    """Rows as arrays, in stored units (x * 2**exponent).

    Attributes:
        inputs: float32 or float64 (row, input_width).
        targets: the same (row, target_width).
        row: int64 (row,), the row's number: (time / 1200) x grid columns + column.
        column: int32 (row,), -1 where unknown.
        time: int64 (row,), seconds since 0001-01-01 without leap years, -1 where unknown.
        origin: int8 (row,), which source of a mixed stream the row is from; 0 where there is one.
    """

    inputs: np.ndarray
    targets: np.ndarray
    row: np.ndarray
    column: np.ndarray
    time: np.ndarray
    origin: np.ndarray


def as_batch(layout: RecordLayout, records: np.ndarray, origin: np.ndarray | None = None) -> Batch:
    """Sealed records, uint8 (rows, stride), as a batch; the two large arrays are views."""
    views = layout.views(records)
    row, column, time = (np.ascontiguousarray(views[name][:, 0]) for name in ("row", "column", "time"))
    origin = np.zeros(len(records), dtype=np.int8) if origin is None else origin
    return Batch(views["inputs"], views["targets"], row, column, time, origin)


@dataclass(frozen=True)
class StreamSettings:
    """How rows are given out.

    Attributes:
        batch: rows of a global batch.
        seed: of the order; source i of a mixture has the order of seed + i.
        window: shards whose rows are shuffled together.
        rank, ranks: which share of every batch this process takes.
        shares: rows of each source in one period of a mixture, the first source's first; (2, 1): 0, 0, 1.
    """

    batch: int
    seed: int = 0
    window: int = 16
    rank: int = 0
    ranks: int = 1
    shares: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.batch < 1 or self.window < 1 or not 0 <= self.rank < self.ranks or self.batch % self.ranks:
            raise SettingsError(
                f"a stream needs batch and window of at least 1, a rank below ranks, and a batch that ranks divide; "
                f"found {self}"
            )


class _Memory:
    """Buffers of one size that are used again when nobody else refers to them."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._buffers: list[np.ndarray] = []
        self._lock = Lock()

    def take(self) -> np.ndarray:
        with self._lock:
            for place in range(len(self._buffers)):
                # Two references: the list's and the argument's. Views of a batch hold one more.
                if sys.getrefcount(self._buffers[place]) == 2:
                    return self._buffers[place]
            self._buffers.append(np.empty(self.shape, dtype=np.uint8))
            return self._buffers[-1]


class _Source:
    """The rows of one source by their position in its order; the windows of the order are worked out ahead."""

    def __init__(self, shards: Shards, order: Order, pool: ThreadPoolExecutor) -> None:
        self._shards, self._order, self._pool = shards, order, pool
        self._windows: OrderedDict[tuple[int, int], Future] = OrderedDict()
        self._latest = (-1, -1)
        self._lock = Lock()

    def gather(self, start: int, records: np.ndarray) -> None:
        """Fill ``records``, (rows, stride), with as many rows from position ``start`` on, sorted by shard."""
        shard, row = self._rows_at(start, len(records))
        by_shard = np.argsort(shard, kind="stable")
        shard, row = shard[by_shard], row[by_shard]
        bounds = np.flatnonzero(np.diff(shard, prepend=-1, append=-1))
        for first, last in zip(bounds[:-1], bounds[1:], strict=True):
            source = self._shards[int(shard[first])]
            whole = np.dtype(f"V{source.shape[1]}")
            np.take(source.view(whole)[:, 0], row[first:last], out=records[first:last].view(whole)[:, 0], mode="clip")

    def _rows_at(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Shard and row in it of ``count`` consecutive positions of the order, (count,) each."""
        parts = []
        epoch, index, place = self._order.locate(start)
        while count:
            shard, row = self._window(epoch, index)
            take = slice(place, min(place + count, shard.size))
            parts.append((shard[take], row[take]))
            count -= parts[-1][0].size
            epoch, index = self._after(epoch, index)
            place = 0
        return np.concatenate([shard for shard, _ in parts]), np.concatenate([row for _, row in parts])

    def _after(self, epoch: int, index: int) -> tuple[int, int]:
        return (epoch, index + 1) if index + 1 < len(self._order.windows(epoch)) else (epoch + 1, 0)

    def _window(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of a window; the next one is worked out meanwhile."""
        keys = ((epoch, index), self._after(epoch, index))
        with self._lock:
            for key in keys:
                if key not in self._windows:
                    self._windows[key] = self._pool.submit(self._window_order, *key)
            self._windows.move_to_end((epoch, index))
            while len(self._windows) > _WINDOWS_KEPT:
                self._windows.popitem(last=False)
            found = self._windows[(epoch, index)]
            if (epoch, index) > self._latest:  # a batch of the window before may still be under way
                self._shards.expect(*(self._order.windows(key[0])[key[1]].shards for key in keys))
                self._latest = (epoch, index)
        return found.result()

    def rest(self) -> None:
        """Nothing will be read for a while."""
        self._shards.rest()

    def _window_order(self, epoch: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        window = self._order.windows(epoch)[index]
        which, row = window.order()
        return np.asarray(window.shards, dtype=np.int32)[which], row


class Stream:
    """Endless iterator of ``Batch``; a context manager. ``position`` is the place: rows given out so far, all ranks.

    Args:
        shards: the first source.
        settings: of the stream; as many shares as there are sources.
        start: rows given out already.
        beside: the other sources of a mixture, of the same record layout.

    Raises:
        SettingsError: shares or layouts that do not fit the sources.
    """

    def __init__(self, shards: Shards, settings: StreamSettings, start: int = 0, beside: Sequence[Shards] = ()) -> None:
        self.settings, self.position = settings, start
        self._layout, self._pattern = shards.layout, Pattern(settings.shares)
        if len(settings.shares) != 1 + len(beside) or any(other.layout != shards.layout for other in beside):
            raise SettingsError(
                f"a mixture needs one share a source, and sources that store their rows alike; found the shares "
                f"{settings.shares} for {1 + len(beside)} sources"
            )
        self._memory = _Memory((settings.batch // settings.ranks, shards.layout.stride))
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="rows")
        self._orders = ThreadPoolExecutor(1, thread_name_prefix="order")
        self._sources = [
            _Source(source, Order(source.rows, settings.seed + number, settings.window), self._orders)
            for number, source in enumerate((shards, *beside))
        ]
        self._under_way: deque[Future[Batch]] = deque()
        self._next = start

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        while len(self._under_way) < _AHEAD:
            share = self.settings.batch // self.settings.ranks
            self._under_way.append(self._pool.submit(self._gather, self._next + self.settings.rank * share, share))
            self._next += self.settings.batch
        batch = self._under_way.popleft().result()
        self.position += self.settings.batch
        return batch

    def _gather(self, start: int, count: int) -> Batch:
        records, origin, filled = self._memory.take(), np.empty(count, dtype=np.int8), 0
        for number, first, rows in self._pattern.parts(start, count):
            here = slice(filled, filled + rows)
            self._sources[number].gather(first, records[here])
            origin[here] = number
            filled += rows
        return as_batch(self._layout, records, origin)

    def close(self) -> None:
        """Stop the threads; batches that were given out stay valid."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for source in self._sources:
            source.rest()
        for pool in (self._pool, self._orders):
            pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
