"""Many files from the hub at once: what is there already, what it will take, who fetches which, what went wrong."""

import contextlib
import os
import queue
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread

from subgrid.errors import SubgridError
from subgrid.source.hub.pace import DownloadStoppedError
from subgrid.source.hub.repository import RemoteFile
from subgrid.source.hub.transfer import PARTIAL, AbsentError, FailedError, Request, Transfer, is_whole

_SHOWN_EVERY = 0.2  # s between two reports
_LEAVE = 5.0  # s that threads get to leave after Ctrl-C; what they wrote is sound wherever they stop
_HOPELESS = 5  # a download ends early after this many files per worker failed one after another
_SAMPLE_TIME, _SAMPLE_BYTES = 3.0, 64_000_000  # of a measurement of the rate


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is.

    Attributes:
        bytes, files: that are there, fetched now or before.
        total_bytes, total_files: of all that is wanted.
        fetched: bytes that came over the network since the start.
        seconds: since the start.
    """

    bytes: int
    total_bytes: int
    files: int
    total_files: int
    fetched: int
    seconds: float


@dataclass(frozen=True)
class Survey:
    """What of some files lies in a folder, by size.

    Attributes:
        there: files with the right size.
        missing: the others.
        begun: bytes of partial files of the missing.
        free: bytes free on the folder's disk.
    """

    there: list[RemoteFile]
    missing: list[RemoteFile]
    begun: int
    free: int

    @property
    def needed(self) -> int:
        """Bytes that the disk must still take."""
        return sum(file.size for file in self.missing) - self.begun


def survey(files: Iterable[RemoteFile], out: Path) -> Survey:
    """Compare a folder, which need not exist, with the files that are wanted in it."""
    there: list[RemoteFile] = []
    missing: list[RemoteFile] = []
    begun = 0
    sizes: dict[str, dict[str, int]] = {}  # by folder and name: one look into a folder, not one for each file
    for file in files:
        folder, _, name = file.name.rpartition("/")
        if folder not in sizes:
            sizes[folder] = _sizes(out / folder)
        if sizes[folder].get(name) == file.size:
            there.append(file)
        else:
            missing.append(file)
            begun += min(sizes[folder].get(f"{name}{PARTIAL}", 0), file.size)
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
    return Survey(there, missing, begun, shutil.disk_usage(existing).free)


def _sizes(folder: Path) -> dict[str, int]:
    """Sizes of the files in a folder, by name; none where there is no folder. Other processes may work in it."""
    found: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # renamed since it was seen
                found[entry.name] = entry.stat().st_size
    return found


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


@dataclass
class Outcome:
    """What became of a download.

    Attributes:
        there: files taken as they were.
        fetched: files fetched.
        absent: names that the hub lists but does not have.
        failed: why, by name.
        untried: files not asked for, because too many before them failed.
        bytes: that came over the network.
        seconds: that it took.
    """

    there: int = 0
    fetched: int = 0
    absent: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    untried: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass
class Download:
    """Fetches files into a folder; ``run`` once.

    Attributes:
        request: how to ask for them.
        out: the folder.
        files: what is wanted.
        workers: files fetched at once.
        verify: hash again what is there with the right size, and fetch it anew where it is wrong.
        report: called from the calling thread, several times a second.
    """

    request: Request
    out: Path
    files: Sequence[RemoteFile]
    workers: int = 8
    verify: bool = False
    report: Callable[[DownloadProgress], None] = lambda progress: None
    outcome: Outcome = field(default_factory=Outcome)
    _lock: Lock = field(default_factory=Lock)
    _total: int = 0
    _held: int = 0
    _row: int = 0
    _error: BaseException | None = None

    def run(self) -> Outcome:
        """Fetch all that is not there; returns what became of it, also where files failed.

        Raises SubgridError where nothing can be fetched: no access, or a full disk. What has come stays.
        """
        waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
        for file in self.files:
            waiting.put(file)
        pace, start = self.request.pace, time.monotonic()
        self._total = sum(file.size for file in self.files)
        threads = [Thread(target=self._work, args=(waiting,), daemon=True) for _ in range(self.workers)]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                pace.stop.wait(_SHOWN_EVERY)
                self._show(time.monotonic() - start)
                if pace.stop.is_set():
                    break
        finally:
            pace.stop.set()
            for thread in threads:
                thread.join(_LEAVE / self.workers)
        if self._error is not None:
            raise self._error
        self._show(time.monotonic() - start)
        outcome = self.outcome
        outcome.untried = len(self.files) - outcome.there - outcome.fetched - len(outcome.absent) - len(outcome.failed)
        outcome.seconds = time.monotonic() - start
        return outcome

    def _show(self, seconds: float) -> None:
        done = self.outcome.there + self.outcome.fetched
        self.report(DownloadProgress(self._held, self._total, done, len(self.files), self.outcome.bytes, seconds))

    def _work(self, waiting: "queue.SimpleQueue[RemoteFile]") -> None:
        pace = self.request.pace
        while not pace.stop.is_set():
            try:
                self._one(waiting.get_nowait())
            except (queue.Empty, DownloadStoppedError):
                return
            except BaseException as error:  # shown by the thread that called run
                self._error = error
                pace.stop.set()

    def _one(self, file: RemoteFile) -> None:
        """Take or fetch one file and write down what became of it."""
        outcome, path = self.outcome, self.out / file.name
        if self._is_there(path, file):
            with self._lock:
                outcome.there += 1
                self._held += file.size
            return
        transfer = Transfer(self.request, file, path, self._count)
        try:
            transfer.run()
        except AbsentError:
            outcome.absent.append(file.name)
        except FailedError as error:
            with self._lock:
                outcome.failed[file.name] = str(error)
                self._row += 1
            if self._row >= _HOPELESS * self.workers:
                self.request.pace.stop.set()
        else:
            with self._lock:
                outcome.fetched += 1
                self._row = 0

    def _is_there(self, path: Path, file: RemoteFile) -> bool:
        return _size(path) == file.size and (not self.verify or is_whole(path, file, self.request.pace))

    def _count(self, held: int, fetched: int) -> None:
        with self._lock:
            self._held += held
            self.outcome.bytes += fetched


def measure(request: Request, files: Sequence[RemoteFile], workers: int) -> float | None:
    """Bytes/s of a short transfer of some files that is thrown away, at most 3 s or 64 MB; None where nothing came.

    It opens as many connections as a download with ``workers`` does, and includes the time that opening takes.
    """
    start, received = time.monotonic(), [0] * workers
    waiting: queue.SimpleQueue[RemoteFile] = queue.SimpleQueue()
    for file in files[: 64 * workers]:
        waiting.put(file)

    def take(worker: int) -> None:
        with contextlib.suppress(queue.Empty, SubgridError):
            while not over():
                for count in _sample(request, waiting.get_nowait()):
                    received[worker] += count
                    if over():
                        return

    def over() -> bool:
        return time.monotonic() - start > _SAMPLE_TIME or sum(received) > _SAMPLE_BYTES

    threads = [Thread(target=take, args=(worker,), daemon=True) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, start + 2 * _SAMPLE_TIME - time.monotonic()))
    seconds, total = time.monotonic() - start, sum(received)
    return total / seconds if total else None


def _sample(request: Request, file: RemoteFile) -> Iterator[int]:
    """Lengths of the pieces of a file as they come; none where it is refused or cut."""
    import httpx2

    with contextlib.suppress(httpx2.HTTPError), request.open(file.name) as response:
        if response.status_code == 200:
            yield from (len(chunk) for chunk in response.iter_bytes())
