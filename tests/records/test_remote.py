"""Builds from and to URLs, with real clients and real servers: the data set of a local build, whatever happens."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import google_crc32c
import numpy as np
import pytest

from servers import gcs_server, s3_server, web_server
from subgrid.errors import DatasetError, InputError, SettingsError, SubgridError
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Prepared, Running, build, estimate, prepare, save_plan
from subgrid.records.draws import Draw
from subgrid.records.manifest import read_manifest
from subgrid.records.plan import Part, Wanted
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify
from subgrid.source import retries
from subgrid.source.locations import Location
from subgrid.source.steps import Choice

Ready = Callable[..., Prepared]

KILLS = 8


@pytest.fixture(
    params=["memory", pytest.param("s3", marks=pytest.mark.slow), pytest.param("gs", marks=pytest.mark.slow)]
)
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of an empty bucket, or of what is like one."""
    scheme = request.param
    if scheme == "memory":
        yield "memory://builds"
        if fsspec.filesystem("memory").exists("/bucket"):
            fsspec.filesystem("memory").rm("/bucket", recursive=True)
        return
    library = pytest.importorskip({"s3": "s3fs", "gs": "gcsfs"}[scheme])
    with {"s3": s3_server, "gs": gcs_server}[scheme](tmp_path / "server.log") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        getattr(library, {"s3": "S3FileSystem", "gs": "GCSFileSystem"}[scheme]).clear_instance_cache()
        fsspec.filesystem(scheme).mkdir("bucket")
        yield f"{scheme}://bucket"


def files_of(url: str) -> dict[str, bytes]:
    """All files at a URL by their relative name."""
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    start = path.rstrip("/") + "/"
    return {name.removeprefix(start): system.cat_file(name) for name in system.find(path)}


def local_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_manifest(files: dict[str, bytes]) -> dict[str, bytes]:
    """The manifest tells when and from where it was made."""
    return {name: data for name, data in files.items() if name not in ("dataset.json", "source.json")}


def assert_same(url: str, reference: Path) -> None:
    """The very bytes of a local build."""
    found, expected = files_of(url), local_files(reference)
    parts = [name for name in {*found, *expected} if name.startswith("parts/part-")]
    for files in (found, expected):
        for name in parts:
            files.pop(name, None)
    assert without_manifest(found) == without_manifest(expected)
    assert json.loads(found["dataset.json"])["digest"] == read_manifest(reference).digest


def test_a_build_from_and_to_a_bucket_has_the_bytes_of_a_local_one(
    ready: Ready, built: Path, synthetic_source: Path, bucket: str, tmp_path: Path
) -> None:
    system, path = fsspec.core.url_to_fs(bucket)
    system.put(str(synthetic_source), f"{path}/raw", recursive=True)
    source = Location(f"{bucket}/raw")
    prepared = prepare(source, ready().blueprint.settings, validation="every=5")
    scratch = tmp_path / "scratch"
    for index in (3, 1, 2):
        manifest = build(prepared, f"{bucket}/data", Running(Part(index, 3), scratch=scratch))
        assert (manifest is None) == (index != 2)
    assert manifest is not None and manifest.source == source.url and "made-up" in manifest.licence
    assert_same(f"{bucket}/data", built)
    assert not [path for path in scratch.rglob("*") if path.is_file()], "nothing stays in scratch space"
    again = build(prepared, f"{bucket}/data")
    assert again == manifest
    with pytest.raises(DatasetError, match="was built from .*/raw, not from"):
        build(ready(), f"{bucket}/data")
    with pytest.raises(DatasetError, match="holds a build with seed = 0, this one has seed = 1"):
        build(ready(seed=1), f"{bucket}/data")


def environment_of(arguments: list[str]) -> dict[str, Any]:
    return {"args": arguments, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}


def whole_groups(url: str) -> int:
    """Reports there are, each with shards that are whole: what a killed build may be believed."""
    files = files_of(url)
    reports = [name for name in files if name.startswith(("parts/training", "parts/validation"))]
    for name in reports:
        for shard in json.loads(files[name])["shards"]:
            data = files[f"shards/{shard['name']}"]
            assert (len(data), google_crc32c.value(data)) == (shard["bytes"], shard["crc32c"])
    return len(reports)


def reports(url: str) -> int:
    """How many groups are done, by their names alone."""
    system, path = fsspec.core.url_to_fs(url)
    system.invalidate_cache()
    return sum("/parts/training" in name or "/parts/validation" in name for name in system.find(path))


@pytest.mark.slow
@pytest.mark.parametrize("bucket", ["s3", "gs"], indirect=True)
def test_a_remote_build_that_is_killed_goes_on(
    ready: Ready, built: Path, synthetic_source: Path, bucket: str, tmp_path: Path
) -> None:
    url, scratch = f"{bucket}/data", tmp_path / "scratch"
    arguments = [sys.executable, "-m", "subgrid", "build", str(synthetic_source), url, "--validation", "every=5",
                 "--shard-size", "150000", "--scratch", str(scratch)]  # fmt: skip
    moments, states = random.Random(0), [0]
    while len(states) <= KILLS and states[-1] < 13:
        process = subprocess.Popen(**environment_of(arguments))
        while process.poll() is None and reports(url) <= states[-1]:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        assert process.wait() in (0, -signal.SIGKILL), process.communicate()[1]
        process.communicate()
        states.append(whole_groups(url))
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_same(url, built)
    assert 0 < states[1] < 13 and states == sorted(states)
    assert not [path for path in scratch.rglob("*") if path.is_file()], "what killed builds left was swept"


def test_workers_cannot_share_the_memory_of_one_process(ready: Ready) -> None:
    with pytest.raises(SettingsError, match="memory of one process"):
        build(ready(), "memory://builds/data", Running(workers=2))


@pytest.fixture
def remote_source(synthetic_source: Path) -> Iterator[Location]:
    memory = fsspec.filesystem("memory")
    memory.put(str(synthetic_source), "/remote", recursive=True)
    yield Location("memory://remote")
    memory.rm("/remote", recursive=True)


def test_a_plan_that_names_the_files_saves_the_listing(
    ready: Ready, remote_source: Location, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, path = ready().blueprint.settings, tmp_path / "new" / "plan.json"
    save_plan(prepare(remote_source, settings, validation="every=5", plan=path))

    def refuse(*arguments: object) -> list[str]:
        raise AssertionError("the source is listed")

    monkeypatch.setattr(Location, "names", refuse)
    manifest = build(prepare(remote_source, settings, plan=path), tmp_path / "out")
    assert manifest is not None and manifest.digest == read_manifest(built).digest
    elsewhere = Location("memory://elsewhere")
    with pytest.raises(InputError, match="the file is not there.*is this the plan's source"):
        prepare(elsewhere, settings, plan=path)


def test_a_plan_is_saved_in_a_file_that_was_named(ready: Ready) -> None:
    with pytest.raises(SettingsError, match="--plan FILE"):
        save_plan(ready())


def test_a_planned_file_that_proves_absent_is_dropped_without_a_listing(
    ready: Ready, remote_source: Location, copied: Path, tmp_path: Path
) -> None:
    """As where the listing has told before: the same data set."""
    settings, path = ready().blueprint.settings, tmp_path / "plan.json"
    whole = prepare(remote_source, settings, validation="every=5", plan=path)
    save_plan(whole)
    label = whole.blueprint.plan.training[5]
    fsspec.filesystem("memory").rm_file(f"/remote/{whole.steps[label].mlo}")
    (copied / str(whole.steps[label].mlo)).unlink()
    (copied / whole.steps[label].mli).unlink()
    unlisted = build(prepare(remote_source, settings, plan=path), tmp_path / "one")
    os.replace(path, tmp_path / "kept.json")
    data = json.loads((tmp_path / "kept.json").read_text()) | {"files": None}
    path.write_text(json.dumps(data))
    listed = build(prepare(Location(str(copied)), settings, plan=path), tmp_path / "other")
    assert unlisted is not None and listed is not None
    assert unlisted.dropped == listed.dropped == {label: "not in the source"} and unlisted.digest == listed.digest


def test_a_step_that_is_cut_on_the_way_is_named(ready: Ready, remote_source: Location, tmp_path: Path) -> None:
    prepared = prepare(remote_source, ready().blueprint.settings, validation="every=5")
    name = prepared.steps[prepared.blueprint.plan.training[3]].mli
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"/remote/{name}", memory.cat_file(f"/remote/{name}")[:-8])
    with pytest.raises(InputError, match=rf"memory://remote/{name}: the file is cut short"):
        build(prepared, tmp_path)


def test_errors_that_pass_are_borne(
    ready: Ready, remote_source: Location, built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every third read of a file and every third write fails once."""
    memory = type(fsspec.filesystem("memory"))
    calls = [0]

    def shaky(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object, **more: object) -> object:
            calls[0] += 1
            if calls[0] % 3 == 0:
                raise ConnectionResetError("cut")
            return method(*arguments, **more)

        return call

    monkeypatch.setattr(retries.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(memory, "cat_file", shaky(memory.cat_file))
    monkeypatch.setattr(memory, "put_file", shaky(memory.put_file))
    prepared = prepare(remote_source, ready().blueprint.settings, validation="every=5")
    manifest = build(prepared, "memory://shaky", Running(scratch=tmp_path))
    fsspec.filesystem("memory").rm("/shaky", recursive=True)
    assert manifest is not None and manifest.digest == read_manifest(built).digest and calls[0] > 60


def test_steps_from_a_web_server_that_is_busy_and_cuts(
    ready: Ready, synthetic_source: Path, built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every fourth answer is 429, 503 or cut in the middle; then one file is refused for good."""
    pytest.importorskip("aiohttp")
    calls, refused = [0], [""]
    kinds = ("429", "503", "cut")

    def fault(path: str) -> str:
        calls[0] += 1
        if refused[0] and path.endswith(refused[0]):
            return "403"
        return kinds[calls[0] // 4 % 3] if calls[0] % 4 == 0 else ""

    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 5)
    with web_server(synthetic_source, fault) as url:
        prepared = prepare(Location(url), ready().blueprint.settings, validation="every=5")
        manifest = build(prepared, tmp_path / "out")
        assert manifest is not None and manifest.digest == read_manifest(built).digest and calls[0] > 40
        refused[0] = Path(prepared.steps[prepared.blueprint.plan.training[2]].mli).name
        with pytest.raises(InputError, match=rf"{refused[0]}: cannot be read \(.*403.*; see to it that it can"):
            build(prepared, tmp_path / "other")


def test_a_bucket_that_refuses_loses_nothing(
    ready: Ready, built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The upload is refused for good at every third shard: what is done stays, the same build goes on."""
    memory = type(fsspec.filesystem("memory"))
    put, failures = memory.put_file, []

    def refuse(self: object, here: str, there: str, **more: object) -> None:
        if (
            "shards" in there
            and len(failures) < 3
            and there.split(".partial")[0].endswith(("3.tfrecord", "6.tfrecord"))
        ):
            failures.append(there)
            raise PermissionError("quota")
        put(self, here, there, **more)

    monkeypatch.setattr(memory, "put_file", refuse)
    for _ in range(3):
        with pytest.raises(SubgridError, match=r"memory://refusing/shards/.*quota"):
            build(ready(), "memory://refusing", Running(scratch=tmp_path))
        assert whole_groups("memory://refusing") >= 1
    build(ready(), "memory://refusing", Running(scratch=tmp_path))
    assert_same("memory://refusing", built)
    fsspec.filesystem("memory").rm("/refusing", recursive=True)


def test_the_plan_of_a_remote_build_tells_its_scratch_space(ready: Ready, tmp_path: Path) -> None:
    prepared = ready()
    local, remote = estimate(prepared, tmp_path / "out"), estimate(prepared, "memory://out", tmp_path / "scratch")
    assert local.scratch == 0 and remote.scratch == 2 * 2 * 24 * prepared.blueprint.layout.stride
    assert not (tmp_path / "scratch").exists()


# Rows of more steps than a shard holds, as in high resolution.


def test_shards_of_a_span_mix_rows_of_all_its_steps(ready: Ready, built: Path, tmp_path: Path) -> None:
    prepared = ready(span=8, shard_size=100_000)
    before = estimate(prepared, tmp_path)
    manifest = build(prepared, tmp_path)
    assert manifest is not None and verify(tmp_path) == []
    dataset, reference = Dataset.open(tmp_path), Dataset.open(built)
    assert [len(group.steps) for group in prepared.blueprint.groups] == [8, 8, 3]
    assert before.shards == {split: len(dataset.shards(split).shards) for split in dataset.splits}
    assert before.shards["training"] >= 14 and max(shard.bytes for shard in manifest.shards) < 120_000
    for split in dataset.splits:
        rows = {int(row) for batch in dataset.scan(split, 99) for row in batch.row}
        assert rows == {int(row) for batch in reference.scan(split, 99) for row in batch.row}
        np.testing.assert_array_equal(dataset.table(split).inputs.count, reference.table(split).inputs.count)
    for batch in dataset.scan("training", 24):
        assert len(np.unique(batch.time)) >= 5, (
            "a shard of 24 rows, less than one step, holds rows of most of the eight"
        )


def test_parts_of_a_span_are_the_data_set_of_one_build(ready: Ready, tmp_path: Path) -> None:
    prepared = ready(span=4, shard_size=100_000)
    whole = build(prepared, tmp_path / "one")
    for index in (4, 2, 3, 1):
        manifest = build(prepared, tmp_path / "other", Running(Part(index, 4)))
    assert whole is not None and manifest is not None and manifest.digest == whole.digest


def test_a_draw_stands_in_the_plan_file(ready: Ready, synthetic_source: Path, tmp_path: Path) -> None:
    source, path = Location(str(synthetic_source)), tmp_path / "plan.json"
    settings = BuildSettings(shard_size=100_000, seed=5, span=3)
    prepared = prepare(source, settings, Wanted(Choice(), Draw(2, 2, 3)), plan=path)
    save_plan(prepared)
    assert json.loads(path.read_text())["draw"] == "2x2x3 with seed 5"
    assert prepare(source, settings, plan=path).blueprint.plan == prepared.blueprint.plan
    assert [len(group.steps) for group in prepared.blueprint.groups] == [3, 3, 3, 3]
    with pytest.raises(DatasetError, match="the plan exists and takes other steps"):
        prepare(source, settings, Wanted(Choice(), Draw(2, 3, 2)), plan=path, validation="every=3")
    with pytest.raises(SettingsError, match="20 steps are to be drawn"):
        prepare(source, settings, Wanted(Choice(), Draw(2, 2, 5)))


def test_a_killed_builder_s_small_files_are_swept(ready: Ready, tmp_path: Path) -> None:
    build(ready(), tmp_path / "out", Running(Part(1, 2)))
    left = tmp_path / "out" / "parts" / ".training-00001.json.partial-01234567"
    left.write_text("{")
    build(ready(), tmp_path / "out", Running(Part(1, 2)))
    assert not left.exists()


def test_bytes_of_a_step_in_the_plan_are_about_those_of_its_files(ready: Ready, synthetic_source: Path) -> None:
    prepared = ready()
    step = next(iter(prepared.steps.values()))
    size = sum((synthetic_source / str(name)).stat().st_size for name in (step.mli, step.mlo))
    assert 0.5 < size / prepared.blueprint.step_bytes < 1.5
