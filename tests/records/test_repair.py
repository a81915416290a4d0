"""What verify finds damaged is made again by the same build, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from subgrid.errors import DatasetError
from subgrid.records.build import Prepared, build
from subgrid.records.manifest import read_manifest
from subgrid.records.repair import take_back
from subgrid.records.store import LocalStore
from subgrid.records.verify import verify

Ready = Callable[..., Prepared]


def test_damaged_groups_alone_are_made_again(ready: Ready, spoilt: Path, built: Path) -> None:
    path = spoilt / "shards" / "training-00003.tfrecord"
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    (spoilt / "shards" / "validation-00001.tfrecord").unlink()
    (spoilt / "parts" / "training-00007.json").write_text("{")
    times = {one.name: one.stat().st_mtime_ns for one in (spoilt / "shards").iterdir()}
    assert take_back(spoilt) == ["training-00003", "training-00007", "validation-00001"]
    assert not (spoilt / "dataset.json").exists()
    assert build(ready(), spoilt) is not None
    assert verify(spoilt) == [] and read_manifest(spoilt).digest == read_manifest(built).digest
    made = {one.name for one in (spoilt / "shards").iterdir() if times.get(one.name) != one.stat().st_mtime_ns}
    assert made == {f"{name}.tfrecord" for name in ("training-00003", "training-00007", "validation-00001")}


def test_drawn_rows_belong_to_the_group_of_their_steps(ready: Ready, tmp_path: Path) -> None:
    build(ready(validation="rows=100"), tmp_path)
    next((tmp_path / "shards").glob("validation-00002*")).unlink()
    assert take_back(tmp_path) == ["training-00002"]


def test_an_unfinished_build_has_nothing_to_take_back(spoilt: Path) -> None:
    (spoilt / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="an unfinished build"):
        take_back(spoilt)


def test_a_repair_that_was_stopped_can_be_begun_again(
    ready: Ready, spoilt: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after each removal once; the data set stays one that can be repaired until all damage is taken back."""
    for number in (2, 5):
        (spoilt / "shards" / f"training-0000{number}.tfrecord").unlink()
    remove, allowed = LocalStore.remove, 0

    def stopped(self: LocalStore, name: str) -> None:
        nonlocal allowed
        if not allowed:
            raise KeyboardInterrupt
        allowed -= 1
        remove(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "remove", stopped)
        for removals in (0, 1, 0, 1, 1):
            allowed = removals
            with pytest.raises(KeyboardInterrupt):
                take_back(spoilt)
            assert (spoilt / "dataset.json").exists() and verify_finds(spoilt)
    take_back(spoilt)
    assert build(ready(), spoilt) is not None
    assert verify(spoilt) == [] and read_manifest(spoilt).digest == read_manifest(built).digest


def verify_finds(folder: Path) -> bool:
    return any("training-00002" in line for line in verify(folder))
