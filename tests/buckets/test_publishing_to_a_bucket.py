"""Publishing to S3 and Google's store: whole objects, and what is there is known by the store's own checksums."""

from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from subgrid.publishing import targets
from subgrid.publishing.publish import publish
from subgrid.records.reader import Dataset, Fetching


@pytest.fixture(params=["s3", "gcs"])
def bucket(request: pytest.FixtureRequest) -> str:
    """A bucket of each kind."""
    return str(request.getfixturevalue(request.param))


def test_a_publication_goes_on_and_reads_back(
    bucket: str, data: Path, fetching: Callable[..., Fetching], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket}/published"
    (first,) = publish(data, url)
    assert first.kept == 0
    assert Dataset.open(url, fetching()).digest == Dataset.open(data).digest
    system, path = fsspec.core.url_to_fs(url)
    wrong = f"{path}/shards/training-00002.tfrecord"
    system.pipe_file(wrong, bytes(system.info(wrong)["size"]))
    monkeypatch.setattr(targets, "fetch", None)  # nothing is read back to be compared
    (second,) = publish(data, url)
    assert (second.files, second.kept) == (1, first.files - 1)
    assert publish(data, url)[0].files == 0
