"""Data sets in real stores: the same rows as on this machine, whatever goes wrong on the way, or a clear error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from subgrid.errors import DatasetError
from subgrid.records.bucket import Fetching
from subgrid.records.pointer import write_pointer
from subgrid.records.reader import Dataset, StreamSettings
from subgrid.records.transfer import TransferError
from subgrid.records.verify import verify

Make = Callable[..., Fetching]
SETTINGS = StreamSettings(batch=24, seed=5, window=3)
BATCHES = 40  # two and a half epochs of 384 rows


def uploaded(data: Path, url: str) -> str:
    """The data set below a URL, sent by fsspec itself."""
    system, path = fsspec.core.url_to_fs(url)
    for file in data.rglob("*"):
        if file.is_file():
            system.pipe_file(f"{path}/{file.relative_to(data)}", file.read_bytes())
    return url


def rows_of(dataset: Dataset, batches: int = BATCHES) -> list[tuple[Any, ...]]:
    with dataset.stream("training", SETTINGS) as stream:
        return [tuple(field.tobytes() for field in next(stream)) for _ in range(batches)]


@pytest.fixture(scope="session")
def expected(data: Path) -> list[tuple[Any, ...]]:
    """What the stream of the local data set gives."""
    return rows_of(Dataset.open(data))


def same_everything(dataset: Dataset, data: Path, expected: list[tuple[Any, ...]]) -> None:
    """Rows, order, grid, statistics and digest are those of the local data set."""
    local = Dataset.open(data)
    assert rows_of(dataset) == expected
    assert dataset.digest == local.digest and dataset.grid.digest == local.grid.digest
    np.testing.assert_array_equal(dataset.table().inputs.to_array(), local.table().inputs.to_array())
    for one, other in zip(dataset.scan("validation", 20), local.scan("validation", 20), strict=True):
        assert [field.tobytes() for field in one] == [field.tobytes() for field in other]


def test_memory(data: Path, fetching: Make, expected: list[tuple[Any, ...]]) -> None:
    same_everything(Dataset.open(uploaded(data, "memory://bucket/data"), fetching()), data, expected)


def test_s3(s3: str, data: Path, fetching: Make, expected: list[tuple[Any, ...]]) -> None:
    dataset = Dataset.open(uploaded(data, f"{s3}/data"), fetching())
    same_everything(dataset, data, expected)


def test_gcs(gcs: str, data: Path, fetching: Make, expected: list[tuple[Any, ...]]) -> None:
    same_everything(Dataset.open(uploaded(data, f"{gcs}/data"), fetching()), data, expected)


def test_http(web: Any, data: Path, fetching: Make, expected: list[tuple[Any, ...]]) -> None:
    same_everything(Dataset.open(web.url, fetching()), data, expected)
    got = [name for method, name in web.served if method == "GET" and name.endswith(".tfrecord")]
    # Each shard once, for two and a half epochs; but those that were on their way when the stream was closed.
    assert len(set(got)) == 13 and len(got) <= 13 + 4


def test_http_without_ranges(web: Any, data: Path, fetching: Make, expected: list[tuple[Any, ...]]) -> None:
    web.ranges = False
    same_everything(Dataset.open(web.url, fetching()), data, expected)


def test_a_cache_smaller_than_the_data(web: Any, data: Path, fetching: Make, expected: list[tuple[Any, ...]]) -> None:
    largest = max(shard.bytes for shard in Dataset.open(data).manifest.shards)
    settings = fetching(limit=5 * largest)
    dataset = Dataset.open(web.url, settings)
    assert rows_of(dataset) == expected
    kept = sum(path.stat().st_size for path in settings.cache.folder.rglob("*.tfrecord"))
    assert 0 < kept <= 5 * largest  # what was on its way when the stream was closed has made room and then not come


def test_a_cache_smaller_than_a_window_is_refused(web: Any, data: Path, fetching: Make) -> None:
    largest = max(shard.bytes for shard in Dataset.open(data).manifest.shards)
    with pytest.raises(Exception, match=r"3 shards are read at the same time.*raise SUBGRID_CACHE_SIZE"):
        rows_of(Dataset.open(web.url, fetching(limit=2 * largest)))


@pytest.mark.parametrize("fault", ["stall", "cut", "503", "429", "flip"])
def test_what_goes_wrong_once_costs_no_row(
    fault: str, web: Any, fetching: Make, expected: list[tuple[Any, ...]]
) -> None:
    names = [f"training-0000{number}.tfrecord" for number in (0, 3, 7)]
    web.faults = {name: [fault] for name in [*names, "dataset.json"] if fault != "flip" or name != "dataset.json"}
    patience = {"stall": 1.0} if fault == "stall" else {}
    assert rows_of(Dataset.open(web.url, fetching(**patience))) == expected
    assert not any(web.faults.values())


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("flip", DatasetError, r"fetched twice, and wrong both times: .*row 1 is damaged \(1 in all\)"),
        ("short", DatasetError, r"wrong both times: expected \d+ bytes, found \d+"),
        ("503", TransferError, r"status 503\), tried 3 times"),
        ("403", TransferError, r"cannot be read \(status 403\);"),
        ("404", DatasetError, "the shard is missing"),
        ("stall", TransferError, r"no answer within 0\.3 s\), tried 3 times"),
        ("cut", TransferError, "tried 3 times"),
    ],
)
def test_what_stays_wrong_is_named(fault: str, kind: type[Exception], message: str, web: Any, fetching: Make) -> None:
    web.always["training-00004.tfrecord"] = fault
    patience = {"stall": 0.3} if fault == "stall" else {}
    with pytest.raises(kind, match=rf"{web.url}/shards/training-00004\.tfrecord: .*{message}"):
        rows_of(Dataset.open(web.url, fetching(tries=3, **patience)))


def test_a_cached_shard_that_was_damaged_on_the_disk_is_fetched_anew(
    web: Any, fetching: Make, expected: list[tuple[Any, ...]]
) -> None:
    settings = fetching()
    rows_of(Dataset.open(web.url, settings))
    for path in settings.cache.folder.rglob("*.tfrecord"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert rows_of(Dataset.open(web.url, settings)) == expected


def test_verify_reads_the_bucket_and_not_the_cache(web: Any, fetching: Make, monkeypatch: pytest.MonkeyPatch,
                                                   tmp_path: Path) -> None:  # fmt: skip
    monkeypatch.setenv("SUBGRID_CACHE", str(tmp_path / "cache"))
    rows_of(Dataset.open(web.url))
    web.always["training-00002.tfrecord"] = "flip"
    (wrong,) = [line for line in verify(web.url) if "not in the manifest" not in line]
    assert "training-00002.tfrecord" in wrong and "row 1 is damaged" in wrong


def test_a_pointer_that_changes_in_the_middle(
    web: Any, second_web: Any, fetching: Make, tmp_path: Path, expected: list[tuple[Any, ...]]
) -> None:
    pointer = tmp_path / "pointer"
    write_pointer(pointer, web.url)
    dataset = Dataset.open(pointer, fetching())
    with dataset.stream("training", SETTINGS) as stream:
        found = [tuple(field.tobytes() for field in next(stream)) for _ in range(3)]
        web.gone = True
        write_pointer(pointer, second_web.url)
        found += [tuple(field.tobytes() for field in next(stream)) for _ in range(BATCHES - 3)]
    assert found == expected
    assert any(name.endswith(".tfrecord") for _, name in second_web.served)


def test_a_pointer_to_other_data_is_refused(
    web: Any, second_web: Any, fetching: Make, tmp_path: Path, data: Path
) -> None:
    other = json.loads((data / "dataset.json").read_text()) | {"seed": 17}
    second_web.folder = tmp_path / "other"
    second_web.folder.mkdir()
    from subgrid.records.manifest import Manifest

    manifest = Manifest.model_validate(other)
    manifest = manifest.model_copy(update={"digest": manifest.computed_digest()})
    (second_web.folder / "dataset.json").write_text(manifest.model_dump_json())
    pointer = tmp_path / "pointer"
    write_pointer(pointer, web.url)
    dataset = Dataset.open(pointer, fetching())
    web.gone = True
    write_pointer(pointer, second_web.url)
    with pytest.raises(DatasetError, match=f"{second_web.url} now, a data set with digest {manifest.digest}; expected"):
        rows_of(dataset)
