"""A shard appears whole or not at all, whatever stops its writer."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from subgrid.errors import SubgridError
from subgrid.records import shard
from subgrid.records.shard import ShardWriter, remove_partials

STRIDE = 64


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, STRIDE), dtype=np.uint8)


@pytest.fixture(params=["memory", "mapping"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small shards are filled in memory, large ones through a mapping of their file."""
    monkeypatch.setattr(shard, "IN_MEMORY", {"memory": 10**9, "mapping": 0}[request.param])
    return request.param


def open_files() -> int:
    """How many files this process has open, 0 where the system does not say."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = sys.platform == "linux" and os.geteuid() == 0
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("a full disk needs a small tmpfs, and only root may mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # lazily: a failing test may hold a file open


@pytest.mark.usefixtures("way")
def test_rows_stand_at_their_places(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.tfrecord", rows_of(100)
    places = np.random.default_rng(1).permutation(100)
    with ShardWriter(path, 100, STRIDE) as writer:
        for start in range(0, 100, 7):
            writer.put(places[start : start + 7], rows[start : start + 7])
        assert writer.size == 6400 and not path.exists()
        checksum = writer.finish()
    found = np.fromfile(path, dtype=np.uint8).reshape(100, STRIDE)
    np.testing.assert_array_equal(found[places], rows)
    assert checksum == google_crc32c.value(path.read_bytes())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("way")
def test_shards_of_several_sizes_side_by_side(tmp_path: Path) -> None:
    """Memory of a finished shard serves the next; none may show in another, larger, smaller or open at the time."""
    sizes = [500, 20, 40_000, 500, 1]
    writers = [ShardWriter(tmp_path / f"first-{size}-{place}", size, STRIDE) for place, size in enumerate(sizes)]
    for seed, writer in enumerate(writers):
        rows = rows_of(sizes[seed], seed)
        writer.put(np.arange(len(rows)), rows)
    for seed, writer in enumerate(writers):
        writer.finish()
        with ShardWriter(tmp_path / f"second-{seed}", 30, STRIDE) as other:
            other.put(np.arange(30), rows_of(30, 100 + seed))
            other.finish()
    for seed, writer in enumerate(writers):
        assert writer.path.read_bytes() == rows_of(sizes[seed], seed).tobytes()
        assert (tmp_path / f"second-{seed}").read_bytes() == rows_of(30, 100 + seed).tobytes()


@pytest.mark.usefixtures("way")
def test_a_shard_is_readable_by_others_as_the_mask_says(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        with ShardWriter(tmp_path / "a", 1, STRIDE) as writer:
            writer.finish()
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, None])
def test_what_was_not_finished_is_removed(tmp_path: Path, stop: type[BaseException] | None) -> None:
    path, files = tmp_path / "a.tfrecord", open_files()
    path.write_bytes(b"older")
    with suppress(RuntimeError, KeyboardInterrupt), ShardWriter(path, 10, STRIDE) as writer:
        writer.put(np.arange(3), rows_of(3))
        if stop:
            raise stop
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"older"
    assert open_files() == files


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, failing, fail)
    files = open_files()
    expected = r"a\.tfrecord: .*Input/output error.*run the same command again"
    with pytest.raises(SubgridError, match=expected), ShardWriter(tmp_path / "a.tfrecord", 10, STRIDE) as writer:
        writer.finish()
    assert list(tmp_path.iterdir()) == [] and open_files() == files


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("place", ["crc32c", "sync"])
def test_an_interrupt_at_the_end_is_still_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shard, place, stop)
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / "a.tfrecord", 10, STRIDE) as writer:
        writer.finish()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_told_and_nothing_stays(small_disk: Path, way: str) -> None:
    files = open_files()
    expected = r"b\.tfrecord: a shard of 2048000 bytes cannot be written .No space left on device.*make room"
    with pytest.raises(SubgridError, match=expected), ShardWriter(small_disk / "b.tfrecord", 32_000, STRIDE) as writer:
        assert way == "memory"  # a mapping's space is reserved before
        writer.put(np.arange(32_000), rows_of(32_000))
        writer.finish()
    assert list(small_disk.iterdir()) == [] and open_files() == files
    with ShardWriter(small_disk / "c.tfrecord", 8_000, STRIDE) as writer:
        writer.put(np.arange(8_000), rows_of(8_000))
        with pytest.raises(SubgridError), ShardWriter(small_disk / "d.tfrecord", 24_000, STRIDE) as other:
            other.finish()
        writer.finish()
    assert [path.name for path in small_disk.iterdir()] == ["c.tfrecord"]
    assert (small_disk / "c.tfrecord").read_bytes() == rows_of(8_000).tobytes()


@pytest.mark.parametrize(("limit", "call"), [(0, "posix_fallocate"), (10**9, "pwrite")])
def test_a_refused_reservation_or_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, call: str
) -> None:
    """As on a full disk, also where nobody may mount a small one."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shard, "IN_MEMORY", limit)
    monkeypatch.setattr(os, call, full)
    files = open_files()
    expected = "a shard of 640 bytes cannot be written .No space left on device"
    with pytest.raises(SubgridError, match=expected), ShardWriter(tmp_path / "a", 10, STRIDE) as writer:
        writer.finish()
    assert list(tmp_path.iterdir()) == [] and open_files() == files


def test_a_disk_that_takes_a_little_at_a_time_gets_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, place: write(file, data[:100], place))
    with ShardWriter(tmp_path / "a", 50, STRIDE) as writer:
        writer.put(np.arange(50), rows_of(50))
        writer.finish()
    assert (tmp_path / "a").read_bytes() == rows_of(50).tobytes()


KILLED = """
import os, pathlib, signal, sys
from subgrid.records.shard import ShardWriter
writer = ShardWriter(pathlib.Path(sys.argv[1]), 10, 64)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.usefixtures("way")
def test_what_a_killed_writer_left_is_removed_and_a_living_ones_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert len(list(tmp_path.iterdir())) == 1 and not path.exists()
    (tmp_path / ".b.tfrecord.partial-1").write_bytes(b"another shard's")
    with ShardWriter(path, 5, STRIDE) as writer:
        remove_partials(path)
        assert len(list(tmp_path.iterdir())) == 2
        writer.put(np.arange(5), rows_of(5))
        writer.finish()
    remove_partials(path)
    assert sorted(item.name for item in tmp_path.iterdir()) == [".b.tfrecord.partial-1", "a.tfrecord"]
    assert path.read_bytes() == rows_of(5).tobytes()


@pytest.mark.usefixtures("way")
def test_a_shard_that_a_twin_sweeps_before_it_is_locked_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two builders of one part: what one has just created looks to the other like what a killed one left."""
    path, files, lock, swept = tmp_path / "a.tfrecord", open_files(), fcntl.flock, []

    def late(file: int, how: int) -> None:
        if not swept:
            swept.append(file)
            remove_partials(path)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with ShardWriter(path, 10, STRIDE) as writer:
        writer.put(np.arange(10), rows_of(10))
        writer.finish()
    assert swept and path.read_bytes() == rows_of(10).tobytes() and open_files() == files
