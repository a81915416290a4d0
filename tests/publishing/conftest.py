"""A data set, a run and a prediction to publish."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest


@pytest.fixture(scope="session")
def data(thirteen_shards: Path) -> Path:
    """A finished data set; for reading only."""
    return thirteen_shards


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
