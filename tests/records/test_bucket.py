"""Fetching settings and shards from a URL; what real stores do is tested in tests/buckets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.bucket import Bucket, Fetching
from subgrid.records.cache import Cache
from subgrid.records.pointer import Pointed, write_pointer
from subgrid.records.reader import Dataset
from subgrid.records.transfer import Patience

URL = "memory://bucket-tests/data"


@pytest.fixture
def there(built: Path) -> Iterator[Any]:
    """The data set in memory."""
    system = fsspec.filesystem("memory")
    for file in (path for path in built.rglob("*") if path.is_file()):
        system.pipe_file(f"/bucket-tests/data/{file.relative_to(built)}", file.read_bytes())
    yield system
    system.rm("/bucket-tests", recursive=True)


@pytest.fixture
def fetching(tmp_path: Path) -> Fetching:
    return Fetching(Cache(tmp_path / "cache", 10**8), Patience(pause=0.001, tries=2))


def test_the_environment_names_folder_and_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SUBGRID_CACHE", "SUBGRID_CACHE_SIZE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Fetching.from_environment().cache == Cache(tmp_path / ".cache" / "subgrid", 50 * 10**9)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Fetching.from_environment().cache.folder == tmp_path / "xdg" / "subgrid"
    monkeypatch.setenv("SUBGRID_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("SUBGRID_CACHE_SIZE", "3GB")
    assert Fetching.from_environment().cache == Cache(tmp_path / "own", 3 * 10**9)
    monkeypatch.setenv("SUBGRID_CACHE_SIZE", "much")
    with pytest.raises(SettingsError, match="SUBGRID_CACHE_SIZE: expected a size such as 64MB"):
        Fetching.from_environment()


def test_expected_shards_are_fetched_and_others_let_go(there: Any, built: Path, fetching: Fetching) -> None:
    shards, local = Dataset.open(URL, fetching).shards("training"), Dataset.open(built).shards("training")
    np.testing.assert_array_equal(shards[0], local[0])
    shards.expect((1, 2), (3,))
    shards._pool.shutdown(wait=True)
    kept = {path.name for path in fetching.cache.folder.rglob("*.tfrecord")}
    assert kept == {f"training-0000{number}.tfrecord" for number in range(4)}
    assert not shards._open
    shards.rest()
    shards.expect((4,))  # a stream after the first one
    np.testing.assert_array_equal(shards[4], local[4])
    shards.rest()


def test_mapped_shards_stay_in_the_cache(there: Any, tmp_path: Path) -> None:
    settings = Fetching(Cache(tmp_path / "cache", 450_000, wait=0.1))
    shards = Dataset.open(URL, settings).shards("training")
    first = shards.once(0)
    for index in (1, 2, 3):
        shards.once(index)
    assert (settings.cache.folder / shards.bucket.digest / "training-00000.tfrecord").exists()
    before = first.copy()
    del first
    for index in (4, 5):
        shards.once(index)
    assert not (settings.cache.folder / shards.bucket.digest / "training-00000.tfrecord").exists()
    np.testing.assert_array_equal(shards.once(0), before)


def test_what_is_missing_is_named(there: Any, fetching: Fetching) -> None:
    dataset = Dataset.open(URL, fetching)
    there.rm("/bucket-tests/data/shards/training-00003.tfrecord")
    there.rm("/bucket-tests/data/statistics.nc")
    there.pipe_file("/bucket-tests/data/grid.nc", b"no grid")
    with pytest.raises(DatasetError, match=rf"{URL}/shards/training-00003.tfrecord: the shard is missing"):
        dataset.shards("training")[3]
    with pytest.raises(DatasetError, match=rf"{URL}/statistics.nc: the file is missing"):
        dataset.table()
    with pytest.raises(ValueError, match=rf"{URL}/grid.nc: cannot be read as a netCDF"):
        _ = dataset.grid
    with pytest.raises(DatasetError, match="memory://bucket-tests/none: expected a data set with a dataset.json"):
        Dataset.open("memory://bucket-tests/none", fetching)


def test_a_pointer_that_names_nothing_yet_is_asked_again(there: Any, fetching: Fetching, tmp_path: Path) -> None:
    write_pointer(tmp_path / "pointer", URL)
    bucket = Bucket(tmp_path / "pointer", fetching)
    manifest = bucket.manifest()
    origin = bucket.origin
    assert isinstance(origin, Pointed) and not origin.moved()
    write_pointer(tmp_path / "pointer", "memory://bucket-tests/later")
    assert not origin.moved() and origin.url == URL
    there.copy("/bucket-tests/data", "/bucket-tests/later", recursive=True)
    assert origin.moved() and bucket.label == "memory://bucket-tests/later"
    assert bucket.manifest() == manifest


def test_a_process_that_holds_the_whole_cache_lets_go_of_it(there: Any, tmp_path: Path) -> None:
    """Training keeps a window open while validation needs room: that must not wait for itself."""
    data = Dataset.open(URL, Fetching(Cache(tmp_path / "cache", 450_000, wait=2)))
    training, validation = data.shards("training"), data.shards("validation")
    training.expect((0, 1))
    before = [training[index].copy() for index in (0, 1)]
    assert len(training._open) == 2
    assert validation.once(0).shape[0] == data.manifest.rows("validation") // 3 * 2
    assert not training._open
    for index in (0, 1):
        np.testing.assert_array_equal(training[index], before[index])
    training[5]
    assert 5 not in training._open  # one that comes late is not kept
    training.rest()
