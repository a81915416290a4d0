"""Shards opened for reading: anything but the manifest's bytes is refused by file and row."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest

from subgrid.errors import DatasetError
from subgrid.records import shards as module
from subgrid.records.example import Feature, RecordLayout, pack
from subgrid.records.ledger import Shard
from subgrid.records.shards import Shards, open_shard


def layout_of(inputs: int, targets: int) -> RecordLayout:
    features = (Feature("row", "<i8", 1), Feature("inputs", "<f4", inputs), Feature("targets", "<f4", targets))
    return RecordLayout(features, aligned=("inputs", "targets"))


LAYOUT, OTHER = layout_of(40, 30), layout_of(24, 44)


@dataclass
class Written:
    path: Path
    shard: Shard
    records: np.ndarray


def entry_of(path: Path, rows: int) -> Shard:
    data = path.read_bytes()
    return Shard(name=path.name, split="training", rows=rows, bytes=len(data), crc32c=google_crc32c.value(data))


@pytest.fixture
def written(tmp_path: Path) -> Written:
    random = np.random.default_rng(0)
    arrays = {"row": np.arange(7), "inputs": random.normal(size=(7, 40)), "targets": random.normal(size=(7, 30))}
    records = pack(LAYOUT, arrays)
    path = tmp_path / "training-00000.tfrecord"
    path.write_bytes(records.tobytes())
    return Written(path, entry_of(path, 7), records)


def test_a_whole_shard_is_mapped(written: Written) -> None:
    found = open_shard(written.path, written.shard, LAYOUT)
    assert found.shape == (7, LAYOUT.stride) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, written.records)


def test_writing_to_it_changes_no_file(written: Written) -> None:
    found = open_shard(written.path, written.shard, LAYOUT)
    found[...] = 0
    assert written.path.read_bytes() == written.records.tobytes()


@pytest.mark.parametrize("row", range(7))
def test_any_flipped_bit_names_the_row(written: Written, row: int) -> None:
    data = written.records.copy()
    for place in np.random.default_rng(row).integers(0, LAYOUT.stride, 40).tolist():
        bit = np.uint8(1 << place % 8)
        data[row, place] ^= bit
        written.path.write_bytes(data.tobytes())
        with pytest.raises(DatasetError, match=rf"training-00000\.tfrecord: .*: row {row} is damaged \(1 in all\)"):
            open_shard(written.path, written.shard, LAYOUT)
        data[row, place] ^= bit


def test_the_first_of_several_bad_rows_is_named(written: Written) -> None:
    data = written.records.copy()
    data[[2, 5], 100] ^= 1
    written.path.write_bytes(data.tobytes())
    with pytest.raises(DatasetError, match=r"row 2 is damaged \(2 in all\)"):
        open_shard(written.path, written.shard, LAYOUT)


def test_whole_rows_in_another_order_are_noticed(written: Written) -> None:
    written.path.write_bytes(written.records[::-1].tobytes())
    with pytest.raises(DatasetError, match="its rows are whole, but not those written"):
        open_shard(written.path, written.shard, LAYOUT)


@pytest.mark.parametrize("change", [-1, 1, -LAYOUT.stride, LAYOUT.stride, -7 * LAYOUT.stride])
def test_another_size_is_refused(written: Written, change: int) -> None:
    size = 7 * LAYOUT.stride + change
    written.path.write_bytes((written.records.tobytes() + bytes(LAYOUT.stride))[:size])
    with pytest.raises(DatasetError, match=rf"expected {7 * LAYOUT.stride} bytes \(7 rows of .*\), found {size}"):
        open_shard(written.path, written.shard, LAYOUT)


def test_a_manifest_whose_rows_and_bytes_disagree_is_refused(written: Written) -> None:
    with pytest.raises(DatasetError, match=r"\(6 rows of "):
        open_shard(written.path, replace(written.shard, rows=6), LAYOUT)


def test_a_missing_shard_is_named(written: Written) -> None:
    written.path.unlink()
    with pytest.raises(DatasetError, match=r"training-00000\.tfrecord: the shard is missing"):
        open_shard(written.path, written.shard, LAYOUT)


def test_a_folder_in_its_place_is_refused(written: Written) -> None:
    written.path.unlink()
    written.path.mkdir()
    with pytest.raises(DatasetError, match="expected .* bytes"):
        open_shard(written.path, written.shard, LAYOUT)


def test_records_of_another_layout_are_refused(written: Written) -> None:
    """The same stride and a good checksum, but the arrays stand elsewhere."""
    assert OTHER.stride == LAYOUT.stride and OTHER.offsets != LAYOUT.offsets
    with pytest.raises(DatasetError, match=r"training-00000\.tfrecord: the manifest places the arrays at"):
        open_shard(written.path, written.shard, OTHER)


def test_bytes_that_are_no_records_are_refused(written: Written) -> None:
    written.path.write_bytes(np.random.default_rng(0).bytes(7 * LAYOUT.stride))
    with pytest.raises(DatasetError, match="not a tf.train.Example"):
        open_shard(written.path, entry_of(written.path, 7), LAYOUT)


def test_shards_are_opened_when_needed_and_only_once(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path(shutil.copy(written.path, written.path.with_name("training-00001.tfrecord")))
    opened: list[str] = []
    lacking = replace(written.shard, name="absent.tfrecord")

    def noted(path: Path, *arguments: Any) -> np.ndarray:
        opened.append(path.name)
        return open_shard(path, *arguments)

    monkeypatch.setattr(module, "open_shard", noted)
    shards = Shards(written.path.parent, [written.shard, entry_of(other, 7), lacking], LAYOUT)
    assert shards.rows == (7, 7, 7) and opened == []
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: shards[number % 2], range(200)))
    assert sorted(opened) == ["training-00000.tfrecord", "training-00001.tfrecord"]
    assert all(found[number] is found[number % 2] for number in range(200))
    with pytest.raises(DatasetError, match="absent"):
        shards[2]


def test_going_through_keeps_nothing_open_and_checks_once(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    sums: list[int] = []

    def noted(data: np.ndarray) -> int:
        sums.append(data.size)
        return int(google_crc32c.value(data))

    monkeypatch.setattr(module, "crc32c", noted)
    shards = Shards(written.path.parent, [written.shard], LAYOUT)
    one, other = shards.once(0), shards.once(0)
    assert one is not other and sums == [written.shard.bytes]
    np.testing.assert_array_equal(one, written.records)
    np.testing.assert_array_equal(shards[0], written.records)
    assert sums == [written.shard.bytes] and shards[0] is shards[0]


def test_a_shard_that_was_refused_is_refused_again(written: Written) -> None:
    data = written.records.copy()
    data[3, 100] ^= 1
    written.path.write_bytes(data.tobytes())
    shards = Shards(written.path.parent, [written.shard], LAYOUT)
    for _ in range(2):
        with pytest.raises(DatasetError, match="row 3 is damaged"):
            shards.once(0)
        with pytest.raises(DatasetError, match="row 3 is damaged"):
            shards[0]
