"""The manifest: what identifies a data set and what does not, and that a changed one is not believed."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from subgrid.errors import DatasetError
from subgrid.records.build import Prepared
from subgrid.records.ledger import GroupReport, Shard
from subgrid.records.manifest import Manifest, make_manifest, read_manifest
from subgrid.schema.variable_sets import variable_set

Ready = Callable[..., Prepared]


def stored(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "dataset.json").read_text())


def rewritten(folder: Path, change: dict[str, Any], digest: bool) -> None:
    """Change a manifest; with ``digest`` as somebody would who knows how the digest is made."""
    data = stored(folder) | change
    if digest:
        data["digest"] = Manifest.model_validate(data).computed_digest()
    (folder / "dataset.json").write_text(json.dumps(data))


def reports_of(prepared: Prepared, **changes: Any) -> list[GroupReport]:
    """Made-up reports: shard number n of a split holds 10 + n rows."""
    found = []
    for group in prepared.blueprint.groups:
        shard = Shard(name=f"{group.name}.tfrecord", split=group.split, rows=10 + group.index, bytes=9, crc32c=1)
        fields = {"build": "b", "group": group.name, "shards": (shard,), "dropped": {}, "flushed": {"a": 1},
                  "fill": {"f": 2} if group.index % 2 else {}, "other_time": 1, "moments": {}}  # fmt: skip
        found.append(GroupReport(**(fields | changes)))
    return found


def test_it_says_what_the_data_set_is(ready: Ready) -> None:
    prepared = ready()
    manifest = make_manifest(prepared.blueprint, reports_of(prepared), "somewhere", "some licence")
    kaggle = variable_set("kaggle")
    assert [item.name for item in manifest.inputs] == [item.name for item in kaggle.inputs]
    assert {item.name: item.exponent for item in manifest.targets}["ptend_q0002"] == 120
    assert {item.name: item.unit for item in manifest.inputs}["state_ps"] == "Pa"
    assert (manifest.columns, manifest.split, manifest.seed, manifest.variable_set) == (24, "every=5", 0, "kaggle")
    assert manifest.features["inputs"] == ("<f4", 556) and manifest.features["targets"] == ("<f4", 368)
    assert (manifest.source, manifest.licence) == ("somewhere", "some licence")
    assert manifest.skipped == prepared.blueprint.plan.skipped and len(manifest.skipped) == 1
    assert manifest.digest == manifest.computed_digest() and len(manifest.digest) == 64


def test_counts_are_added_over_groups(ready: Ready) -> None:
    prepared = ready()
    manifest = make_manifest(prepared.blueprint, reports_of(prepared), "", "")
    assert manifest.rows("training") == sum(range(10, 21)) and manifest.rows("validation") == 10 + 11
    assert (manifest.flushed, manifest.fill, manifest.other_time) == ({"a": 13}, {"f": 12}, 13)
    names = [shard.name for shard in manifest.shards]
    assert names == [f"{group.name}.tfrecord" for group in prepared.blueprint.groups]


def test_shards_of_a_split_stand_together_also_where_rows_are_drawn(ready: Ready) -> None:
    prepared = ready(validation="rows=40")
    reports = []
    for report in reports_of(prepared):
        one = report.shards[0]
        drawn = replace(one, split="validation", name=f"validation-{report.group[-5:]}-drawn.tfrecord")
        reports.append(report.model_copy(update={"shards": (one, drawn)}))
    splits = [shard.split for shard in make_manifest(prepared.blueprint, reports, "", "").shards]
    assert splits == ["training"] * len(reports) + ["validation"] * len(reports)


def test_provenance_leaves_no_trace_in_the_digest(ready: Ready) -> None:
    prepared = ready()
    one = make_manifest(prepared.blueprint, reports_of(prepared), "here", "licence")
    other = make_manifest(
        prepared.blueprint,
        reports_of(prepared, dropped={"0001-02-01-00000": "/home/me: cut"}, other_time=5),
        "there",
        "",
    )
    assert one.digest == other.digest == one.model_copy(update={"created": "", "program": ""}).computed_digest()


def test_where_a_list_of_validation_steps_lies_leaves_no_trace(ready: Ready, tmp_path: Path) -> None:
    digests = set()
    label = ready().blueprint.plan.training[3]
    for name in ("one.txt", "other.txt"):
        (tmp_path / name).write_text(label)
        prepared = ready(validation=f"file={tmp_path / name}")
        digests.add(make_manifest(prepared.blueprint, reports_of(prepared), "", "").digest)
    assert len(digests) == 1


@pytest.mark.parametrize("field", ["variable_set", "features", "stride", "offsets", "columns", "grid", "plan", "split",
                                   "seed", "shards", "inputs", "targets"])  # fmt: skip
def test_what_makes_the_data_set_changes_the_digest(built: Path, field: str) -> None:
    data = stored(built)
    value = data[field]
    changes = {int: lambda: value + 1, str: lambda: value + "x", list: lambda: value[:-1]}
    changed = changes.get(type(value), lambda: dict(list(value.items())[1:]))()
    assert Manifest.model_validate(data | {field: changed}).computed_digest() != data["digest"]


def test_another_checksum_of_one_shard_changes_the_digest(built: Path) -> None:
    manifest = read_manifest(built)
    last = manifest.shards[-1]
    shards = (*manifest.shards[:-1], replace(last, crc32c=last.crc32c ^ 1))
    assert manifest.model_copy(update={"shards": shards}).computed_digest() != manifest.digest


def test_it_is_read_back(built: Path) -> None:
    assert read_manifest(built).model_dump(mode="json") == stored(built)


@pytest.mark.parametrize("change", [{"seed": 1}, {"digest": "0" * 64}, {"shards": []}, {"split": "every=6"}])
def test_a_changed_manifest_is_refused(spoilt: Path, change: dict[str, Any]) -> None:
    rewritten(spoilt, change, digest=False)
    with pytest.raises(DatasetError, match=r"dataset\.json: the digest does not follow from the content"):
        read_manifest(spoilt)


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", ".", "", "a/b.tfrecord", "a/../training-00000.tfrecord", "x\0y", "a/"]
)
def test_a_shard_name_that_leads_out_is_refused(spoilt: Path, name: str) -> None:
    shards = stored(spoilt)["shards"]
    rewritten(spoilt, {"shards": [shards[0] | {"name": name}, *shards[1:]]}, digest=False)
    with pytest.raises(DatasetError, match="leads out of its folder") as caught:
        read_manifest(spoilt)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("change", [{"rows": 0}, {"bytes": 0}, {"rows": -1}])
def test_a_shard_of_nothing_is_refused(spoilt: Path, change: dict[str, int]) -> None:
    shards = stored(spoilt)["shards"]
    rewritten(spoilt, {"shards": [shards[0] | change, *shards[1:]]}, digest=False)
    with pytest.raises(
        DatasetError, match=rf"dataset\.json: damaged.*{next(iter(change))}.*greater than or equal to 1"
    ):
        read_manifest(spoilt)


@pytest.mark.parametrize("format", ["subgrid-dataset/2", ""])
def test_another_format_is_refused(spoilt: Path, format: str) -> None:
    rewritten(spoilt, {"format": format}, digest=True)
    with pytest.raises(DatasetError, match="expected format subgrid-dataset/1"):
        read_manifest(spoilt)


def test_a_manifest_that_is_cut_anywhere_is_refused(spoilt: Path) -> None:
    path = spoilt / "dataset.json"
    whole = path.read_bytes()
    for size in [0, 1, 2, 100, len(whole) // 3, len(whole) // 2, len(whole) - 3]:
        path.write_bytes(whole[:size])
        with pytest.raises(DatasetError, match=r"dataset\.json: damaged"):
            read_manifest(spoilt)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b'"text"', b'{"digest": "x", "colour": 1}'])
def test_a_manifest_that_is_something_else_is_refused(spoilt: Path, content: bytes) -> None:
    (spoilt / "dataset.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"dataset\.json: damaged, or written by another version"):
        read_manifest(spoilt)


def test_an_unfinished_build_says_so(spoilt: Path) -> None:
    (spoilt / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="found an unfinished build: run the same build again"):
        read_manifest(spoilt)


def test_any_other_folder_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file"):
        with pytest.raises(DatasetError, match=r"expected a data set with a dataset\.json, found no data set"):
            read_manifest(path)


def test_a_plan_with_other_steps_makes_another_data_set(ready: Ready) -> None:
    prepared = ready()
    plan = replace(prepared.blueprint.plan, training=prepared.blueprint.plan.training[:-1])
    other = replace(prepared, blueprint=replace(prepared.blueprint, plan=plan))
    digests = {make_manifest(one.blueprint, reports_of(prepared), "", "").digest for one in (prepared, other)}
    assert len(digests) == 2
