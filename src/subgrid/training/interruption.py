"""Ctrl-C, SIGTERM and the end of a segment's time become a wish that the loop grants between two steps, when the
weights are whole. Wishes are ordered: where processes of one run have different ones, the largest counts for all.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

_TERMINATED = 128 + signal.SIGTERM  # what shells report for a process that SIGTERM ended


class Wish(IntEnum):
    """What is to happen after a step."""

    GO_ON = 0
    SAVE = 1
    TIME_IS_UP = 2
    TERMINATE = 3
    INTERRUPT = 4

    @property
    def stops(self) -> bool:
        """Whether the segment ends."""
        return self > Wish.SAVE

    def end(self) -> BaseException:
        """How a process that was asked to stop ends: KeyboardInterrupt, or SystemExit(143) for SIGTERM."""
        return KeyboardInterrupt() if self == Wish.INTERRUPT else SystemExit(_TERMINATED)


class SegmentEndsError(Exception):
    """All processes have agreed to end this segment, and the run is saved; ``wish`` says why."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish.name)
        self.wish = wish


class Interruption:
    """Whether somebody asked this process to stop.

    Args:
        patient: do not give in to a second Ctrl-C: torchrun passes on the one that its processes got from the terminal.
    """

    def __init__(self, patient: bool = False) -> None:
        self.wish, self.patient = Wish.GO_ON, patient

    def __bool__(self) -> bool:
        return self.wish.stops

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: remember the first, give in to a second Ctrl-C at once."""
        if not self:
            self.wish = Wish.INTERRUPT if number == signal.SIGINT else Wish.TERMINATE
        elif number == signal.SIGINT and not self.patient:
            raise KeyboardInterrupt


@contextmanager
def interruption(patient: bool = False) -> Iterator[Interruption]:
    """Take over SIGINT and SIGTERM while the block runs; elsewhere than in the main thread, leave them alone."""
    wish = Interruption(patient)
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
