"""Names, pointers and folders of checkpoints."""

import os
from pathlib import Path

import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.training import folder


def complete(run: Path, *names: str) -> None:
    for name in names:
        (run / "checkpoints" / name).mkdir(parents=True)


def test_latest_is_meant_without_a_name(tmp_path: Path) -> None:
    complete(tmp_path, "1", "2")
    folder.write_pointer(tmp_path, "latest", "2")
    folder.write_pointer(tmp_path, "best", "1")
    assert folder.find_checkpoint(tmp_path).name == "2"
    assert folder.find_checkpoint(f"{tmp_path}@latest").name == "2"
    assert folder.find_checkpoint(f"{tmp_path}@best").name == "1"
    assert folder.find_checkpoint(f"{tmp_path}@1").name == "1"


def test_a_folder_may_have_an_at_in_its_name(tmp_path: Path) -> None:
    run = tmp_path / "me@home"
    complete(run, "1")
    folder.write_pointer(run, "latest", "1")
    assert folder.find_checkpoint(run) == folder.find_checkpoint(f"{run}@1") == run / "checkpoints" / "1"


@pytest.mark.parametrize("name", ["../../x", "..", "", "/etc", ".writing-1", "a/b", "a\\b", "a\nb"])
def test_a_name_does_not_leave_the_run(tmp_path: Path, name: str) -> None:
    complete(tmp_path, "1")
    with pytest.raises(SettingsError, match="not the name of a checkpoint"):
        folder.find_checkpoint(f"{tmp_path}@{name}")
    (tmp_path / "latest").write_text(name)
    with pytest.raises(DatasetError, match="expected the name of a checkpoint"):
        folder.find_checkpoint(tmp_path)


def test_absent_checkpoints_and_runs_are_named(tmp_path: Path) -> None:
    complete(tmp_path, "1", ".writing-2", ".removed-0")
    with pytest.raises(DatasetError, match="no checkpoint '9'; there are: 1$"):
        folder.find_checkpoint(f"{tmp_path}@9")
    with pytest.raises(DatasetError, match="subgrid train"):
        folder.find_checkpoint(tmp_path / "absent")


def test_a_checkpoint_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), folder.new_checkpoint(tmp_path, "1") as aside:
        (aside / "model").write_text("half")
        assert folder.checkpoint_names(tmp_path) == []
        raise RuntimeError
    assert list((tmp_path / "checkpoints").iterdir()) == []
    with folder.new_checkpoint(tmp_path, "1") as aside:
        (aside / "model").write_text("whole")
    assert (tmp_path / "checkpoints" / "1" / "model").read_text() == "whole"


def test_what_nothing_points_to_is_removed(tmp_path: Path) -> None:
    complete(tmp_path, "1", "2", "3", ".writing-4", ".removed-0")
    (tmp_path / ".latest.new").write_text("3")
    (tmp_path / "recipe.yaml").write_text("")
    folder.keep_only(tmp_path, {"1", "3"})
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["1", "3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "recipe.yaml"]


def test_a_pointer_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_pointer(tmp_path, "latest", "1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        folder.write_pointer(tmp_path, "latest", "2")
    assert folder.read_pointer(tmp_path, "latest") == "1"


def test_a_checkpoint_that_goes_while_it_is_read_is_followed_by_the_next(tmp_path: Path) -> None:
    """As ``predict RUN`` meets a training that goes on."""
    complete(tmp_path, "1", "2")
    folder.write_pointer(tmp_path, "latest", "1")

    def read(path: Path) -> str:
        if path.name == "1":
            folder.write_pointer(tmp_path, "latest", "2")
            folder.keep_only(tmp_path, {"2"})
            raise DatasetError("a file of it is gone")
        return path.name

    assert folder.followed(tmp_path, read) == "2"
    with pytest.raises(DatasetError, match="there is no checkpoint '1'"):
        folder.followed(f"{tmp_path}@1", read)


def test_a_pointer_that_moves_while_it_is_followed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(tmp_path, "2")
    folder.write_pointer(tmp_path, "latest", "2")
    answers, read = ["1"], folder.read_pointer
    monkeypatch.setattr(folder, "read_pointer", lambda *given: answers.pop() if answers else read(*given))
    assert folder.find_checkpoint(tmp_path).name == "2"


def test_a_damaged_checkpoint_that_stays_is_told(tmp_path: Path) -> None:
    complete(tmp_path, "1")
    folder.write_pointer(tmp_path, "latest", "1")

    def read(path: Path) -> None:
        raise DatasetError("damaged")

    with pytest.raises(DatasetError, match="damaged"):
        folder.followed(tmp_path, read)
