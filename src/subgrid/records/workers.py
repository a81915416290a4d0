"""Groups made in this process or by local worker processes, which end with it however it ends."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from threading import Thread
from typing import overload

from subgrid.errors import SubgridError
from subgrid.records.group import GroupJob, build_groups
from subgrid.records.plan import Group

_LOT = 4  # groups that a worker takes at once: while one is synced it fills the next


@dataclass(frozen=True)
class Jobs(Sequence[GroupJob]):
    """Jobs of one build, made when asked for: each carries the names of its steps, and a plan has thousands."""

    groups: Sequence[Group]
    job_of: Callable[[Group], GroupJob]

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, place: int) -> GroupJob: ...

    @overload
    def __getitem__(self, place: slice) -> list[GroupJob]: ...

    def __getitem__(self, place: int | slice) -> GroupJob | list[GroupJob]:
        """The job at a place, or those of a slice."""
        if isinstance(place, slice):
            return [self.job_of(group) for group in self.groups[place]]
        return self.job_of(self.groups[place])


class Meter:
    """Adds up rows for whoever watches."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def add(self, rows: int) -> None:
        """So many more are done."""
        self.done += rows
        if self.progress:
            self.progress(min(self.done, self.total), self.total)


def run(jobs: Sequence[GroupJob], workers: int, meter: Meter) -> None:
    """Make groups, in this process or in so many of their own.

    Raises:
        InputError: a step cannot be used; groups that are done stay done.
        SubgridError: the disk is full, a worker was killed.
    """
    if workers <= 1 or len(jobs) <= 1:
        build_groups(jobs, meter.add)
        return
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(min(workers, len(jobs)), context, initializer=_end_with_parent) as pool:
        try:
            _feed(pool, jobs, workers, meter)
        except BrokenProcessPool as error:
            raise SubgridError(
                "a worker process was killed (out of memory?); finished groups are kept: run the same command again, "
                "with fewer --workers if memory is short"
            ) from error
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            for worker in set(multiprocessing.active_children()) - others if interrupted else ():
                worker.terminate()  # a group is done or it is not; what was open is made again
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Leave Ctrl-C to the parent, and watch it: a worker whose parent was killed would wait for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
        os._exit(1)

    Thread(target=watch, name="parent", daemon=True).start()


def _feed(pool: ProcessPoolExecutor, jobs: Sequence[GroupJob], workers: int, meter: Meter) -> None:
    """Keep a few lots of groups under way."""
    lot = max(1, min(_LOT, len(jobs) // (2 * workers)))
    under_way: dict[Future, int] = {}
    for start in range(0, len(jobs), lot):
        if len(under_way) >= 2 * workers:
            _collect(under_way, meter)
        chosen = jobs[start : start + lot]
        rows = sum(len(job.group.steps) * job.blueprint.grid.columns for job in chosen)
        # A worker starts here and inherits the mask: Ctrl-C during its imports must not print a traceback.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            under_way[pool.submit(build_groups, chosen)] = rows
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    while under_way:
        _collect(under_way, meter)


def _collect(under_way: dict[Future, int], meter: Meter) -> None:
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        rows = under_way.pop(future)
        future.result()
        meter.add(rows)
