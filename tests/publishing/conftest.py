"""A data set, a run and a prediction to publish."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.source.locations import Location


@pytest.fixture(scope="session")
def data(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 11 training and 2 validation groups; for reading only."""
    folder = tmp_path_factory.mktemp("publishing") / "data"
    build(prepare(Location(str(synthetic_source)), BuildSettings(shard_size=150_000), validation="every=5"), folder)
    return folder


@pytest.fixture
def copied(data: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(data, tmp_path / "copied"))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's file system in memory, empty below ``memory://published``."""
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/published"):
        system.rm("/published", recursive=True)
