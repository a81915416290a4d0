"""Small files appear whole or not at all."""

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from subgrid.errors import DatasetError, SubgridError
from subgrid.records import files


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("first", "second"):
        files.write_whole(path, lambda aside, text=text: aside.write_text(text))
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_appears_after_the_contents_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, events = tmp_path / "a.txt", []
    sync, replace = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        events.append(("sync", Path(os.readlink(f"/proc/self/fd/{handle}")).name))
        sync(handle)

    def noted_replace(one: Path, other: Path) -> None:
        events.append(("rename", Path(other).name))
        replace(one, other)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    files.write_whole(path, lambda aside: aside.write_text("whole"))
    (_, aside), renamed, folder = events
    assert aside.startswith(".a.txt.partial-") and renamed == ("rename", "a.txt") and folder == ("sync", tmp_path.name)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("NetCDF: No space left on device")],
)
def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path, error: Exception) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def half(aside: Path) -> None:
        aside.write_text("ha")
        raise error

    with pytest.raises(SubgridError, match=r"a\.json: cannot be written \(.*No space left on device\)"):
        files.write_whole(path, half)
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(SubgridError, match=r"a\.json: cannot be written \(Input/output error\)"):
        files.write_json(path, {"new": 1})
    assert list(tmp_path.iterdir()) == [path] and path.read_text() == "old"


def test_errors_of_ours_and_interrupts_pass_as_they_are(tmp_path: Path) -> None:
    for error in (DatasetError("mine"), KeyboardInterrupt()):

        def fail(aside: Path, error: BaseException = error) -> None:
            aside.write_text("half")
            raise error

        with pytest.raises(type(error)) as caught:
            files.write_whole(tmp_path / "a", fail)
        assert caught.value is error and list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubgridError, match=r"gone/a: cannot be written \(No such file"):
        files.write_whole(tmp_path / "gone" / "a", lambda aside: aside.write_text("x"))


def test_json_is_readable_by_others(tmp_path: Path) -> None:
    data = {"a": [1, 2.5, None], "b": {"c": "ä"}}
    files.write_json(tmp_path / "a.json", data)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == data and text.endswith("}\n")


def test_a_full_disk_is_told_as_such_whatever_a_library_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(aside: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(SubgridError, match=r"one\.nc: cannot be written \(Permission denied\)"):
        files.write_whole(tmp_path / "one.nc", refuse)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=0))
    with pytest.raises(SubgridError, match=r"one\.nc: cannot be written \(No space left on device\); nothing is lost"):
        files.write_whole(tmp_path / "one.nc", refuse)
