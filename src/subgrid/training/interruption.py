"""Ctrl-C and SIGTERM become a wish that the loop grants between two steps, when the weights are whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_TERMINATED = 128 + signal.SIGTERM  # what shells report for a process that SIGTERM ended


class Interruption:
    """Whether somebody asked the run to stop, and how it must end then."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: remember the first, give in to a second Ctrl-C at once."""
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def end(self) -> BaseException:
        """What to raise once all is saved: KeyboardInterrupt, or SystemExit(143) for SIGTERM."""
        return KeyboardInterrupt() if self.signal == signal.SIGINT else SystemExit(_TERMINATED)


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Take over SIGINT and SIGTERM while the block runs; elsewhere than in the main thread, leave them alone."""
    wish = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
