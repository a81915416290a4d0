"""What stands in a build's folder first: others with the same settings go on, anything else is refused by name."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.records.blueprint import Blueprint, BuildSettings, read_blueprint
from subgrid.records.build import Prepared

Ready = Callable[..., Prepared]


def names_in(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


def others(blueprint: Blueprint) -> dict[str, Blueprint]:
    """Blueprints that differ in one thing each."""
    settings, plan, grid = blueprint.settings, blueprint.plan, blueprint.grid
    return {
        "variables": replace(blueprint, settings=replace(settings, variables="v2")),
        "float64": replace(blueprint, settings=replace(settings, float64=True)),
        "shard_size": replace(blueprint, settings=replace(settings, shard_size=settings.shard_size + 1)),
        "seed": replace(blueprint, settings=replace(settings, seed=7)),
        "plan": replace(blueprint, plan=replace(plan, training=plan.training[1:])),
        "grid": replace(blueprint, grid=replace(grid, lon=np.nextafter(grid.lon, 400.0))),
    }


def test_a_blueprint_survives_the_round_trip(ready: Ready, tmp_path: Path) -> None:
    blueprint = ready(seed=3, float64=True).blueprint
    out = tmp_path / "deep" / "out"
    blueprint.lay(out)
    assert names_in(out) == {"build.json", "plan.json", "grid.nc", "shards", "parts"}
    found = read_blueprint(out)
    assert (found.settings, found.plan) == (blueprint.settings, blueprint.plan)
    assert found.digest == blueprint.digest and found.groups == blueprint.groups


def test_laying_it_again_changes_nothing(ready: Ready, tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()  # of a command that was interrupted here
    ready().blueprint.lay(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    ready().blueprint.lay(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("key", ["variables", "float64", "shard_size", "seed", "plan", "grid"])
def test_other_settings_are_refused_by_name(ready: Ready, tmp_path: Path, key: str) -> None:
    blueprint = ready().blueprint
    other = others(blueprint)[key]
    assert other.digest != blueprint.digest
    blueprint.lay(tmp_path)
    with pytest.raises(DatasetError, match=f"holds a build with {key} = .* this one has {key} = "):
        other.lay(tmp_path)
    blueprint.lay(tmp_path)


def test_every_difference_changes_the_digest(ready: Ready) -> None:
    blueprint = ready().blueprint
    digests = [blueprint.digest, *(other.digest for other in others(blueprint).values())]
    assert len(set(digests)) == 7


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(ready: Ready, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DatasetError, match=r"expected an empty folder or an unfinished build, found thesis\.tex"):
        ready().blueprint.lay(tmp_path)
    assert names_in(tmp_path) == {"thesis.tex"}


def test_a_check_writes_nothing_and_refuses_what_a_build_would(ready: Ready, tmp_path: Path) -> None:
    blueprint = ready().blueprint
    blueprint.check(tmp_path / "new")
    assert names_in(tmp_path) == set()
    blueprint.lay(tmp_path / "begun")
    blueprint.check(tmp_path / "begun")
    with pytest.raises(DatasetError, match="holds a build with seed = 0, this one has seed = 3"):
        ready(seed=3).blueprint.check(tmp_path / "begun")
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DatasetError, match=r"expected an empty folder or an unfinished build, found begun, the"):
        blueprint.check(tmp_path)
    with pytest.raises(DatasetError, match="expected a folder to build into, found a file"):
        blueprint.check(tmp_path / "thesis.tex")


def test_a_file_is_not_a_folder(ready: Ready, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("text")
    with pytest.raises(DatasetError, match="expected a folder to build into, found a file"):
        ready().blueprint.lay(tmp_path / "out")


@pytest.mark.parametrize("last", ["build.json", "plan.json", "grid.nc", "parts", "shards"])
def test_one_that_was_interrupted_is_laid_to_its_end(ready: Ready, tmp_path: Path, last: str) -> None:
    """Killed before ``last`` was there: that and all that follows it are missing; build.json is written last."""
    blueprint = ready().blueprint
    blueprint.lay(tmp_path)
    order = ["shards", "parts", "grid.nc", "plan.json", "build.json"]
    for name in order[order.index(last) :]:
        path = tmp_path / name
        path.rmdir() if path.is_dir() else path.unlink()
    (tmp_path / f".{last}.partial-0123abcd").write_text("half")
    blueprint.lay(tmp_path)
    assert read_blueprint(tmp_path).digest == blueprint.digest


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"\xff\xfe\x00", b'{"format": "other/9"}', b'{"format": "subgrid-build/1", "colour": 1}',
     b'{"format": "subgrid-build/1", "shard_size": "much"}'],
)  # fmt: skip
def test_a_damaged_build_file_is_refused(ready: Ready, tmp_path: Path, content: bytes) -> None:
    blueprint = ready().blueprint
    blueprint.lay(tmp_path)
    (tmp_path / "build.json").write_bytes(content)
    with pytest.raises(DatasetError, match=str(tmp_path)):
        read_blueprint(tmp_path)
    with pytest.raises(DatasetError):
        blueprint.lay(tmp_path)


@pytest.mark.parametrize("name", ["plan.json", "grid.nc"])
@pytest.mark.parametrize("content", [None, b"\xff\x00", b"{}"])
def test_a_damaged_plan_or_grid_is_refused_by_name(
    ready: Ready, tmp_path: Path, name: str, content: bytes | None
) -> None:
    ready().blueprint.lay(tmp_path)
    path = tmp_path / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(SubgridError, match=name):
        read_blueprint(tmp_path)


def test_the_build_file_holds_what_the_user_chose(ready: Ready, tmp_path: Path) -> None:
    ready(seed=5).blueprint.lay(tmp_path)
    expected = {"format": "subgrid-build/1", "variables": "kaggle", "float64": False, "shard_size": 150_000, "seed": 5,
                "span": 0}  # fmt: skip
    assert json.loads((tmp_path / "build.json").read_text()) == expected


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingsError, match="unknown variable set 'v9'"):
        BuildSettings(variables="v9")
    with pytest.raises(SettingsError, match="shard size must be at least 1 byte, found 0"):
        BuildSettings(shard_size=0)


def test_storage_is_single_unless_float64(ready: Ready) -> None:
    single, double = ready().blueprint, ready(float64=True).blueprint
    assert single.input_storage.single and single.target_storage.single
    assert not double.input_storage.single and not double.target_storage.single
    assert single.layout.views(single.layout.blank(1))["inputs"].dtype == np.float32
    assert double.layout.views(double.layout.blank(1))["inputs"].dtype == np.float64
