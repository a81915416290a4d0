"""What stands in the shards of a group, row by row, against the raw files as netCDF4 reads them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.errors import InputError, SubgridError
from subgrid.records import group as module
from subgrid.records.build import Prepared, build
from subgrid.records.group import GroupJob, build_groups, fill_group
from subgrid.records.reader import Dataset
from subgrid.records.stream import Batch
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.source.locations import Location
from subgrid.source.steps import label_of

Ready = Callable[..., Prepared]
RawSteps = Callable[[Path, VariableSet], dict[str, tuple[np.ndarray, np.ndarray]]]


def job_of(prepared: Prepared, out: Path, number: int = 0, skip_bad: bool = False) -> GroupJob:
    prepared.blueprint.lay(out)
    group = prepared.blueprint.groups[number]
    files = {label: prepared.steps[label] for label in group.steps if label in prepared.steps}
    return GroupJob(out, prepared.blueprint, prepared.source, group, files, skip_bad)


def mlo_of(source: Path, label: str) -> Path:
    return next(source.rglob(f"*.mlo.{label}.nc"))


def changed(path: Path, change: Callable[[netCDF4.Dataset], None]) -> None:
    """Put a changed copy in the place of a file that may be a link."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    with netCDF4.Dataset(path, "r+") as file:
        change(file)


def batches(folder: Path) -> Iterator[Batch]:
    dataset = Dataset.open(folder)
    for split in dataset.splits:
        yield from dataset.scan(split, 1000)


def compare_single(stored: np.ndarray, raw: np.ndarray, exponents: np.ndarray) -> int:
    """Stored float32 values against raw ones; returns how many non-zero ones became zero."""
    back = np.ldexp(stored.astype(np.float64), -exponents)
    normal = np.abs(raw) >= np.ldexp(1.0, -126 - exponents)
    assert (np.abs(back - raw)[normal] <= 2.0**-24 * np.abs(raw)[normal]).all()
    assert (stored[~normal] == 0).all()
    return int(np.count_nonzero(raw[~normal]))


def compare_with_raw(folder: Path, raw: dict[str, tuple[np.ndarray, np.ndarray]], float64: bool) -> tuple[int, int]:
    """Compare all rows with raw columns; returns rows seen and values that became zero."""
    sets = Dataset.open(folder).variables
    rows = flushed = 0
    for batch in batches(folder):
        rows += batch.row.size
        sides = ((batch.inputs, 0, sets.input_exponents), (batch.targets, 1, sets.target_exponents))
        for stored, side, exponents in sides:
            expected = np.stack(
                [raw[label_of(time)][side][:, column] for time, column in zip(batch.time, batch.column, strict=True)]
            )
            if float64:
                assert stored.dtype == np.float64
                np.testing.assert_array_equal(stored, np.ldexp(expected, exponents))
            else:
                assert stored.dtype == np.float32
                flushed += compare_single(stored, expected, exponents)
    return rows, flushed


@pytest.mark.parametrize("float64", [False, True])
@pytest.mark.parametrize("name", ["kaggle", "v1", "v2"])
def test_every_row_is_the_raw_column(
    ready: Ready, synthetic_source: Path, raw_steps: RawSteps, tmp_path: Path, name: str, float64: bool
) -> None:
    manifest = build(ready(variables=name, float64=float64), tmp_path)
    raw = raw_steps(synthetic_source, variable_set(name))
    rows, flushed = compare_with_raw(tmp_path, raw, float64)
    assert manifest is not None
    assert rows == 19 * 24 and flushed == sum(manifest.flushed.values())
    snow = sum(int((inputs >= 1e29).sum()) for inputs, _ in raw.values())
    assert manifest.fill == ({"cam_in_SNOWHICE": snow} if name == "v2" else {})
    assert snow > 0 or name != "v2"


@pytest.mark.slow
@pytest.mark.parametrize("float64", [False, True])
def test_every_row_of_the_real_steps_is_the_raw_column(
    ready: Ready, real_source: Path, raw_steps: RawSteps, tmp_path: Path, float64: bool
) -> None:
    manifest = build(ready(real_source, shard_size=6_000_000, float64=float64), tmp_path)
    rows, flushed = compare_with_raw(tmp_path, raw_steps(real_source, variable_set("kaggle")), float64)
    assert manifest is not None
    assert rows == 60 * 384 and flushed == sum(manifest.flushed.values())
    assert set(manifest.flushed) <= {"cam_out_SOLS", "cam_out_SOLL"}


def test_row_numbers_follow_from_time_and_column(built: Path, ready: Ready) -> None:
    """The row number is (time / 1200) x columns + column, and every one stands once."""
    seen = []
    for batch in batches(built):
        np.testing.assert_array_equal(batch.row, batch.time // 1200 * 24 + batch.column)
        seen += list(zip(batch.time.tolist(), batch.column.tolist(), strict=True))
    plan = ready().blueprint.plan
    labels = {label_of(time) for time, _ in seen}
    assert labels == set(plan.training) | set(plan.validation)
    assert len(set(seen)) == len(seen) == 19 * 24 and {column for _, column in seen} == set(range(24))


def test_time_is_that_of_the_name(built: Path) -> None:
    """The first made-up step is 0001-02-01 00:00, 31 days after the calendar's first instant."""
    times = np.unique(np.concatenate([batch.time for batch in batches(built)]))
    assert times[0] >= 31 * 86400 and (times % 1200 == 0).all()


def places_of(folder: Path, split: str) -> list[list[tuple[str, int]]]:
    """Step and column of every row of every shard of a split, in stored order."""
    dataset = Dataset.open(folder)
    found = []
    for shard in range(len(dataset.shards(split).rows)):
        views = dataset.layout.views(dataset.shards(split)[shard])
        times, columns = views["time"][:, 0].tolist(), views["column"][:, 0].tolist()
        found.append([(label_of(time), column) for time, column in zip(times, columns, strict=True)])
    return found


def test_rows_stand_in_the_documented_order(built: Path, ready: Ready, written_out: Callable[..., list[int]]) -> None:
    """Group g of G holds steps g, g+G, ... of its split; its rows are permuted by (split, seed, g)."""
    plan = ready().blueprint.plan
    for number, (split, count) in enumerate((("training", 11), ("validation", 2))):
        labels = plan.steps(split)
        shards = places_of(built, split)
        assert len(shards) == count
        for g, found in enumerate(shards):
            rows = [(label, column) for label in labels[g::count] for column in range(24)]
            assert found == [rows[place] for place in written_out(len(rows), number, 0, g)]


def test_rows_drawn_for_validation_are_counted_and_disjoint(ready: Ready, tmp_path: Path) -> None:
    build(ready(validation="rows=100"), tmp_path / "one")
    build(ready(validation="rows=100"), tmp_path / "other")
    build(ready(validation="rows=100", seed=1), tmp_path / "seed")
    training, validation = places_of(tmp_path / "one", "training"), places_of(tmp_path / "one", "validation")
    drawn = [row for shard in validation for row in shard]
    kept = [row for shard in training for row in shard]
    assert (len(drawn), len(kept)) == (100, 19 * 24 - 100)
    assert not set(drawn) & set(kept) and len(set(drawn) | set(kept)) == 19 * 24
    by_step = [sum(label == one for label, _ in drawn) for one in ready(validation="rows=100").blueprint.plan.training]
    assert set(by_step) == {5, 6}
    assert places_of(tmp_path / "other", "validation") == validation
    assert {row for shard in places_of(tmp_path / "seed", "validation") for row in shard} != set(drawn)


def test_drawing_moves_no_other_row(ready: Ready, tmp_path: Path) -> None:
    build(ready(validation=None), tmp_path / "all")
    build(ready(validation="rows=100"), tmp_path / "drawn")
    drawn = {row for shard in places_of(tmp_path / "drawn", "validation") for row in shard}
    for whole, kept in zip(
        places_of(tmp_path / "all", "training"), places_of(tmp_path / "drawn", "training"), strict=True
    ):
        assert kept == [row for row in whole if row not in drawn]


def test_fewer_rows_than_steps_may_be_drawn(ready: Ready, tmp_path: Path) -> None:
    build(ready(validation="rows=1"), tmp_path)
    assert Dataset.open(tmp_path).splits == {"training": 19 * 24 - 1, "validation": 1}


def cut_by_a_byte(path: Path) -> None:
    os_copy(path, path.read_bytes()[:-1])


def cut_by_half(path: Path) -> None:
    os_copy(path, path.read_bytes()[: path.stat().st_size // 2])


def cut_to_the_header(path: Path) -> None:
    os_copy(path, path.read_bytes()[:2000])


def emptied(path: Path) -> None:
    os_copy(path, b"")


def no_netcdf(path: Path) -> None:
    os_copy(path, b"<html>404</html>" * 1000)


def os_copy(path: Path, data: bytes) -> None:
    """New content under a name that may be a link to a file that others share."""
    path.unlink()
    path.write_bytes(data)


def with_nan(path: Path) -> None:
    changed(path, lambda file: file["state_t"].__setitem__((30, slice(0, 3)), np.nan))


def with_infinity(path: Path) -> None:
    changed(path, lambda file: file["state_u"].__setitem__((0, 0), np.inf))


BAD = [cut_by_a_byte, cut_by_half, cut_to_the_header, emptied, no_netcdf, with_nan, with_infinity]


@pytest.mark.parametrize("spoil", BAD)
@pytest.mark.parametrize("kind", ["mli", "mlo"])
def test_a_bad_step_stops_the_build_and_loses_nothing(
    ready: Ready, copied: Path, tmp_path: Path, spoil: Callable[[Path], None], kind: str
) -> None:
    prepared = ready(copied)
    label = prepared.blueprint.groups[5].steps[-1]
    path = next(copied.rglob(f"*.{kind}.{label}.nc"))
    good = path.read_bytes()
    spoil(path)
    with pytest.raises(InputError) as caught:
        build(prepared, tmp_path / "out")
    assert path.name in str(caught.value)
    finished = {item.name for item in (tmp_path / "out" / "parts").iterdir()}
    assert finished == {f"training-0000{number}.json" for number in range(5)}
    assert {item.name for item in (tmp_path / "out" / "shards").iterdir()} == {
        f"training-0000{number}.tfrecord" for number in range(5)
    }
    os_copy(path, good)
    build(prepared, tmp_path / "out")
    assert Dataset.open(tmp_path / "out").rows("training") == 16 * 24


def test_nan_is_named_with_variable_and_count(ready: Ready, copied: Path, tmp_path: Path) -> None:
    prepared = ready(copied)
    with_nan(mlo_of(copied, prepared.blueprint.plan.training[0]))
    with pytest.raises(InputError, match="state_t holds 3 NaN and 0 infinite values of 1440"):
        build(prepared, tmp_path / "out")


def test_skipped_bad_steps_are_counted_and_move_no_other_row(
    ready: Ready, copied: Path, built: Path, tmp_path: Path
) -> None:
    prepared = ready(copied)
    labels = [prepared.blueprint.plan.training[number] for number in (2, 7, 11)]
    label = prepared.blueprint.plan.validation[1]
    for spoil, bad in zip(BAD[:3], labels, strict=True):
        spoil(mlo_of(copied, bad))
    with_nan(next(copied.rglob(f"*.mli.{label}.nc")))
    for number in range(len(prepared.blueprint.groups)):
        build_groups([job_of(prepared, tmp_path / "out", number, skip_bad=True)])
    manifest = build(prepared, tmp_path / "out")
    assert manifest is not None and set(manifest.dropped) == {*labels, label}
    assert "NaN" in manifest.dropped[label] and f"mlo.{labels[0]}.nc" in manifest.dropped[labels[0]]
    for split in ("training", "validation"):
        whole = [[row for row in shard if row[0] not in manifest.dropped] for shard in places_of(built, split)]
        assert places_of(tmp_path / "out", split) == [shard for shard in whole if shard]
    assert Dataset.open(tmp_path / "out").table().rows == 13 * 24


def test_a_planned_step_that_is_absent_is_dropped(ready: Ready, copied: Path, built: Path, tmp_path: Path) -> None:
    """Absent when listed, as where a plan was made elsewhere: counted, and no other row moves."""
    prepared = ready(copied)
    label = prepared.blueprint.plan.training[12]
    steps = {name: step for name, step in prepared.steps.items() if name != label}
    manifest = build(replace(prepared, steps=steps), tmp_path / "out")
    assert manifest is not None and manifest.dropped == {label: "not in the source"}
    expected = [[row for row in shard if row[0] != label] for shard in places_of(built, "training")]
    assert places_of(tmp_path / "out", "training") == expected


def test_a_step_that_vanished_after_the_listing_is_named(ready: Ready, copied: Path, tmp_path: Path) -> None:
    prepared = ready(copied)
    path = mlo_of(copied, prepared.blueprint.plan.training[1])
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: the file is not there"):
        build(prepared, tmp_path / "out")


def test_drawn_rows_of_other_steps_stay_when_a_step_is_dropped(ready: Ready, copied: Path, tmp_path: Path) -> None:
    prepared = ready(copied, validation="rows=100")
    build(prepared, tmp_path / "whole")
    label = prepared.blueprint.plan.training[12]
    steps = {name: step for name, step in prepared.steps.items() if name != label}
    build(replace(prepared, steps=steps), tmp_path / "less")
    for split in ("training", "validation"):
        expected = [[row for row in shard if row[0] != label] for shard in places_of(tmp_path / "whole", split)]
        assert places_of(tmp_path / "less", split) == [shard for shard in expected if shard]


def test_a_group_whose_every_step_is_gone_writes_no_shard(ready: Ready, tmp_path: Path) -> None:
    prepared = ready()
    report = fill_group(job_of(replace(prepared, steps={}), tmp_path)).finish()
    assert report.shards == () and report.moments == {}
    assert list(report.dropped) == list(prepared.blueprint.groups[0].steps)
    assert list((tmp_path / "shards").iterdir()) == []


def test_another_date_inside_is_counted_and_the_name_counts(ready: Ready, copied: Path, tmp_path: Path) -> None:
    prepared = ready(copied)
    label = prepared.blueprint.plan.training[0]

    def other_day(file: netCDF4.Dataset) -> None:
        file["ymd"][...] = 20101

    changed(mlo_of(copied, label), other_day)
    manifest = build(prepared, tmp_path / "out")
    assert manifest is not None and manifest.other_time == 1
    assert label in {row[0] for shard in places_of(tmp_path / "out", "training") for row in shard}


def test_a_value_beyond_float32_asks_for_float64(ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No value within the physical ranges overflows, so a reader is made to give one."""

    class Wild(module.StepReader):
        def read(self, *arguments, **settings):  # type: ignore[no-untyped-def]
            step = super().read(*arguments, **settings)
            step.targets[200, 3] = 1e30
            return step

    monkeypatch.setattr(module, "StepReader", Wild)
    prepared = ready()
    with pytest.raises(InputError, match=rf"{prepared.blueprint.groups[0].steps[0]}.*build with --float64"):
        fill_group(job_of(prepared, tmp_path))
    assert list((tmp_path / "shards").iterdir()) == []


def test_progress_counts_rows_of_every_step(ready: Ready, tmp_path: Path) -> None:
    seen: list[int] = []
    job = job_of(ready(), tmp_path)
    fill_group(job, seen.append).finish()
    assert seen == [24] * len(job.group.steps)


def test_when_one_group_cannot_be_finished_the_next_leaves_nothing(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second group is filled already when syncing the first one fails."""
    prepared = ready()
    jobs = [job_of(prepared, tmp_path, number) for number in range(3)]

    def full(*arguments: object) -> None:
        raise SubgridError("no space left")

    with monkeypatch.context() as patch, pytest.raises(SubgridError, match="no space left"):
        patch.setattr(module, "write_report", full)
        build_groups(jobs)
    assert list((tmp_path / "parts").iterdir()) == []
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["training-00000.tfrecord"]
    build_groups(jobs)
    assert len(list((tmp_path / "parts").iterdir())) == len(list((tmp_path / "shards").iterdir())) == 3


def test_a_job_travels_to_another_process(ready: Ready, tmp_path: Path) -> None:
    import pickle

    job = job_of(ready(), tmp_path)
    again = pickle.loads(pickle.dumps(job))
    assert (again.group, again.files, again.source) == (job.group, job.files, Location(job.source.url))
    assert again.blueprint.digest == job.blueprint.digest
