"""A shard appears whole or not at all, whatever stops its writer."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from subgrid.errors import SubgridError
from subgrid.records.shard import ShardWriter, remove_partials

STRIDE = 64


def rows_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, STRIDE), dtype=np.uint8)


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
    subprocess.run(["umount", str(folder)], check=True)


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


def test_a_shard_is_readable_by_others_as_the_mask_says(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        with ShardWriter(tmp_path / "a", 1, STRIDE) as writer:
            writer.finish()
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, None])
def test_what_was_not_finished_is_removed(tmp_path: Path, stop: type[BaseException] | None) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"older")
    try:
        with ShardWriter(path, 10, STRIDE) as writer:
            writer.put(np.arange(3), rows_of(3))
            if stop:
                raise stop
    except (RuntimeError, KeyboardInterrupt):
        pass
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == b"older"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, failing, fail)
    handles = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else None
    with pytest.raises(SubgridError, match=r"a\.tfrecord.*Input/output error.*run the same command again"):  # noqa: SIM117
        with ShardWriter(tmp_path / "a.tfrecord", 10, STRIDE) as writer:
            writer.finish()
    assert list(tmp_path.iterdir()) == []
    assert handles is None or len(os.listdir("/proc/self/fd")) == handles


def test_a_full_disk_is_an_error_before_anything_is_written(small_disk: Path) -> None:
    with pytest.raises(SubgridError, match=r"b\.tfrecord: no room for a shard of 2048000 bytes .*No space left"):
        ShardWriter(small_disk / "b.tfrecord", 32_000, STRIDE)
    assert list(small_disk.iterdir()) == []
    with ShardWriter(small_disk / "c.tfrecord", 8_000, STRIDE) as writer:
        with pytest.raises(SubgridError, match="no room"):
            ShardWriter(small_disk / "d.tfrecord", 16_000, STRIDE)
        writer.put(np.arange(8_000), rows_of(8_000))  # its space was reserved: the full disk does not reach it
        writer.finish()
    assert [path.name for path in small_disk.iterdir()] == ["c.tfrecord"]


def test_a_refused_reservation_closes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a full disk, also where nobody may mount a small one."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SubgridError, match="no room for a shard of 640 bytes .No space left on device"):
        ShardWriter(tmp_path / "a", 10, STRIDE)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, pathlib, signal, sys
from subgrid.records.shard import ShardWriter
writer = ShardWriter(pathlib.Path(sys.argv[1]), 10, 64)
os.kill(os.getpid(), signal.SIGKILL)
"""


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
