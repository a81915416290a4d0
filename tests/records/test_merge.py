"""Parts that were built apart become the data set of one build, by links; what does not fit is refused by name."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.records import merge as module
from subgrid.records.build import Prepared, Running, build
from subgrid.records.manifest import read_manifest
from subgrid.records.merge import merge
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify

Ready = Callable[..., Prepared]


@pytest.fixture(scope="module")
def parts(ready: Ready, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four parts of one plan, each in a folder of its own; for reading only."""
    folders = [tmp_path_factory.mktemp("parts") / f"part-{index}" for index in (1, 2, 3, 4)]
    for index, folder in enumerate(folders, 1):
        assert build(ready(), folder, Running(Part(index, 4))) is None
    return folders


def content(folder: Path) -> dict[str, bytes]:
    """Everything in a data set but the manifest, which tells when it was made."""
    names = (path for path in folder.rglob("*") if path.is_file() and path.name != "dataset.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}


def test_parts_in_any_order_make_the_data_set_of_one_build(parts: list[Path], built: Path, tmp_path: Path) -> None:
    merged = []
    for number in range(3):
        out = tmp_path / str(number)
        manifest = merge(out, random.Random(number).sample(parts, 4))
        assert manifest.digest == Dataset.open(built).digest and verify(out) == []
        merged.append((manifest.model_copy(update={"created": ""}), content(out)))
    assert merged[0] == merged[1] == merged[2]
    whole = {name: data for name, data in content(built).items() if not name.startswith("parts/part-")}
    assert whole == {name: data for name, data in merged[0][1].items() if not name.startswith("parts/part-")}


def test_shards_are_linked(parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def inode(path: Path) -> int:
        return path.stat().st_ino

    first = next((parts[0] / "shards").iterdir())
    merge(tmp_path / "hard", parts)
    assert inode(tmp_path / "hard" / "shards" / first.name) == inode(first)
    merge(tmp_path / "copied", parts, copy=True)
    assert inode(tmp_path / "copied" / "shards" / first.name) != inode(first)

    def refuse(*arguments: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(module.os, "link", refuse)
    merge(tmp_path / "soft", parts)
    assert os.readlink(tmp_path / "soft" / "shards" / first.name) == str(first.resolve())
    assert verify(tmp_path / "soft") == verify(tmp_path / "copied") == []


def test_sets_of_a_plan_by_links_and_the_whole_from_them(
    ready: Ready, parts: list[Path], built: Path, tmp_path: Path
) -> None:
    """The winner's 32 parts and eight sets, small: four parts, two sets of two."""
    sets = [merge(tmp_path / "1", [parts[0], parts[2]], Part(1, 2)), merge(tmp_path / "2", parts[1::2], Part(2, 2))]
    whole = read_manifest(built)
    assert sum(one.rows("training") for one in sets) == whole.rows("training")
    assert {shard for one in sets for shard in one.shards} == set(whole.shards)
    assert verify(tmp_path / "1") == [] and sets[0].digest != sets[1].digest
    assert merge(tmp_path / "cut", [built], Part(1, 2)).digest == sets[0].digest
    assert merge(tmp_path / "again", [tmp_path / "2", tmp_path / "1"]).digest == whole.digest
    with pytest.raises(DatasetError, match="holds some parts of the plan, joined by merge"):
        build(ready(), tmp_path / "1")


def test_a_merge_is_repeated_or_refused(parts: list[Path], tmp_path: Path) -> None:
    first = merge(tmp_path / "out", parts)
    assert merge(tmp_path / "out", parts[::-1]) == first
    with pytest.raises(DatasetError, match="holds a data set of other parts"):
        merge(tmp_path / "out", parts[::2], Part(1, 2))


def test_what_is_missing_or_twice_is_named(parts: list[Path], built: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"missing are training-00001, training-00005, .*4 of 13 groups"):
        merge(tmp_path / "out", [parts[0], parts[2], parts[3]])
    with pytest.raises(DatasetError, match=rf"{parts[2]} and {built} overlap: both hold training-00002"):
        merge(tmp_path / "out", [built, parts[2]])
    with pytest.raises(DatasetError, match=rf"{parts[1]}: holds no group of part 1/2; leave it out"):
        merge(tmp_path / "out", parts[:3], Part(1, 2))
    with pytest.raises(DatasetError, match="expected folders of parts"):
        merge(tmp_path / "out", [])
    assert not (tmp_path / "out").exists()


def test_what_is_foreign_is_named(ready: Ready, parts: list[Path], tmp_path: Path) -> None:
    for name, settings in {"seed": {"seed": 1}, "plan": {"validation": "every=4"}}.items():
        build(ready(**settings), tmp_path / name, Running(Part(1, 4)))
        with pytest.raises(DatasetError, match=rf"{tmp_path / name}: is not a part of what .* with {name} = "):
            merge(tmp_path / "out", [*parts[1:], tmp_path / name])
    for part, name, commit in ((parts[0], "other", "a" * 40), (parts[1], "later", "b" * 40)):
        copy = Path(shutil.copytree(part, tmp_path / name)) / "plan.json"
        copy.write_text(json.dumps(json.loads(copy.read_text()) | {"commit": commit}))
    with pytest.raises(DatasetError, match=r"later: was built from commit b{40} of the repository, .*other from a{40}"):
        merge(tmp_path / "out", [tmp_path / "other", tmp_path / "later", *parts[2:]])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: not the folder of a build"):
        merge(tmp_path / "out", [*parts, tmp_path / "empty"])


@pytest.mark.parametrize("damage", ["cut", "gone", "report"])
def test_a_damaged_part_is_named(parts: list[Path], tmp_path: Path, damage: str) -> None:
    copy = Path(shutil.copytree(parts[0], tmp_path / "copy"))
    path = copy / "shards" / "training-00004.tfrecord"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "gone":
        path.unlink()
    else:
        path = copy / "parts" / "training-00004.json"
        path.write_text(path.read_text().replace("training-00004.tfrecord", "../../etc/passwd"))
    expected = {"cut": "found", "gone": "it is missing", "report": "leads out of its folder"}[damage]
    with pytest.raises(DatasetError, match=rf"training-00004\..*{expected}"):
        merge(tmp_path / "out", [copy, *parts[1:]])
    assert not (tmp_path / "out").exists()


def test_a_url_cannot_be_linked(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="only local folders can be linked"):
        merge(tmp_path / "out", [*parts, Path("gs://bucket/part")])


def test_parts_from_several_mounts_of_one_source_are_joined(
    ready: Ready, parts: list[Path], copied: Path, built: Path, tmp_path: Path
) -> None:
    build(ready(copied), tmp_path / "elsewhere", Running(Part(4, 4)))
    one = merge(tmp_path / "one", [*parts[:3], tmp_path / "elsewhere"])
    other = merge(tmp_path / "other", [tmp_path / "elsewhere", *parts[:3]])
    assert one.digest == read_manifest(built).digest and one.source == other.source
