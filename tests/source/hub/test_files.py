"""Paths of the hub with and without commits, and files compared with the digest that comes with them."""

import hashlib
from typing import Any

import fsspec
import pytest

from hub_server import COMMIT, Fault
from subgrid.source.hub.files import (
    WrongBytesError,
    at_commit,
    in_repository,
    named_commit,
    newest_commit,
    read_checked,
)

OTHER = "f" * 40


@pytest.fixture
def system(hub: Any) -> Any:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    huggingface_hub.HfFileSystem.clear_instance_cache()
    return fsspec.filesystem("hf", endpoint=hub.url)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("datasets/me/data", f"datasets/me/data@{OTHER}"),
        ("datasets/me/data/train/a.nc", f"datasets/me/data@{OTHER}/train/a.nc"),
        ("me/run/a@b.nc", f"me/run@{OTHER}/a@b.nc"),
        ("models/me/run/a.nc", f"me/run@{OTHER}/a.nc"),  # as the hub's file system calls it in its listings
        ("spaces/me/page/a.nc", f"spaces/me/page@{OTHER}/a.nc"),
        ("datasets/me/data@main/a.nc", f"datasets/me/data@{OTHER}/a.nc"),
        ("datasets/me/data@refs/pr/3/a.nc", f"datasets/me/data@{OTHER}/a.nc"),
        (f"datasets/me/data@{COMMIT}/a.nc", f"datasets/me/data@{OTHER}/a.nc"),
    ],
)
def test_a_path_at_a_commit(path: str, expected: str) -> None:
    assert at_commit(path, OTHER) == expected and named_commit(expected) == OTHER
    assert named_commit(path) == (COMMIT if COMMIT in path else "")


def test_buckets_have_no_commits() -> None:
    assert in_repository("hf://datasets/me/data") and in_repository("hf://me/run")
    assert not in_repository("hf://buckets/me/data") and not in_repository("gs://bucket")


def test_the_newest_commit_is_asked_for(hub: Any, system: Any) -> None:
    assert newest_commit(system, f"datasets/{hub.repository}") == COMMIT
    with pytest.raises(OSError, match="Repository Not Found"):
        newest_commit(system, "datasets/me/absent")


@pytest.mark.parametrize("small", [False, True])
def test_the_digest_comes_with_the_file(hub: Any, system: Any, small: bool) -> None:
    name = "ClimSim_low-res_grid-info.nc"
    hub.small = {name} if small else set()
    path = f"datasets/{hub.repository}@{COMMIT}/{name}"
    assert read_checked(system, path) == hub.files[name] and not hub.requests("hub", "/tree/|/paths-info/")
    hub.faults = [Fault(name, flip=True, at="hub" if small else "store")]
    content = hub.files[name]
    expected = hashlib.sha1(b"blob %d\0" % len(content) + content) if small else hashlib.sha256(content)
    with pytest.raises(WrongBytesError, match=f"expected {'git' if small else 'sha256'} {expected.hexdigest()}, found"):
        read_checked(system, path)
    assert read_checked(system, path) == content
