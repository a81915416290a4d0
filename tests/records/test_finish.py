"""What a build came from stands beside it, and another source is refused from the first group on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from subgrid.errors import DatasetError
from subgrid.records.build import Prepared, Running, build
from subgrid.records.finish import Origin, finish, read_origin, settle_origin
from subgrid.records.manifest import read_manifest
from subgrid.records.plan import Part
from subgrid.records.repair import take_back
from subgrid.records.store import LocalStore
from subgrid.records.verify import verify
from subgrid.source.locations import Location

Ready = Callable[..., Prepared]


def test_the_origin_is_the_source_without_secrets(synthetic_source: Path) -> None:
    assert "made-up" in Origin.of(Location(str(synthetic_source))).licence
    assert Origin.of(Location("memory://u:p@raw")) == Origin("memory://raw", "CC-BY-4.0 (ClimSim, LEAP)")


def test_a_source_is_the_same_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    origin = Origin(str(tmp_path / "raw"), "")
    assert origin.same_source(str(tmp_path / "link")) and origin.same_source(f"file://{tmp_path}/raw/")
    assert not origin.same_source(str(tmp_path)) and not origin.same_source("gs://raw")
    assert Origin("gs://raw/", "").same_source("gs://raw")


def test_a_second_source_is_refused_before_the_build_is_finished(ready: Ready, copied: Path, tmp_path: Path) -> None:
    """Dates and grid of two simulations may be the same."""
    assert build(ready(), tmp_path / "out", Running(Part(1, 3))) is None
    with pytest.raises(DatasetError, match=r"is being built from .*, not from .*copied; use another folder"):
        build(ready(copied), tmp_path / "out", Running(Part(2, 3)))
    assert build(ready(), tmp_path / "out") is not None


@pytest.mark.parametrize("name", ["statistics.nc", "shards/training-00002.tfrecord"])
def test_a_finished_build_that_lost_a_file_is_not_taken_for_whole(ready: Ready, spoilt: Path, name: str) -> None:
    before = read_manifest(spoilt)
    (spoilt / name).unlink()
    with pytest.raises(DatasetError, match=rf"{name}: is missing \(1 files in all\); subgrid verify --repair, and"):
        build(ready(), spoilt)
    take_back(spoilt)
    after = build(ready(), spoilt)
    assert after is not None and after.digest == before.digest and verify(spoilt) == []


def test_a_damaged_origin_is_named(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert read_origin(store) is None
    settle_origin(store, Origin("a", "b"))
    assert read_origin(store) == Origin("a", "b")
    (tmp_path / "source.json").write_text(json.dumps({"source": "a", "other": 1}))
    with pytest.raises(DatasetError, match=r"source\.json: damaged"):
        read_origin(store)


def test_finishing_again_gives_the_same(ready: Ready, spoilt: Path) -> None:
    before = read_manifest(spoilt)
    statistics = (spoilt / "statistics.nc").read_bytes()
    shutil.copy(spoilt / "dataset.json", spoilt / "kept")
    blueprint = ready().blueprint
    after = finish(LocalStore(spoilt), blueprint, blueprint.groups, Origin(before.source, before.licence))
    assert after.model_copy(update={"created": before.created}) == before
    assert (spoilt / "statistics.nc").read_bytes() == statistics
