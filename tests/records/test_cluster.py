"""Groups made by a real cluster of processes on this machine, which are killed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import netCDF4
import pytest

from servers import s3_server
from subgrid.errors import DatasetError, InputError, SubgridError
from subgrid.records import cluster as module
from subgrid.records.build import Prepared, Running, build
from subgrid.records.cluster import Sent, run_on_cluster
from subgrid.records.group import GroupJob
from subgrid.records.ledger import done_groups
from subgrid.records.manifest import read_manifest
from subgrid.records.plan import Part
from subgrid.records.store import LocalStore, Store, as_store
from subgrid.records.workers import Meter

Ready = Callable[..., Prepared]


@contextmanager
def workers(count: int, threads: int = 1) -> Iterator[Any]:
    """Worker processes, each begun again by its nanny when it is killed."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=count, threads_per_worker=threads, processes=True, dashboard_address=None, silence_logs=50
    ) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster that tests share."""
    with workers(2) as running:
        yield running


def job_of(prepared: Prepared, out: Path, number: int = 0) -> GroupJob:
    group = prepared.blueprint.groups[number]
    files = {label: prepared.steps[label] for label in group.steps}
    return GroupJob(out, prepared.blueprint, prepared.source, group, files, False)


def test_a_job_is_small_and_makes_its_group_anywhere(
    ready: Ready, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = ready()
    prepared.blueprint.lay(tmp_path)
    job = job_of(prepared, tmp_path)
    sent = Sent.of(job, LocalStore(tmp_path))
    monkeypatch.chdir("/")
    assert sent.make() == job.rows == 48
    assert done_groups(tmp_path, prepared.blueprint.groups) == [job.group]
    name = "shards/training-00000.tfrecord"
    assert (tmp_path / name).read_bytes() == (built / name).read_bytes()


def test_the_threads_of_a_worker_read_the_blueprint_once(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, read, seen = ready(), module.read_blueprint, []
    prepared.blueprint.lay(tmp_path)

    def slow(store: Store) -> Any:
        seen.append(store)
        time.sleep(0.2)
        return read(store)

    monkeypatch.setattr(module, "read_blueprint", slow)
    sent = [Sent.of(job_of(prepared, tmp_path, number), LocalStore(tmp_path)) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(Sent.make, sent)) == [48, 48, 48, 48]
    assert len(seen) == 1


def test_a_worker_that_finds_another_build_refuses(ready: Ready, tmp_path: Path) -> None:
    ready(seed=3).blueprint.lay(tmp_path)
    found = Sent.of(job_of(ready(), tmp_path), LocalStore(tmp_path)).make()
    assert isinstance(found, DatasetError) and "a worker of the cluster finds another build there" in str(found)


def test_without_a_scheduler_there_is_an_error(ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    with pytest.raises(SubgridError, match="tcp://127.0.0.1:9: no Dask scheduler answers there"):
        run_on_cluster([job_of(ready(), tmp_path)], "tcp://127.0.0.1:9", Meter(1, None))
    run_on_cluster([], "tcp://127.0.0.1:9", Meter(1, None))


@pytest.mark.slow
def test_a_cluster_makes_the_same_data_set_though_a_worker_is_killed(
    ready: Ready, built: Path, tmp_path: Path, cluster: Any
) -> None:
    seen: list[int] = []

    def kill_once(rows: int, total: int) -> None:
        seen.append(rows)
        if len(seen) == 2:
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    manifest = build(ready(), tmp_path, Running(scheduler=cluster.scheduler_address, progress=kill_once))
    assert manifest is not None and manifest.digest == read_manifest(built).digest
    assert seen[-1] == 19 * 24 and seen == sorted(seen)
    shards = {path.name: path.read_bytes() for path in (built / "shards").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == shards


@pytest.mark.slow
@pytest.mark.parametrize("remote", [False, True])
def test_threads_of_one_worker_make_the_same_data_set(
    ready: Ready, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: bool
) -> None:
    """They share the blueprint, which none has read yet, the libraries below netCDF4, and scratch space."""
    with ExitStack() as stack:
        if remote:
            for name, value in stack.enter_context(s3_server(tmp_path / "log")).items():
                monkeypatch.setenv(name, value)
            pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
            fsspec.filesystem("s3").mkdir("threads")
        out = as_store("s3://threads/data" if remote else tmp_path / "out", tmp_path / "scratch")
        cluster = stack.enter_context(workers(1, threads=6))
        manifest = build(ready(), out, Running(scheduler=cluster.scheduler_address))
    assert manifest is not None and manifest.digest == read_manifest(built).digest


@pytest.mark.slow
def test_a_cluster_without_workers_ends_the_build_and_one_with_workers_goes_on(
    ready: Ready, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where every worker was killed while it started, or a queue never begins its jobs."""
    monkeypatch.setattr(module, "_DESERTED", 1.0)
    monkeypatch.setattr(module, "_LOOK", 0.2)
    with workers(2) as cluster:
        running = Running(scheduler=cluster.scheduler_address, progress=lambda rows, total: cluster.scale(0))
        with pytest.raises(SubgridError, match="the cluster has had no worker for 1 s; finished groups are kept"):
            build(ready(), tmp_path, running)
        cluster.scale(2)
        manifest = build(ready(), tmp_path, Running(scheduler=cluster.scheduler_address))
    assert manifest is not None and manifest.digest == read_manifest(built).digest


@pytest.mark.slow
def test_workers_that_are_killed_several_times_leave_no_trace(ready: Ready, built: Path, tmp_path: Path) -> None:
    """Two or three processes killed in one build, while groups are under way, on a cluster of its own."""
    killed: list[int] = []

    def kill(rows: int, total: int) -> None:
        worker = list(cluster.workers.values())[len(killed) % 2]
        at_work = worker.worker_address in cluster.scheduler.workers  # a nanny gives up one that is killed as it starts
        if len(killed) < 3 and at_work and worker.pid not in killed:
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    with workers(2) as cluster:
        cluster.scheduler.allowed_failures = 10  # a group may be in the hands of several of those that die
        manifest = build(ready(), tmp_path, Running(scheduler=cluster.scheduler_address, progress=kill))
    assert len(killed) >= 2
    assert manifest is not None and manifest.digest == read_manifest(built).digest
    shards = {path.name: path.read_bytes() for path in (built / "shards").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "shards").iterdir()} == shards


@dataclass(frozen=True)
class Deadly(LocalStore):
    """A store that kills whoever writes the shard of group 3: as where its memory runs out."""

    def place(self, name: str) -> Path:
        if "training-00003" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().place(name)


@pytest.mark.slow
def test_a_group_that_kills_every_worker_ends_the_build_and_the_next_one_goes_on(
    ready: Ready, built: Path, tmp_path: Path, cluster: Any
) -> None:
    prepared, out = ready(), tmp_path / "out"
    told = "the workers that made a group were killed one after the other .* finished groups are kept: give the workers"
    with pytest.raises(SubgridError, match=told):
        build(prepared, Deadly(out), Running(scheduler=cluster.scheduler_address))
    assert not (out / "dataset.json").exists()
    done = {group.name for group in done_groups(out, prepared.blueprint.groups)}
    assert "training-00003" not in done
    if not done:  # the deadly group may have come before every other on these two workers
        build(prepared, out, Running(Part(1, 13)))
        done = {group.name for group in done_groups(out, prepared.blueprint.groups)}
    times = {name: (out / "parts" / f"{name}.json").stat().st_mtime_ns for name in done}
    manifest = build(prepared, out)
    assert manifest is not None and manifest.digest == read_manifest(built).digest
    assert done and times == {name: (out / "parts" / f"{name}.json").stat().st_mtime_ns for name in done}


@pytest.mark.slow
def test_a_bad_step_is_named_and_the_cluster_stays_usable(
    ready: Ready, built: Path, copied: Path, tmp_path: Path, cluster: Any
) -> None:
    prepared = ready(copied)
    path = next(copied.rglob(f"*.mlo.{prepared.blueprint.groups[4].steps[0]}.nc"))
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole)
    with netCDF4.Dataset(path, "a") as file:
        file["state_t"][...] = float("nan")
    running = Running(scheduler=cluster.scheduler_address)
    with pytest.raises(InputError, match=rf"{path.name}: state_t holds 1440 NaN"):
        build(prepared, tmp_path / "out", running)
    path.write_bytes(whole)
    manifest = build(prepared, tmp_path / "out", running)
    assert manifest is not None and manifest.digest == read_manifest(built).digest
