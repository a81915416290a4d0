"""Groups made by the workers of a Dask cluster: groups go there as jobs, what they made goes straight to the output.

Workers must see output and source under the same path or URL, and have subgrid installed. The blueprint is not sent:
a worker reads it, once, from where the build lies. A worker that is killed loses the groups it had open, which the
scheduler gives to others.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from subgrid.errors import DatasetError, MissingExtraError, SubgridError
from subgrid.records.blueprint import Blueprint, read_blueprint
from subgrid.records.group import GroupJob, build_groups
from subgrid.records.plan import Group
from subgrid.records.store import LocalStore, Store
from subgrid.records.workers import Meter
from subgrid.source.blocks import BlockSource
from subgrid.source.locations import Location
from subgrid.source.retries import reason
from subgrid.source.steps import Step

_PATIENCE = 30
"""Seconds to wait for the scheduler's first answer."""

_DESERTED = 600.0
"""Seconds without a single worker after which a build ends.

A nanny whose worker is killed while it starts gives up, and a scheduler that has lost all of them waits for others
without end. The jobs of a queue may well need some minutes to begin.
"""

_LOOK = 5.0
"""Seconds between two looks whether there is a worker."""

_AHEAD = 2
"""Groups sent for every thread of the cluster: jobs carry names of steps, and a plan may have thousands of groups."""

_reading = Lock()


@dataclass(frozen=True)
class Sent:
    """A ``GroupJob`` without what its worker can read for itself."""

    store: Store
    build: str
    source: Location | BlockSource
    group: Group
    files: dict[str, Step]
    skip_bad: bool
    listed: bool

    @classmethod
    def of(cls, job: GroupJob, store: Store) -> "Sent":
        """The job for a worker in another working folder."""
        return cls(store, job.blueprint.digest, job.source.absolute(), job.group, job.files, job.skip_bad, job.listed)

    def make(self) -> int | SubgridError:
        """Make the group; returns its rows, or the error that stopped it.

        The error is a bare one: with its traceback and the errors behind it, it might not travel.
        """
        try:
            return self._make()
        except SubgridError as error:
            return type(error)(str(error))

    def _make(self) -> int:
        with _reading:  # the threads of a worker read it once, not each a plan of 100 MB
            blueprint = _blueprint(self.store, self.build)
        job = GroupJob(self.store, blueprint, self.source, self.group, self.files, self.skip_bad, self.listed)
        build_groups([job])
        return job.rows


@lru_cache(maxsize=4)
def _blueprint(store: Store, digest: str) -> Blueprint:
    found = read_blueprint(store)
    if found.digest != digest:
        raise DatasetError(f"{store.label()}: a worker of the cluster finds another build there")
    return found


def run_on_cluster(jobs: Sequence[GroupJob], address: str, meter: Meter) -> None:
    """Make groups on a cluster.

    Raises:
        MissingExtraError: Dask is not installed.
        InputError: a step cannot be used; groups that are done stay done.
        SubgridError: no scheduler at the address, no worker for ten minutes, or the workers of a group were killed
            again and again.
    """
    if not jobs:
        return
    store = jobs[0].out if not isinstance(jobs[0].out, Path) else LocalStore(jobs[0].out)
    if isinstance(store, LocalStore):
        store = replace(store, folder=store.folder.resolve())
    with _client(address) as client:
        waiting = iter(jobs)
        threads = max(1, sum(client.nthreads().values()))

        def send(count: int) -> set[Any]:
            return {client.submit(Sent.make, Sent.of(job, store), pure=False) for job in islice(waiting, count)}

        under_way = send(_AHEAD * threads)
        while under_way:
            ended = _first_ended(client, under_way)
            under_way -= ended
            for future in ended:
                meter.add(_result(future))
            under_way |= send(len(ended))


def _first_ended(client: Any, under_way: set[Any]) -> set[Any]:
    """Groups that were made or failed, one at least; raises SubgridError where there is nobody left to make any."""
    from distributed import wait

    deadline = time.monotonic() + _DESERTED
    while True:
        with suppress(TimeoutError, CancelledError), client.as_current():
            wait(under_way, timeout=_LOOK, return_when="FIRST_COMPLETED")
        if ended := {future for future in under_way if future.status != "pending"}:
            return ended
        with suppress(OSError, TimeoutError):  # a lost scheduler: the groups are cancelled, and tell
            if client.nthreads():
                deadline = time.monotonic() + _DESERTED
        if time.monotonic() > deadline:
            raise SubgridError(
                f"the cluster has had no worker for {_DESERTED:.0f} s; finished groups are kept: start workers and run "
                "the same command again"
            )


def _result(future: Any) -> int:
    """Rows of a group that was made."""
    from distributed import KilledWorker

    try:
        result = future.result()
    except KilledWorker as error:
        raise SubgridError(
            "the workers that made a group were killed one after the other (out of memory?); finished groups are kept: "
            "give the workers fewer threads or more memory and run the same command again"
        ) from error
    except (CancelledError, TimeoutError) as error:
        raise SubgridError(
            "the cluster's scheduler was lost; finished groups are kept: start one and run the same command again"
        ) from error
    if isinstance(result, SubgridError):
        raise result
    return int(result)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of a scheduler; when it leaves, what it had sent is forgotten there."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("a cluster needs Dask; pip install 'subgrid[dask]'") from error
    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SubgridError(f"{address}: no Dask scheduler answers there ({reason(error)})") from error
    try:
        yield client
    finally:
        client.close()
