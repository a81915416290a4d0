"""A data set opened for reading: what it says of itself, all rows once, and what it refuses."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subgrid.errors import DatasetError, SubgridError
from subgrid.records.build import Prepared, Running, build
from subgrid.records.framing import records
from subgrid.records.manifest import Manifest
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset, StreamSettings

Ready = Callable[..., Prepared]


def rewritten(folder: Path, change: dict[str, Any]) -> None:
    """Change a manifest and give it the digest that follows."""
    data = json.loads((folder / "dataset.json").read_text()) | change
    data["digest"] = Manifest.model_validate(data).computed_digest()
    (folder / "dataset.json").write_text(json.dumps(data))


def test_it_says_what_it_holds(built: Path, ready: Ready) -> None:
    dataset, blueprint = Dataset.open(built), ready().blueprint
    assert dataset.splits == {"training": 16 * 24, "validation": 3 * 24}
    assert (dataset.rows("training"), dataset.rows("validation")) == (384, 72)
    assert dataset.variables.name == "kaggle" and dataset.grid.digest == blueprint.grid.digest
    assert dataset.digest == dataset.manifest.digest and dataset.folder == built
    assert dataset.table().rows == 384 and dataset.table("validation").rows == 72
    assert Dataset.open(str(built)).digest == dataset.digest


def test_a_copy_elsewhere_is_the_same_data_set(built: Path, spoilt: Path) -> None:
    assert Dataset.open(built).digest == Dataset.open(spoilt).digest


@pytest.mark.parametrize("batch", [1, 7, 24, 1000])
def test_a_scan_gives_every_row_once_in_stored_order(built: Path, batch: int) -> None:
    """Against the frames of the files, walked record by record."""
    dataset = Dataset.open(built)
    for split in dataset.splits:
        contents = [
            content.tobytes()
            for path in sorted((built / "shards").glob(f"{split}-*"))
            for content in records(np.fromfile(path, dtype=np.uint8), path.name)
        ]
        found = list(dataset.scan(split, batch))
        assert all(one.row.size <= batch for one in found)
        inputs = [row.tobytes() for one in found for row in one.inputs]
        targets = [row.tobytes() for one in found for row in one.targets]
        assert len(inputs) == len(contents) == dataset.rows(split)
        assert all(part in whole for part, whole in zip(inputs, contents, strict=True))
        assert all(part in whole for part, whole in zip(targets, contents, strict=True))
        assert len({int(row) for one in found for row in one.row}) == dataset.rows(split)


@pytest.mark.parametrize("float64", [False, True])
def test_a_stream_gives_the_rows_of_a_scan(ready: Ready, tmp_path: Path, float64: bool) -> None:
    build(ready(float64=float64), tmp_path)
    dataset = Dataset.open(tmp_path)
    scanned = {int(row): one.inputs[place].tobytes() + one.targets[place].tobytes()
               for one in dataset.scan("training", 50) for place, row in enumerate(one.row)}  # fmt: skip
    seen: Counter[int] = Counter()
    with dataset.stream("training", StreamSettings(32, window=3)) as stream:
        for batch in islice(stream, 2 * dataset.rows("training") // 32):
            assert batch.inputs.dtype == (np.float64 if float64 else np.float32)
            for place, row in enumerate(batch.row.tolist()):
                assert batch.inputs[place].tobytes() + batch.targets[place].tobytes() == scanned[row]
                seen[row] += 1
    assert seen == dict.fromkeys(scanned, 2)


def test_a_stream_starts_where_it_is_told(built: Path) -> None:
    dataset = Dataset.open(built)
    with (
        dataset.stream("training", StreamSettings(10)) as whole,
        dataset.stream("training", StreamSettings(10), 50) as late,
    ):
        rows = [batch.row.tolist() for batch in islice(whole, 12)]
        assert late.position == 50 and [batch.row.tolist() for batch in islice(late, 7)] == rows[5:]


def test_splits_do_not_mix(built: Path) -> None:
    dataset = Dataset.open(built)
    rows = {split: {int(row) for one in dataset.scan(split, 100) for row in one.row} for split in dataset.splits}
    assert not rows["training"] & rows["validation"]
    with dataset.stream("validation", StreamSettings(12)) as stream:
        assert {int(row) for batch in islice(stream, 6) for row in batch.row} == rows["validation"]


def test_a_split_that_is_not_there_is_refused(ready: Ready, tmp_path: Path) -> None:
    build(ready(validation=None), tmp_path)
    dataset = Dataset.open(tmp_path)
    assert dataset.splits == {"training": 19 * 24}
    for ask in (dataset.rows, dataset.table, dataset.shards, lambda split: next(dataset.scan(split, 1))):
        with pytest.raises(DatasetError, match="no split 'validation'; it has training"):
            ask("validation")
    with pytest.raises(DatasetError, match="no split 'test'"):
        dataset.stream("test", StreamSettings(1))


def test_an_unfinished_build_is_no_data_set(ready: Ready, tmp_path: Path) -> None:
    build(ready(), tmp_path, Running(Part(1, 2)))
    with pytest.raises(DatasetError, match="an unfinished build"):
        Dataset.open(tmp_path)


def test_a_flipped_bit_is_named_when_it_is_read(spoilt: Path) -> None:
    """Opening reads no shard; the scan gives the whole shards before the damaged one."""
    path, dataset = spoilt / "shards" / "training-00004.tfrecord", Dataset.open(spoilt)
    data = bytearray(path.read_bytes())
    data[7 * dataset.layout.stride + 1234] ^= 16
    path.write_bytes(data)
    message = r"training-00004\.tfrecord: .*row 7 is damaged"
    scan = dataset.scan("training", 1000)
    assert len(list(islice(scan, 4))) == 4
    with pytest.raises(DatasetError, match=message):
        next(scan)
    with dataset.stream("training", StreamSettings(64)) as stream, pytest.raises(DatasetError, match=message):
        list(islice(stream, 10))
    assert sum(batch.row.size for batch in dataset.scan("validation", 100)) == 72


def test_a_short_shard_is_named_when_it_is_read(spoilt: Path) -> None:
    path = spoilt / "shards" / "validation-00000.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"validation-00000\.tfrecord: expected .* bytes"):
        list(Dataset.open(spoilt).scan("validation", 10))


def test_another_grid_is_refused(spoilt: Path, real_source: Path) -> None:
    shutil.copy(next(real_source.glob("*grid-info.nc")), spoilt / "grid.nc")
    with pytest.raises(DatasetError, match=r"grid\.nc: not the grid that the manifest names"):
        _ = Dataset.open(spoilt).grid


@pytest.mark.parametrize("name", ["grid.nc", "statistics.nc"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_damaged_grid_or_table_is_named(spoilt: Path, name: str, content: bytes | None) -> None:
    (spoilt / name).unlink()
    if content is not None:
        (spoilt / name).write_bytes(content)
    dataset = Dataset.open(spoilt)
    with pytest.raises(SubgridError, match=name) as caught:
        _ = dataset.grid if name == "grid.nc" else dataset.table()
    assert name != "grid.nc" or "put a copy of the grid file that it was built with there" in str(caught.value)


def test_statistics_without_the_split_are_refused(ready: Ready, spoilt: Path, tmp_path: Path) -> None:
    build(ready(validation=None), tmp_path / "other")
    shutil.copy(tmp_path / "other" / "statistics.nc", spoilt / "statistics.nc")
    with pytest.raises(DatasetError, match=r"statistics\.nc: holds no statistics of validation"):
        Dataset.open(spoilt).table("validation")


def test_variables_that_are_stored_otherwise_are_refused(spoilt: Path) -> None:
    """An exponent of another version would make every value wrong without a word."""
    inputs = json.loads((spoilt / "dataset.json").read_text())["inputs"]
    rewritten(spoilt, {"inputs": [inputs[0] | {"exponent": 3}, *inputs[1:]]})
    with pytest.raises(DatasetError, match="its inputs are stored otherwise than in this version"):
        Dataset.open(spoilt)


@pytest.mark.parametrize("change", [{"stride": 4032}, {"offsets": {}}])
def test_another_record_layout_is_refused(spoilt: Path, change: dict[str, Any]) -> None:
    rewritten(spoilt, change)
    with pytest.raises(DatasetError, match="the record layout of the manifest is not that of this version"):
        Dataset.open(spoilt)


def test_features_that_are_not_the_layouts_are_refused(spoilt: Path) -> None:
    rewritten(spoilt, {"features": {}})
    with pytest.raises(DatasetError, match="the record layout of the manifest"):
        Dataset.open(spoilt)


def test_a_shard_outside_is_never_opened(spoilt: Path) -> None:
    shards = json.loads((spoilt / "dataset.json").read_text())["shards"]
    (spoilt.parent / "x").write_bytes((spoilt / "shards" / shards[0]["name"]).read_bytes())
    path = spoilt / "dataset.json"
    path.write_text(path.read_text().replace(shards[0]["name"], "../../x"))
    with pytest.raises(DatasetError, match=r"shard name '\.\./\.\./x' leads out of its folder"):
        Dataset.open(spoilt)
