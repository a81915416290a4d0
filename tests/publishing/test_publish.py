"""Publications arrive whole, go on where they stopped, and can be cut into sets that join again."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_predictions import ROWS, manifest, written
from subgrid.disk import locked, unchanged
from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.store import StoredPrediction
from subgrid.publishing.publish import PublishSettings, publish
from subgrid.records.bucket import Fetching
from subgrid.records.cache import Cache
from subgrid.records.manifest import read_manifest
from subgrid.records.merge import merge
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify

URL = "memory://published/data"


def test_a_published_data_set_is_the_same_data_set(data: Path, memory: Any, tmp_path: Path) -> None:
    (sent,) = publish(data, URL)
    there = Dataset.open(URL, Fetching(Cache(tmp_path, 10**9)))
    assert there.digest == Dataset.open(data).digest
    rows = [np.concatenate([batch.row for batch in one.scan("training", 64)]) for one in (there, Dataset.open(data))]
    np.testing.assert_array_equal(*rows)
    assert sent.kept == 0 and sent.files == len(memory.find("/published/data"))
    assert "license" in memory.cat_file("/published/data/README.md").decode()


def test_the_manifest_comes_last_and_what_is_there_is_not_sent_again(
    data: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def stopped(local: str, path: str, **_: Any) -> None:
        if len(order) == 9:
            raise KeyboardInterrupt
        order.append(path)
        type(memory).put_file(memory, local, path)

    monkeypatch.setattr(memory, "put_file", stopped)
    with pytest.raises(KeyboardInterrupt):
        publish(data, URL)
    assert not memory.exists("/published/data/dataset.json")
    monkeypatch.setattr(memory, "put_file", lambda local, path: order.append(path) or type(memory).put_file(
        memory, local, path))  # fmt: skip
    memory.pipe_file(order[3], bytes(len(memory.cat_file(order[3]))))  # the right size, the wrong bytes
    (sent,) = publish(data, URL)
    assert sent.kept == 9 and order.count(order[3]) == 2 and len(set(order)) == len(order) - 1
    assert order[-1].endswith("/dataset.json")
    assert publish(data, URL)[0].files == 0


def test_a_dry_run_sends_nothing(data: Path, memory: Any) -> None:
    (sent,) = publish(data, URL, PublishSettings(dry_run=True))
    assert sent.files > 13 and sent.bytes > 1_000_000 and not memory.exists("/published")


def test_damaged_shards_are_not_published(copied: Path, memory: Any) -> None:
    shard = copied / "shards" / "training-00004.tfrecord"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match=r"training-00004\.tfrecord: its checksum is not the manifest's"):
        publish(copied, URL)
    assert not memory.exists("/published/data/dataset.json")


def test_runs_and_predictions(work: Path, memory: Any) -> None:
    for name, last in (("run", "latest"), ("prediction", "prediction.json")):
        publish(work / name, f"memory://published/{name}")
        there = memory.cat_file(f"/published/{name}/{last}")
        assert there == (work / name / last).read_bytes()
    with pytest.raises(SettingsError, match="found a run"):
        publish(work / "run", "memory://published/run", PublishSettings(kaggle="me/some-run"))


def test_a_run_that_is_training_is_not_published(work: Path, memory: Any) -> None:
    with locked(work / "run"), pytest.raises(SettingsError, match="another process is at work in this folder"):
        publish(work / "run", "memory://published/training")
    assert not memory.exists("/published/training")
    with unchanged(work / "run"):  # another publication may be under way
        assert publish(work / "run", "memory://published/training")[0].files > 3


def test_a_prediction_that_replaced_another_replaces_it_at_the_target_too(memory: Any, tmp_path: Path) -> None:
    of, url = manifest(ROWS.size), "memory://published/replaced"
    publish(written(tmp_path / "out", ROWS, of), url)
    written(tmp_path / "out", ROWS[::-1], of.model_copy(update={"checkpoint_digest": "d"}))
    publish(tmp_path / "out", url)
    assert [name.rpartition("/")[2] for name in memory.ls("/published/replaced/shards", detail=False)] == [
        "prediction-00000.tfrecord"
    ]
    memory.get("/published/replaced", str(tmp_path / "back"), recursive=True)
    found = StoredPrediction.open(tmp_path / "back")
    assert found.manifest.checkpoint_digest == "d" and np.array_equal(found.at(ROWS).row, ROWS)


def test_sets_for_kaggle(data: Path, tmp_path: Path) -> None:
    """Four folders of links: data sets on their own, balanced, which hold every row once."""
    out = tmp_path / "sets"
    settings = PublishSettings(title="Small", kaggle="me/small-set", sets=4)
    for target in (str(out), f"file://{out}"):
        found = publish(data, target, settings)
    assert [one.files for one in found] == [0] * 4
    rows, whole = [], Dataset.open(data)
    for number in range(1, 5):
        folder = out / f"{number}-of-4"
        metadata = json.loads((folder / "dataset-metadata.json").read_text())
        assert metadata["id"] == f"me/small-set-{number}-of-4"
        assert verify(folder) == []
        piece = Dataset.open(folder)
        rows += [batch.row for batch in piece.scan("training", 500)]
        assert len(piece.shards("training").shards) in (2, 3)
        assert all((folder / "shards" / shard.name).samefile(data / "shards" / shard.name)
                   for shard in piece.manifest.shards)  # fmt: skip
    expected = np.concatenate([batch.row for batch in whole.scan("training", 500)])
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.sort(expected))


@pytest.mark.parametrize("sets", [1, 2])
def test_a_folder_for_kaggle_can_be_packed_where_hard_links_do_not_reach(
    sets: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client packs with ``shutil.make_archive``, which keeps symbolic links: elsewhere, all must be there."""

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    out, settings = tmp_path / "sets", PublishSettings(kaggle="me/small-set", sets=sets)
    found = publish(data, str(out), settings)
    assert all(one.copied for one in found)
    again = publish(data, str(out), settings)
    assert [(one.files, one.copied) for one in again] == sets * [(0, 0)]
    for folder in [out] if sets == 1 else sorted(out.iterdir()):
        assert not [path for path in folder.rglob("*") if path.is_symlink()]
        shutil.unpack_archive(shutil.make_archive(str(tmp_path / folder.name), "tar", folder), tmp_path / "unpacked")
        assert verify(tmp_path / "unpacked") == []
        shutil.rmtree(tmp_path / "unpacked")


def test_links_of_former_times_are_replaced_by_files_for_kaggle(data: Path, tmp_path: Path) -> None:
    publish(data, str(tmp_path / "out"))
    shard = tmp_path / "out" / "shards" / "training-00004.tfrecord"
    shard.unlink()
    shard.symlink_to(data / "shards" / shard.name)
    (sent,) = publish(data, str(tmp_path / "out"), PublishSettings(kaggle="me/small-set"))
    assert (sent.files, sent.copied) == (2, 0) and not shard.is_symlink()  # it, and the client's file


def test_sets_in_an_object_store_can_be_fetched_and_joined_again(data: Path, memory: Any, tmp_path: Path) -> None:
    found = publish(data, URL, PublishSettings(sets=2))
    assert [one.label for one in found] == [f"{URL}/1-of-2", f"{URL}/2-of-2"]
    assert memory.exists("/published/data/2-of-2/dataset.json")
    memory.get("/published/data", str(tmp_path / "back"), recursive=True)
    joined = merge(tmp_path / "joined", [tmp_path / "back" / f"{number}-of-2" for number in (2, 1)])
    assert joined is not None and joined.digest == read_manifest(data).digest
    assert verify(tmp_path / "joined") == []
