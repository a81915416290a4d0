"""The same data set however it was built: cut, killed, resumed, given more workers; and what stops a build."""

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import fsspec
import google_crc32c
import netCDF4
import numpy as np
import pytest

from subgrid.errors import DatasetError, InputError, SettingsError, SubgridError
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Prepared, Running, build, estimate, find_grid, prepare
from subgrid.records.manifest import read_manifest
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.source.locations import Location
from subgrid.source.steps import Choice
from subgrid.statistics.table import Table

Ready = Callable[..., Prepared]
Raw = dict[str, tuple[np.ndarray, np.ndarray]]
RawSteps = Callable[[Path, VariableSet], Raw]

KILLS = 50


def shards_of(folder: Path) -> dict[str, str]:
    """SHA-256 of the bytes of every shard."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "shards").iterdir()}


def moments_of(folder: Path) -> list[bytes]:
    """The bits of all statistics."""
    dataset = Dataset.open(folder)
    tables = [dataset.table(split) for split in dataset.splits]
    return [moments.to_array().tobytes() for table in tables for moments in (table.inputs, table.targets)]


def assert_same(folder: Path, reference: Path) -> None:
    assert Dataset.open(folder).digest == Dataset.open(reference).digest
    assert shards_of(folder) == shards_of(reference)
    assert moments_of(folder) == moments_of(reference)
    assert verify(folder) == []


def command(source: Path, out: Path, shard_size: int, *more: str) -> list[str]:
    options = ["--validation", "every=5", "--shard-size", str(shard_size), *more]
    return [sys.executable, "-m", "subgrid", "build", str(source), str(out), *options]


@pytest.mark.parametrize("parts", [1, 2, 5, 40])
def test_parts_in_any_order_make_the_same_data_set(ready: Ready, built: Path, tmp_path: Path, parts: int) -> None:
    """Forty parts are more than there are groups: some are empty, and done."""
    prepared = ready()
    order = random.Random(parts).sample(range(1, parts + 1), parts)
    for index in order[:-1]:
        assert build(prepared, tmp_path, Running(Part(index, parts))) in (None, *finished(tmp_path))
        assert parts > 13 or not (tmp_path / "dataset.json").exists()
    assert build(prepared, tmp_path, Running(Part(order[-1], parts))) is not None
    assert_same(tmp_path, built)


def finished(folder: Path) -> list[object]:
    return [read_manifest(folder)] if (folder / "dataset.json").exists() else []


def test_parts_of_several_cuts_may_be_mixed(ready: Ready, built: Path, tmp_path: Path) -> None:
    for part in (Part(2, 3), Part(4, 5), Part(1, 2)):
        assert build(ready(), tmp_path, Running(part)) is None
    assert build(ready(), tmp_path) is not None
    assert_same(tmp_path, built)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_make_the_same_data_set(ready: Ready, built: Path, tmp_path: Path, workers: int) -> None:
    seen: list[tuple[int, int]] = []
    running = Running(workers=workers, progress=lambda done, total: seen.append((done, total)))
    assert build(ready(), tmp_path, running) is not None
    assert seen[-1] == (19 * 24, 19 * 24) and seen == sorted(seen)
    assert_same(tmp_path, built)


@pytest.mark.slow
def test_a_worker_names_a_bad_step_and_others_finish(ready: Ready, copied: Path, built: Path, tmp_path: Path) -> None:
    prepared = ready(copied)
    path = next(copied.rglob(f"*.mlo.{prepared.blueprint.groups[4].steps[0]}.nc"))
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=path.name):
        build(prepared, tmp_path / "out", Running(workers=2))
    assert not (tmp_path / "out" / "dataset.json").exists()
    path.write_bytes(whole)
    build(prepared, tmp_path / "out", Running(workers=2))
    assert_same(tmp_path / "out", built)


def test_a_finished_build_is_left_as_it_is(ready: Ready, spoilt: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in spoilt.rglob("*")}
    assert build(ready(), spoilt) == read_manifest(spoilt)
    assert {path: path.stat().st_mtime_ns for path in spoilt.rglob("*")} == before


@pytest.mark.parametrize(
    "settings", [{"seed": 1}, {"float64": True}, {"shard_size": 90_000}, {"variables": "v1"}, {"validation": "every=4"}]
)
def test_other_settings_in_the_same_folder_are_refused(ready: Ready, spoilt: Path, settings: dict[str, object]) -> None:
    """Also where only a part is done."""
    name = "plan" if "validation" in settings else next(iter(settings))
    with pytest.raises(DatasetError, match=f"holds a build with {name} = "):
        build(ready(**settings), spoilt)
    (spoilt / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=f"holds a build with {name} = "):
        build(ready(**settings), spoilt)


def test_a_group_whose_report_is_missing_is_made_anew(ready: Ready, spoilt: Path, built: Path) -> None:
    for name in ("dataset.json", "statistics.nc", "parts/training-00003.json", "parts/validation-00001.json"):
        (spoilt / name).unlink()
    (spoilt / "shards" / "training-00003.tfrecord").write_bytes(b"half")
    (spoilt / "shards" / ".training-00003.tfrecord.partial-01234567").write_bytes(b"half")
    build(ready(), spoilt)
    assert_same(spoilt, built)
    assert not list((spoilt / "shards").glob(".*"))


def test_a_damaged_report_stops_the_end(ready: Ready, spoilt: Path) -> None:
    (spoilt / "dataset.json").unlink()
    (spoilt / "parts" / "training-00003.json").write_text("{")
    with pytest.raises(DatasetError, match=r"training-00003\.json: damaged .*; delete it"):
        build(ready(), spoilt)
    assert not (spoilt / "dataset.json").exists()


def test_a_step_without_mlo_is_skipped_and_counted(ready: Ready, built: Path, synthetic_source: Path) -> None:
    labels = {kind: {path.name.split(f".{kind}.")[1][:-3] for path in synthetic_source.rglob(f"*.{kind}.*")}
              for kind in ("mli", "mlo")}  # fmt: skip
    (lacking,) = labels["mli"] - labels["mlo"]
    manifest = read_manifest(built)
    assert manifest.skipped == (lacking,) and manifest.dropped == {}
    assert manifest.rows("training") + manifest.rows("validation") == 19 * 24
    kept = sorted(labels["mlo"])
    assert list(ready().blueprint.plan.validation) == kept[4::5], "places in a plan count complete steps"


def test_a_step_without_mli_is_skipped_and_counted_too(ready: Ready, built: Path, copied: Path, tmp_path: Path) -> None:
    (lacking,) = read_manifest(built).skipped
    gone = sorted(copied.rglob("*.mli.*.nc"))[7]
    gone.unlink()
    manifest = build(ready(copied), tmp_path / "out")
    assert manifest is not None and set(manifest.skipped) == {lacking, gone.name.split(".mli.")[1][:-3]}
    assert manifest.rows("training") + manifest.rows("validation") == 18 * 24


def test_when_every_training_step_is_dropped_there_is_nothing_to_train_on(ready: Ready, tmp_path: Path) -> None:
    prepared = ready()
    steps = {label: prepared.steps[label] for label in prepared.blueprint.plan.validation}
    with pytest.raises(InputError, match="every training step was dropped"):
        build(replace(prepared, steps=steps), tmp_path)
    assert not (tmp_path / "dataset.json").exists()


def test_made_up_data_say_so(built: Path) -> None:
    manifest = read_manifest(built)
    assert "made-up" in manifest.licence and manifest.program.startswith("subgrid ")


def test_a_first_step_that_is_no_netcdf_file_is_dropped_like_any_other(
    ready: Ready, copied: Path, tmp_path: Path
) -> None:
    prepared = ready(copied)
    first = min(copied.rglob("*.mli.*"))
    first.unlink()
    first.write_bytes(b"not netCDF")
    manifest = build(prepared, tmp_path / "out", Running(skip_bad=True))
    assert manifest is not None and "made-up" in manifest.licence
    assert list(manifest.dropped) == [first.name.split(".mli.")[1].removesuffix(".nc")]


def expected_moments(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Count, mean, population variance, minimum, maximum over rows, (row, column): two passes in extended precision."""
    filled = values >= 1e29
    count = (~filled).sum(axis=0)
    wide = np.where(filled, 0, values).astype(np.longdouble)
    mean = wide.sum(axis=0) / count
    variance = (np.where(filled, 0, wide - mean) ** 2).sum(axis=0) / count
    low, high = np.where(filled, np.inf, values).min(axis=0), np.where(filled, -np.inf, values).max(axis=0)
    return count, mean.astype(float), variance.astype(float), low, high


def compare_table(table: Table, inputs: np.ndarray, targets: np.ndarray) -> None:
    """A table against all rows (row, column); means relative to the largest size in a column."""
    for found, values in ((table.inputs, inputs), (table.targets, targets)):
        with np.errstate(invalid="ignore"):
            count, mean, variance, low, high = expected_moments(values)
        size = np.maximum(np.abs(low), np.abs(high))
        np.testing.assert_array_equal(found.count, count)
        np.testing.assert_array_equal(found.minimum, low)
        np.testing.assert_array_equal(found.maximum, high)
        assert (np.abs(found.mean - mean) <= 1e-12 * size).all()
        # A variance of rounding errors has no digits: 1e-12 of it, or 16 roundings of the values squared.
        assert (np.abs(found.variance - variance) <= 1e-12 * variance + (16 * np.finfo(float).eps * size) ** 2).all()
        np.testing.assert_array_equal(found.std == 0, low == high)


def compare_statistics(prepared: Prepared, folder: Path, raw: Raw) -> None:
    dataset = Dataset.open(folder)
    plan = prepared.blueprint.plan
    for split, labels in (("training", plan.training), ("validation", plan.validation)):
        inputs, targets = (np.concatenate([raw[label][side].T for label in labels]) for side in (0, 1))
        compare_table(dataset.table(split), inputs, targets)


@pytest.mark.parametrize("name", ["kaggle", "v2"])
def test_statistics_are_those_of_all_raw_rows(
    ready: Ready, synthetic_source: Path, raw_steps: RawSteps, tmp_path: Path, name: str
) -> None:
    prepared = ready(variables=name)
    build(prepared, tmp_path)
    compare_statistics(prepared, tmp_path, raw_steps(synthetic_source, variable_set(name)))


@pytest.mark.slow
def test_statistics_of_the_real_steps_are_those_of_all_raw_rows(
    ready: Ready, real_source: Path, raw_steps: RawSteps, tmp_path: Path
) -> None:
    prepared = ready(real_source, shard_size=6_000_000, variables="v2")
    build(prepared, tmp_path)
    compare_statistics(prepared, tmp_path, raw_steps(real_source, variable_set("v2")))


def test_statistics_of_drawn_rows_are_those_of_their_rows(
    ready: Ready, synthetic_source: Path, raw_steps: RawSteps, tmp_path: Path
) -> None:
    build(ready(validation="rows=100"), tmp_path)
    dataset = Dataset.open(tmp_path)
    raw = list(raw_steps(synthetic_source, dataset.variables).items())
    every = {label: number for number, (label, _) in enumerate(raw)}
    times = sorted({int(time) for split in dataset.splits for batch in dataset.scan(split, 999) for time in batch.time})
    number = dict(zip(times, sorted(every.values()), strict=True))
    for split in dataset.splits:
        rows = [(number[int(time)], int(column)) for batch in dataset.scan(split, 999)
                for time, column in zip(batch.time, batch.column, strict=True)]  # fmt: skip
        sides = [np.stack([raw[step][1][side][:, column] for step, column in rows]) for side in (0, 1)]
        compare_table(dataset.table(split), *sides)


def test_statistics_name_the_data_set(built: Path) -> None:
    with netCDF4.Dataset(built / "statistics.nc") as file:
        assert file.getncattr("dataset") == read_manifest(built).digest


def test_a_plan_file_is_written_by_the_build_and_then_used(
    ready: Ready, synthetic_source: Path, tmp_path: Path
) -> None:
    source, settings, path = Location(str(synthetic_source)), ready().blueprint.settings, tmp_path / "plan.json"
    first = prepare(source, settings, Choice(stride=2), validation="every=3", plan=path)
    assert not path.exists(), "a dry run writes nothing"
    build(first, tmp_path / "one")
    assert json.loads(path.read_text())["split"] == "every=3"
    again = prepare(source, settings, plan=path)
    assert again.blueprint.plan == first.blueprint.plan
    build(again, tmp_path / "other")
    assert_same(tmp_path / "other", tmp_path / "one")


def test_a_plan_file_that_takes_other_steps_is_refused(ready: Ready, synthetic_source: Path, tmp_path: Path) -> None:
    source, settings, path = Location(str(synthetic_source)), ready().blueprint.settings, tmp_path / "plan.json"
    build(prepare(source, settings, Choice(stride=2), validation="every=3", plan=path), tmp_path / "one")
    same = prepare(source, settings, Choice(stride=2), validation="every=3", plan=path)
    assert same.blueprint.digest == prepare(source, settings, plan=path).blueprint.digest
    for choice, rule in ((Choice(stride=2), "every=4"), (Choice(stride=3), "every=3"), (Choice(stride=2), None)):
        with pytest.raises(DatasetError, match="the plan exists and takes other steps"):
            prepare(source, settings, choice, validation=rule, plan=path)


def test_the_one_grid_of_a_source_is_found(synthetic_source: Path, copied: Path, tmp_path: Path) -> None:
    assert find_grid(Location(str(synthetic_source))) == "synthetic_grid-info.nc"
    (copied / "train" / "other_grid-info.nc").write_bytes(b"")
    with pytest.raises(InputError, match=r"expected one grid file .*, found synthetic_grid-info\.nc, train/other_grid"):
        find_grid(Location(str(copied)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="found none; name it with --grid"):
        find_grid(Location(str(tmp_path / "empty")))


def test_a_grid_that_does_not_fit_is_refused(
    ready: Ready, synthetic_source: Path, climsim: Path, tmp_path: Path
) -> None:
    """A step's header tells before anything is written; where a step lies elsewhere or has no such header, the step."""
    grid = climsim / "ClimSim_low-res" / "ClimSim_low-res_grid-info.nc"
    settings, remote = ready().blueprint.settings, "memory://other-grid"
    told = r"\.mli\..*: has 24 grid columns, the grid has 384; name the grid file of these steps with --grid"
    with pytest.raises(InputError, match=told):
        prepare(Location(str(synthetic_source)), settings, grid=grid)
    fsspec.filesystem("memory").put(str(synthetic_source), "/other-grid", recursive=True)
    with pytest.raises(InputError, match=r"must have shape \(60, 384\).*is this the grid of these files\?"):
        build(prepare(Location(remote), settings, grid=grid), tmp_path)
    with pytest.raises(DatasetError, match=r"holds a build with grid = .*nothing of it is made yet: remove it, use"):
        build(prepare(Location(remote), settings), tmp_path)


@pytest.mark.parametrize(("validation", "rows"), [("every=5", (16 * 24, 3 * 24)), ("rows=100", (356, 100))])
def test_an_estimate_is_what_the_build_takes(
    ready: Ready, tmp_path: Path, validation: str, rows: tuple[int, int]
) -> None:
    prepared = ready(validation=validation)
    before = estimate(prepared, tmp_path / "not" / "there")
    assert not (tmp_path / "not").exists()
    build(prepared, tmp_path)
    found = read_manifest(tmp_path)
    assert tuple(before.rows.values()) == rows == (found.rows("training"), found.rows("validation"))
    assert before.bytes == sum(shard.bytes for shard in found.shards) and before.skipped == 1
    assert before.free > 0 and before.memory > 100_000_000


def test_progress_ends_at_the_rows_of_the_part_also_when_resumed(ready: Ready, tmp_path: Path) -> None:
    for _ in range(2):
        seen: list[tuple[int, int]] = []
        build(ready(), tmp_path, Running(Part(1, 2), progress=lambda done, total: seen.append((done, total))))  # noqa: B023
        assert seen[-1][0] == seen[-1][1] and seen == sorted(seen)


def test_a_part_beyond_the_parts_is_refused() -> None:
    with pytest.raises(SettingsError):
        Part(3, 2)


def complete_groups(out: Path) -> int:
    """Reports there are, each with shards that are whole: what a killed build may be believed."""
    count = 0
    for path in (out / "parts").glob("[tv]*.json"):
        for shard in json.loads(path.read_text())["shards"]:
            data = (out / "shards" / shard["name"]).read_bytes()
            assert (len(data), google_crc32c.value(data)) == (shard["bytes"], shard["crc32c"])
        count += 1
    return count


def run_whole(arguments: list[str]) -> float:
    """Run a command to its end; returns how long it took."""
    start = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - start


def killed_many_times(arguments: list[str], out: Path, length: float, end: Callable[[], None], kills: int) -> list[int]:
    """Start a build again and again and kill it; ``end`` looks at one that came to its end, then it starts afresh.

    Returns how many groups were done at each kill.
    """
    moments, states = random.Random(0), []
    while len(states) < kills:
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            # Most of the time passes before the first byte is written: begin later, and let some reach the end.
            process.wait(moments.uniform(0.5, 1.0) * length)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            states.append(complete_groups(out))
            continue
        assert process.returncode == 0, process.communicate()[1]
        process.communicate()
        end()
        subprocess.run(["rm", "-r", str(out)], check=True)
    return states


def compare_killed(source: Path, folder: Path, shard_size: int, kills: int) -> None:
    reference, out = folder / "reference", folder / "killed"
    run_whole(command(source, reference, shard_size))
    assert len(shards_of(reference)) >= 10
    length = run_whole(command(source, folder / "timed", shard_size))
    arguments = command(source, out, shard_size)
    states = killed_many_times(arguments, out, length, lambda: assert_same(out, reference), kills)
    run_whole(arguments)
    assert_same(out, reference)
    assert not list((out / "shards").glob(".*"))
    assert len(set(states)) > 2, f"kills came at {states} finished groups: not at many moments of the build"


@pytest.mark.slow
def test_fifty_kills_leave_no_trace(synthetic_source: Path, tmp_path: Path) -> None:
    compare_killed(synthetic_source, tmp_path, 96_000, KILLS)


@pytest.mark.slow
def test_kills_leave_no_trace_in_real_data(real_source: Path, tmp_path: Path) -> None:
    compare_killed(real_source, tmp_path, 6_000_000, 10)


def children_of(process: int) -> list[int]:
    """Processes that a process has started."""
    listed = Path(f"/proc/{process}/task/{process}/children")
    if not listed.exists():
        pytest.skip("needs to see the children of a process in /proc")
    return [int(child) for child in listed.read_text().split()]


def runs(process: int) -> bool:
    """Whether a process is alive: neither gone nor waiting for whoever asks how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(real_source: Path, tmp_path: Path) -> None:
    """And the build that is resumed at once, beside what they still do, is the same data set."""
    reference, out = tmp_path / "reference", tmp_path / "out"
    run_whole(command(real_source, reference, 2_000_000))
    arguments = command(real_source, out, 2_000_000, "--workers", "2")
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((out / "parts").glob("training-*.json")) and process.poll() is None:
        time.sleep(0.01)
    children = children_of(process.pid)
    process.kill()
    process.wait()
    assert len(children) >= 2
    run_whole(arguments)
    assert_same(out, reference)
    end = time.monotonic() + 10
    while any(runs(child) for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(runs(child) for child in children)


@pytest.mark.slow
def test_two_builds_at_once_in_one_folder_make_one_data_set(
    built: Path, synthetic_source: Path, tmp_path: Path
) -> None:
    """Two parts that start together, as on two machines."""
    arguments = [command(synthetic_source, tmp_path, 150_000, "--part", f"{part}/2") for part in (1, 2)]
    processes = [
        subprocess.Popen(one, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for one in arguments
    ]
    for process in processes:
        _, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
    assert_same(tmp_path, built)


@pytest.mark.slow
def test_an_interrupted_build_says_so_and_goes_on(real_source: Path, tmp_path: Path) -> None:
    arguments = command(real_source, tmp_path / "out", 2_000_000)
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "out" / "parts").glob("training-*.json")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in error
    assert "interrupted; what is finished is kept: run the same command again" in error
    assert not list((tmp_path / "out" / "shards").glob(".*"))
    run_whole(arguments)
    assert verify(tmp_path / "out") == []


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"

    def resize(self, pages: int) -> None:
        """Give it that many pages of 4096 bytes; fewer than are used are refused."""
        options = f"remount,size={pages * 4096}"
        subprocess.run(["mount", "-o", options, str(self.folder)], check=True, capture_output=True)

    def used(self) -> int:
        """Pages in use."""
        state = os.statvfs(self.folder)
        return state.f_blocks - state.f_bfree


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system that can be made smaller and larger; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = sys.platform == "linux" and os.geteuid() == 0
    if mounted:
        arguments = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
        mounted = subprocess.run(arguments, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("a full disk needs a small tmpfs, and only root may mount one")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def attempt(prepared: Prepared, out: Path) -> str:
    """Build in a process of its own, as the command does; returns the message of its error, empty when it is done."""

    def child(answer: Connection) -> None:
        try:
            build(prepared, out)
            answer.send("")
        except SubgridError as error:
            answer.send(str(error))

    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    process.start()
    theirs.close()
    message = ours.recv()
    process.join()
    return str(message)


def assert_nothing_half_written(disk: Disk) -> None:
    complete_groups(disk.out)
    assert not (disk.out / "dataset.json").exists()
    assert not [path for path in disk.out.rglob(".*")], "what could not be written takes no room"


def test_a_disk_that_is_full_at_any_place_loses_nothing(ready: Ready, built: Path, disk: Disk) -> None:
    """The disk grows by a few pages from failure to failure: at the blueprint, shards, reports, statistics."""
    prepared = ready()
    failed: list[str] = []
    for pages in range(4, 4000, 7):
        disk.resize(max(pages, disk.used() + 1))
        message = attempt(prepared, disk.out)
        if not message:
            break
        assert str(disk.out) in message and ("No space left" in message or "HDF" in message), message
        failed.append(message)
        assert_nothing_half_written(disk)
    assert_same(disk.out, built)
    for place in ("shards/training-00000.tfrecord", "parts/training-00000.json", "statistics.nc"):
        assert any(place in error for error in failed), place


@pytest.mark.parametrize("name", ["statistics.nc", "dataset.json", "parts/part-0001-of-0001.json"])
def test_a_disk_that_is_full_at_the_end_loses_nothing(ready: Ready, built: Path, disk: Disk, name: str) -> None:
    """All room but that of the file's beginning is taken by somebody else."""
    prepared = ready()
    build(prepared, disk.out)
    room = {"parts/part-0001-of-0001.json": 0, "statistics.nc": 1, "dataset.json": 2}[name]
    if name == "dataset.json":
        room += (disk.out / "statistics.nc").stat().st_size // 4096
    for path in ("parts/part-0001-of-0001.json", "statistics.nc", "dataset.json"):
        (disk.out / path).unlink()
    disk.resize(disk.used() + room)
    message = attempt(prepared, disk.out)
    assert name in message and "run the same command again" in message
    assert_nothing_half_written(disk)
    disk.resize(4000)
    assert attempt(prepared, disk.out) == ""
    assert_same(disk.out, built)


def test_the_command_on_a_full_disk_is_no_traceback(built: Path, synthetic_source: Path, disk: Disk) -> None:
    disk.resize(200)
    arguments = command(synthetic_source, disk.out, 150_000)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "make room and run the same command again" in done.stderr or "mend that" in done.stderr
    assert_nothing_half_written(disk)
    disk.resize(4000)
    run_whole(arguments)
    assert_same(disk.out, built)


def test_a_finished_build_is_not_taken_for_one_of_another_source(synthetic_source: Path, tmp_path: Path) -> None:
    """Dates and grid of two simulations may be the same; the settings are, too."""
    other = shutil.copytree(synthetic_source, tmp_path / "other")
    first = build(prepare(Location(str(synthetic_source)), BuildSettings()), tmp_path / "out")
    assert first == build(prepare(Location(str(synthetic_source)), BuildSettings()), tmp_path / "out")
    with pytest.raises(DatasetError, match=r"was built from .*, not from .*other"):
        build(prepare(Location(str(other)), BuildSettings()), tmp_path / "out")


def test_the_grid_of_a_remote_source_is_found(synthetic_source: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(synthetic_source), "/remote-source", recursive=True)
    try:
        prepared = prepare(Location("memory://remote-source"), BuildSettings())
        assert prepared.blueprint.digest == prepare(Location(str(synthetic_source)), BuildSettings()).blueprint.digest
    finally:
        memory.rm("/remote-source", recursive=True)
