"""Order in closed form: permutations that follow from numbers alone.

``permutation(n, seed, ...)`` sorts the numbers 0 ... n-1 by a 64-bit hash of (seed, ..., number). The hash is a
bijection of the number, so there are no ties, and the result is the same on every machine and in every version of
every library: the bytes of a data set and the rows of a training run depend on it.

The order of a training run over one split: an epoch permutes the shards by (seed, epoch), cuts them into windows of W
shards and permutes the rows inside a window. Position p of the endless stream lies in epoch p // rows; any position is
found without replaying those before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

_GAMMA = 0x9E3779B97F4A7C15
_WORD = 0xFFFFFFFFFFFFFFFF


def _mix(value: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), a bijection of 64-bit words; uint64 arrays."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def hash_of(*numbers: int) -> int:
    """A 64-bit word that follows from a sequence of integers; different sequences give unrelated words."""
    state = np.array([len(numbers)], dtype=np.uint64)
    for number in numbers:
        state = _mix(state + np.uint64((number * _GAMMA + _GAMMA) & _WORD))
    return int(state[0])


def scattered(numbers: np.ndarray) -> np.ndarray:
    """A word for each number that looks drawn at random and is always the same, uint64; no two share one."""
    return _mix(np.asarray(numbers).astype(np.uint64) + np.uint64(_GAMMA))


def permutation(count: int, *key: int) -> np.ndarray:
    """A permutation of 0 ... count-1 that follows from ``key``; int64 (count,)."""
    counter = np.arange(count, dtype=np.uint64) * np.uint64(_GAMMA)
    return np.argsort(_mix(counter + np.uint64(hash_of(*key))))


@dataclass(frozen=True)
class Order:
    """The order of rows over the epochs of a run.

    Attributes:
        shard_rows: rows of each shard, in the manifest's order.
        seed: of the run.
        window: shards whose rows are mixed.
    """

    shard_rows: tuple[int, ...]
    seed: int
    window: int

    @cached_property
    def rows(self) -> int:
        """Rows of one epoch."""
        return sum(self.shard_rows)

    def windows(self, epoch: int) -> list["Window"]:
        """The windows of an epoch, in order."""
        return list(_windows(self, epoch))

    def locate(self, position: int) -> tuple[int, int, int]:
        """Epoch, index of the window in it, and place inside that window of a position of the endless stream."""
        epoch, place = divmod(position, self.rows)
        for index, window in enumerate(self.windows(epoch)):
            if place < window.rows:
                return epoch, index, place
            place -= window.rows
        raise AssertionError("windows cover an epoch")


@lru_cache(maxsize=8)
def _windows(order: Order, epoch: int) -> tuple["Window", ...]:
    shards = permutation(len(order.shard_rows), order.seed, epoch, 0)
    groups = [shards[start : start + order.window] for start in range(0, len(shards), order.window)]
    return tuple(
        Window(tuple(int(shard) for shard in group), tuple(order.shard_rows[shard] for shard in group),
               (order.seed, epoch, 1 + index))
        for index, group in enumerate(groups)
    )  # fmt: skip


@dataclass(frozen=True)
class Window:
    """A few shards whose rows are mixed.

    Attributes:
        shards: their indices.
        sizes: rows of each.
        key: what the permutation follows from.
    """

    shards: tuple[int, ...]
    sizes: tuple[int, ...]
    key: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of all shards of the window."""
        return sum(self.sizes)

    def order(self) -> tuple[np.ndarray, np.ndarray]:
        """Which of the window's shards and which row of it stands at each place, int32 (rows,) each."""
        places = permutation(self.rows, *self.key)
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        shard = np.searchsorted(starts, places, side="right") - 1
        return shard.astype(np.int32), (places - starts[shard]).astype(np.int32)


def spread(total: int, parts: int, part: int) -> int:
    """How many of ``total`` things fall to ``part`` of ``parts`` when they are spread evenly: sums to ``total``."""
    return total * (part + 1) // parts - total * part // parts


def cumulative(sizes: Sequence[int]) -> np.ndarray:
    """Starts of consecutive runs of the given sizes, with the total at the end; int64 (len(sizes) + 1,)."""
    return np.concatenate([[0], np.cumsum(np.asarray(sizes, dtype=np.int64))])
