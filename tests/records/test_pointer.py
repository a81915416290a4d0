"""Pointer files: written whole, read back, never mistaken, and without secrets."""

import json
from pathlib import Path

import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.pointer import read_pointer, write_pointer


def test_a_pointer_names_a_url_and_another_one_later(tmp_path: Path) -> None:
    path = tmp_path / "below" / "data.pointer"
    for url in ("gs://one/data", "s3://other/deep/data"):
        assert write_pointer(path, url) == url == read_pointer(path)
    assert [item.name for item in path.parent.iterdir()] == ["data.pointer"]
    assert json.loads(path.read_text())["format"] == "subgrid-pointer/1"


def test_a_folder_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pointer(Path("pointer"), "data")
    assert read_pointer(Path("pointer")) == str(tmp_path / "data")


@pytest.mark.parametrize("content", [b"", b"gs://bucket/data", b"{}", b"[1]", b'{"format": "other"}', b"\xff\xfe"])
def test_nothing_else_is_taken_for_a_pointer(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert read_pointer(path) is None
    with pytest.raises(SettingsError, match="exists and is no pointer"):
        write_pointer(path, "gs://bucket/data")
    assert path.read_bytes() == content


def test_a_folder_is_no_pointer(tmp_path: Path) -> None:
    assert read_pointer(tmp_path) is None and read_pointer(tmp_path / "absent") is None
    with pytest.raises(SettingsError, match="no pointer"):
        write_pointer(tmp_path, "gs://bucket/data")


@pytest.mark.parametrize("data", [{"format": "subgrid-pointer/2", "url": "a"}, {"format": "subgrid-pointer/1"}])
def test_a_damaged_pointer_is_refused(data: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "pointer").write_text(json.dumps(data))
    with pytest.raises(DatasetError, match="expected a pointer of format subgrid-pointer/1 with a url"):
        read_pointer(tmp_path / "pointer")


@pytest.mark.parametrize("url", ["https://me:hunter2@host/data", "https://host/data?token=hunter2", "s3://hunter2@b/d"])
def test_secrets_are_refused_and_not_shown(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="keeps no user, password or query") as error:
        write_pointer(tmp_path / "pointer", url)
    assert "hunter2" not in str(error.value)
    assert not (tmp_path / "pointer").exists()
