"""Rows of a group cut into several shards stand where one shard would have them."""

from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from subgrid.records import shard
from subgrid.records.group_shards import Cut, GroupShards
from subgrid.records.store import LocalStore

STRIDE = 64


@pytest.mark.parametrize("memory", [10**9, 0])
@pytest.mark.parametrize(("rows", "count"), [(100, 1), (100, 3), (7, 7), (1000, 13)])
def test_shards_side_by_side_are_the_rows_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, count: int, memory: int
) -> None:
    monkeypatch.setattr(shard, "IN_MEMORY", memory)
    random = np.random.default_rng(count)
    records, places = random.integers(0, 256, (rows, STRIDE), dtype=np.uint8), random.permutation(rows)
    (tmp_path / "shards").mkdir()
    cut = Cut("training", tuple(f"{number}.tfrecord" for number in range(count)), rows, STRIDE)
    with GroupShards(LocalStore(tmp_path), "shards", cut) as writer:
        for start in range(0, rows, 9):
            writer.put(places[start : start + 9], records[start : start + 9])
        found = writer.finish()
    content = [(tmp_path / "shards" / name).read_bytes() for name in cut.names]
    expected = np.empty_like(records)
    expected[places] = records
    assert b"".join(content) == expected.tobytes()
    assert [(one.name, one.split, one.bytes, one.crc32c) for one in found] == [
        (name, "training", len(data), google_crc32c.value(data)) for name, data in zip(cut.names, content, strict=True)
    ]
    assert sum(one.rows for one in found) == rows and max(one.rows for one in found) - rows // count <= 1


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with GroupShards(LocalStore(tmp_path), ".", Cut("training", ("a", "b"), 10, STRIDE)):
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []
