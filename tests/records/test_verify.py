"""Verifying a data set: all that is wrong is named, and what is right is not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from subgrid.errors import DatasetError
from subgrid.records.build import Prepared, build
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify

Ready = Callable[..., Prepared]


def flipped(path: Path, place: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_a_whole_data_set_has_nothing_wrong(built: Path) -> None:
    seen: list[tuple[int, int]] = []
    assert verify(built, lambda done, total: seen.append((done, total))) == []
    total = sum(path.stat().st_size for path in (built / "shards").iterdir())
    assert seen == sorted(seen) and seen[-1] == (total, total) and len(seen) == 13


def test_all_damage_is_named_by_shard_and_row(spoilt: Path) -> None:
    stride, shards = Dataset.open(spoilt).layout.stride, spoilt / "shards"
    flipped(shards / "training-00002.tfrecord", 5 * stride + 77, 3)
    flipped(shards / "training-00002.tfrecord", 9 * stride)
    (shards / "training-00006.tfrecord").unlink()
    (shards / "validation-00001.tfrecord").write_bytes((shards / "validation-00001.tfrecord").read_bytes()[:-1])
    (shards / "stranger.tfrecord").write_bytes(b"")
    (shards / ".training-00000.tfrecord.partial-0123abcd").write_bytes(b"of a build that was killed")
    wrong = verify(spoilt)
    assert len(wrong) == 4
    assert "training-00002.tfrecord" in wrong[0] and "row 5 is damaged (2 in all)" in wrong[0]
    assert "training-00006.tfrecord: the shard is missing" in wrong[1]
    assert "validation-00001.tfrecord: expected" in wrong[2]
    assert "stranger.tfrecord: not in the manifest" in wrong[3]


@pytest.mark.parametrize("part", ["length", "checksum of the length", "content", "checksum of the content"])
def test_a_flipped_bit_anywhere_in_a_record_is_found(spoilt: Path, part: str) -> None:
    stride = Dataset.open(spoilt).layout.stride
    place = {"length": 0, "checksum of the length": 9, "content": 500, "checksum of the content": stride - 1}[part]
    flipped(spoilt / "shards" / "training-00000.tfrecord", 11 * stride + place, 6)
    (wrong,) = verify(spoilt)
    assert "training-00000.tfrecord" in wrong and "row 11 is damaged (1 in all)" in wrong


def test_shards_that_changed_places_are_found(spoilt: Path) -> None:
    """Two whole shards of the same size under each other's names."""
    one, other = (spoilt / "shards" / f"training-0000{number}.tfrecord" for number in (7, 8))
    assert one.stat().st_size == other.stat().st_size
    aside = one.rename(one.with_name("aside"))
    other.rename(one)
    aside.rename(other)
    wrong = verify(spoilt)
    assert len(wrong) == 2 and all("its rows are whole, but not those written" in line for line in wrong)


def test_a_changed_manifest_is_refused(spoilt: Path) -> None:
    data = json.loads((spoilt / "dataset.json").read_text())
    data["shards"][0]["rows"] += 1
    (spoilt / "dataset.json").write_text(json.dumps(data))
    with pytest.raises(DatasetError, match="the digest does not follow from the content"):
        verify(spoilt)


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="found no data set"):
        verify(tmp_path)


def test_without_its_shards_every_one_is_missing(spoilt: Path) -> None:
    shutil.rmtree(spoilt / "shards")
    wrong = verify(spoilt)
    assert len(wrong) == 13 and all("the shard is missing" in line for line in wrong)


@pytest.mark.parametrize("name", ["grid.nc", "statistics.nc"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_damaged_grid_or_table_is_named(spoilt: Path, name: str, content: bytes | None) -> None:
    (spoilt / name).unlink()
    if content is not None:
        (spoilt / name).write_bytes(content)
    (wrong,) = verify(spoilt)
    assert name in wrong


def test_statistics_of_other_data_are_named(ready: Ready, spoilt: Path, tmp_path: Path) -> None:
    """The other count of rows, the missing split, and the other digest where the counts agree."""
    for number, settings in enumerate(({"validation": "every=4"}, {"validation": None}, {"seed": 1})):
        build(ready(**settings), tmp_path / str(number))
        shutil.copy(tmp_path / str(number) / "statistics.nc", spoilt / "statistics.nc")
        (wrong,) = verify(spoilt)
        assert "statistics" in wrong


def test_what_mends_a_damaged_shard_is_said(spoilt: Path) -> None:
    """Repair where the folder has what a build needs; else another build."""
    shard = next((spoilt / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    (wrong,) = verify(spoilt)
    assert wrong.endswith(f"subgrid verify {spoilt} --repair, and then the same build, make this shard anew")
    (spoilt / "build.json").unlink()
    (wrong,) = verify(spoilt)
    assert wrong.endswith("build the data set again")
