"""Files of a remote location fetched by threads before they are asked for, and dropped when they were.

What is held at any time are a few files: those asked for next. No raw file reaches a disk.
"""

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

from subgrid.source.locations import Location

AHEAD = 256_000_000
"""Bytes that may be held ahead of use, but two steps at least."""

TRANSFERS = 16
"""Files fetched at once: a hub answers in tenths of a second, a low-resolution step is encoded in a hundredth."""


def steps_ahead(step_bytes: int) -> int:
    """Steps to fetch ahead of the one in use, where each has about ``step_bytes`` in its two files."""
    return max(2, min(TRANSFERS, AHEAD // step_bytes))


class Ahead:
    """Reads a location's files; at most ``held`` of those named are fetched ahead, in that order. A context manager.

    Any other file is read when it is asked for.
    """

    def __init__(self, location: Location, names: Iterable[str], held: int) -> None:
        self.location, self.held = location, held
        self._names = iter(names)
        self._pool = ThreadPoolExecutor(min(held, TRANSFERS), thread_name_prefix="fetch")
        self._waiting: deque[tuple[str, Future]] = deque()

    def __enter__(self) -> "Ahead":
        self._refill()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._waiting.clear()

    def _refill(self) -> None:
        while len(self._waiting) < self.held and (name := next(self._names, None)) is not None:
            self._waiting.append((name, self._pool.submit(self.location.read, name)))

    def read(self, name: str, memory: np.ndarray | None = None) -> np.ndarray:
        """The bytes of one file, as ``Location.read``; those before it in the order are given up."""
        if not any(name == waiting for waiting, _ in self._waiting):
            return self.location.read(name, memory)
        while True:
            first, future = self._waiting.popleft()
            if first == name:
                break
            future.cancel()
        self._refill()
        return future.result()

    def label(self, name: str) -> str:
        """As ``Location.label``."""
        return self.location.label(name)
