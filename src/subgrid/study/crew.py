"""Processes that run side by side, at most so many at a time, each with its share of the machine; ended together."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import SimpleQueue
from typing import TypeVar

from subgrid.errors import SettingsError

Say = Callable[[str], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Crew:
    """Runs commands side by side.

    Args:
        size: how many at a time; with more than one, each gets an equal share of the cores, and the GPUs in turn.

    Raises:
        SettingsError: a size below one.
    """

    def __init__(self, size: int = 1) -> None:
        if size < 1:
            raise SettingsError(f"--jobs: expected a number of processes from 1 on, found {size}")
        self.size = size
        self._children: set[subprocess.Popen[str]] = set()
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._places: SimpleQueue[int] = SimpleQueue()
        for place in range(size):
            self._places.put(place)

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[Result]:
        """Results of ``work`` for all items, as they come; an error of one, or of who asks, ends all processes."""
        with ThreadPoolExecutor(self.size) as pool:
            futures = [pool.submit(self._watched, work, item) for item in items]
            try:
                for future in as_completed(futures):
                    if not future.exception():
                        yield future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._end()
        if self._error:
            raise self._error

    def run(self, command: Sequence[str], say: Say) -> tuple[int, str]:
        """Run a command and pass on what it says on standard error; its exit code and its error."""
        place = self._places.get()
        try:
            child = self._start(command, {**os.environ, **share(place, self.size)})
            try:
                return _listen(child, say)
            finally:
                with self._guard:
                    self._children.discard(child)
        finally:
            self._places.put(place)

    def pause(self, seconds: float) -> None:
        """Wait; raises SystemExit when all is ended meanwhile."""
        if self._ended.wait(seconds):
            raise SystemExit(128 + signal.SIGTERM)

    def _watched(self, work: Callable[[Item], Result], item: Item) -> Result:
        self.pause(0)
        try:
            return work(item)
        except BaseException as error:
            self._error = self._error or error  # those that are ended for it end with errors of their own
            self._end()
            raise

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        with self._guard:
            self.pause(0)
            child = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", env=environment
            )
            self._children.add(child)
        return child

    def _end(self) -> None:
        with self._guard:
            if self._ended.is_set():  # a second signal would cut short what the first one began
                return
            self._ended.set()
            for child in self._children:
                child.terminate()  # it saves; after a Ctrl-C, which it got too, this changes nothing


def _listen(child: subprocess.Popen[str], say: Say) -> tuple[int, str]:
    error = ""
    assert child.stderr
    with child.stderr:
        for text in map(str.rstrip, child.stderr):
            if text.startswith("error: "):
                error = text.removeprefix("error: ")
            elif text:
                say(text)
    code = child.wait()
    return code, error or f"it ended with exit code {code}" + (" (out of memory?)" if code == -signal.SIGKILL else "")


def _cores() -> int:
    """That this process may use, where the system tells (Linux), else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(place: int, size: int) -> dict[str, str]:
    """What a process in one of ``size`` places finds in its environment: its number of threads, and its GPU if any."""
    if size == 1:
        return {}
    import torch

    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    devices = seen.split(",") if seen else [str(number) for number in range(torch.cuda.device_count())]
    threads = {"OMP_NUM_THREADS": str(max(1, _cores() // size))}
    return {**threads, "CUDA_VISIBLE_DEVICES": devices[place % len(devices)]} if devices else threads
