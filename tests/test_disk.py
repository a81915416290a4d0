"""Locks hold between processes and fall with them; where a file system has none, nobody is kept out."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from subgrid.disk import locked, reserve, sync, taken, unchanged
from subgrid.errors import SettingsError

HOLDS = """
import pathlib, sys, time
from subgrid.disk import locked
with locked(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_for_one_process_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    other = subprocess.Popen([sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "locked\n"
    with (
        pytest.raises(
            SettingsError, match=rf"^{folder}: another process is at work in this folder; wait for it or end"
        ),
        locked(folder),
    ):
        pass
    other.kill()
    other.wait()
    with locked(folder):
        pass


def test_a_folder_that_cannot_be_written_into_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (Path("/proc/nothing"), tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingsError, match=rf"^{folder}: cannot be written into \("), locked(folder):
            pass


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), locked(tmp_path / "new"):
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    with locked(tmp_path / "kept"):
        (tmp_path / "kept" / "file").write_text("x")
    with locked(tmp_path / "kept"):
        (tmp_path / "kept" / "file").unlink()
    assert os.listdir(tmp_path / "kept") == [".lock"], "it was there before"


def test_readers_share_a_folder_and_keep_writers_out(tmp_path: Path) -> None:
    with unchanged(tmp_path):
        assert os.listdir(tmp_path) == [], "nobody has ever written here"
    for nothing in (tmp_path / "gone", Path(__file__)):
        with unchanged(nothing):
            pass
    with locked(tmp_path), pytest.raises(SettingsError, match="at work in this folder"), unchanged(tmp_path):
        pass
    busy = pytest.raises(SettingsError, match="at work in this folder")
    with unchanged(tmp_path), unchanged(tmp_path), busy, locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_file_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with open(path, "wb") as one, open(path, "rb") as two:
        assert taken(one) and not taken(two)
        one.close()
        assert taken(two)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuses)
    with locked(tmp_path), locked(tmp_path):
        pass


def test_a_lock_that_fails_for_another_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", refuses)
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path):
        pass


def test_files_and_folders_are_synced_by_their_own_handles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(os.readlink(f"/proc/self/fd/{handle}")))
    (tmp_path / "a").write_text("a")
    sync(tmp_path / "a")
    sync(tmp_path)
    assert seen == [str(tmp_path / "a"), str(tmp_path)]
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "gone")


@pytest.mark.parametrize("known", [True, False], ids=["Linux", "macOS"])
def test_a_file_has_its_length_and_on_linux_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:
        monkeypatch.delattr(os, "posix_fallocate")
    with open(tmp_path / "file", "wb") as file:
        reserve(file.fileno(), 1 << 20)
    state = (tmp_path / "file").stat()
    assert state.st_size == 1 << 20 and (state.st_blocks * 512 >= 1 << 20) == known
