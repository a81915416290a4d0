"""The shards of one split of a group: its rows, in one order, cut evenly into shards that are filled side by side."""

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from subgrid.records import shard
from subgrid.records.ledger import Shard
from subgrid.records.shard import ShardWriter, remove_partials
from subgrid.records.store import Store


@dataclass(frozen=True)
class Cut:
    """What a group's rows of one split are to become.

    Attributes:
        split: of the rows.
        names: file names of the shards, in order.
        rows: of all of them together.
        stride: bytes of a row.
    """

    split: str
    names: tuple[str, ...]
    rows: int
    stride: int


class GroupShards:
    """Writers of a cut's shards; a context manager that removes what was not finished.

    They are filled in memory where all of them together are small enough, else through mappings of their files.
    """

    def __init__(self, store: Store, folder: str, cut: Cut) -> None:
        self.store, self.folder, self.cut = store, folder, cut
        self.bounds = np.arange(len(cut.names) + 1) * cut.rows // len(cut.names)
        mapped = cut.rows * cut.stride > shard.IN_MEMORY
        self._open = ExitStack()
        self.writers: list[ShardWriter] = []
        with ExitStack() as stack:
            for name, rows in zip(cut.names, np.diff(self.bounds).tolist(), strict=True):
                path = store.place(f"{folder}/{name}")
                remove_partials(path)
                self.writers.append(stack.enter_context(ShardWriter(path, rows, cut.stride, mapped)))
            self._open = stack.pop_all()

    def put(self, places: np.ndarray, records: np.ndarray) -> None:
        """Put sealed records, uint8 (rows, stride), at their places in the cut's order (rows,)."""
        if len(self.writers) == 1:
            self.writers[0].put(places, records)
            return
        order = np.argsort(places)
        edges = np.searchsorted(places[order], self.bounds)
        for writer, first, one, other in zip(self.writers, self.bounds, edges, edges[1:], strict=False):
            if other > one:
                chosen = order[one:other]
                writer.put(places[chosen] - first, records[chosen])

    def finish(self) -> tuple[Shard, ...]:
        """Sync the shards, give them their names, bring them where they belong. Raises SubgridError."""
        found = []
        with self._open:
            for name, writer in zip(self.cut.names, self.writers, strict=True):
                crc = writer.finish()
                self.store.deliver(f"{self.folder}/{name}")
                rows = writer.size // self.cut.stride
                found.append(Shard(name=name, split=self.cut.split, rows=rows, bytes=writer.size, crc32c=crc))
        return tuple(found)

    def __enter__(self) -> "GroupShards":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
