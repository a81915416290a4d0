"""Folder, URL or pointer: what is given decides, and each answers alike."""

from pathlib import Path

import fsspec
import pytest

from subgrid.records.bucket import Bucket
from subgrid.records.place import Folder, holds_dataset, open_place
from subgrid.records.pointer import write_pointer


def test_a_place_is_what_is_given(tmp_path: Path) -> None:
    write_pointer(tmp_path / "pointer", "memory://there/data")
    for given in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        found = open_place(given)
        assert isinstance(found, Folder) and found.label == str(tmp_path)
    for given in ("memory://there/data", tmp_path / "pointer", str(tmp_path / "pointer")):
        found = open_place(given)
        assert isinstance(found, Bucket) and found.label == "memory://there/data"
    assert open_place("s3://me:word@bucket/data").folder == "s3://bucket/data"


def test_where_a_data_set_is(built: Path, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe_file("/place/data/dataset.json", b"{}")
    write_pointer(tmp_path / "pointer", "memory://nowhere")
    there = [built, str(built), f"file://{built}", "memory://place/data", str(tmp_path / "pointer")]
    assert [holds_dataset(place) for place in there] == [True] * 5
    assert [holds_dataset(place) for place in (tmp_path, "memory://place/other")] == [False] * 2


def test_both_kinds_answer_alike(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBGRID_CACHE", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    for file in (path for path in built.rglob("*") if path.is_file()):
        system.pipe_file(f"/alike/{file.relative_to(built)}", file.read_bytes())
    system.pipe_file("/alike/shards/stranger", b"")
    here, there = open_place(built), open_place("memory://alike")
    assert here.manifest() == there.manifest()
    known = {shard.name for shard in here.manifest().shards}
    assert here.strangers(known) == [] and there.strangers(known) == ["stranger"]
    with here.local("grid.nc") as one, there.local("grid.nc") as other:
        assert one.read_bytes() == other.read_bytes()
    assert not other.exists()
