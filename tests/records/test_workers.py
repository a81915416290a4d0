"""Groups made by worker processes: all of them, whatever happens to a worker."""

import multiprocessing
from pathlib import Path

import pytest

from subgrid.errors import SubgridError
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import prepare
from subgrid.records.group import GroupJob
from subgrid.records.ledger import done_groups
from subgrid.records.plan import Group
from subgrid.records.workers import Jobs, Meter, run
from subgrid.source.locations import Location


@pytest.fixture
def jobs(synthetic_source: Path, tmp_path: Path) -> list[GroupJob]:
    """A dozen groups or so, none of them made."""
    prepared = prepare(Location(str(synthetic_source)), BuildSettings(shard_size=150_000), validation="every=5")
    prepared.blueprint.lay(tmp_path / "out")
    return [
        GroupJob(tmp_path / "out", prepared.blueprint, prepared.source, group,
                 {label: prepared.steps[label] for label in group.steps}, False)
        for group in prepared.blueprint.groups
    ]  # fmt: skip


def done(jobs: list[GroupJob]) -> list[bool]:
    return [job.group in done_groups(job.out, [job.group]) for job in jobs]


def test_jobs_are_a_sequence_that_makes_each_when_it_is_asked_for(jobs: list[GroupJob]) -> None:
    made: list[str] = []

    def job_of(group: Group) -> GroupJob:
        made.append(group.name)
        return next(job for job in jobs if job.group == group)

    found = Jobs([job.group for job in jobs], job_of)
    assert len(found) == len(jobs) and made == []
    assert found[2] == jobs[2] and found[3:5] == jobs[3:5] and found[-1] == jobs[-1]
    assert made == [jobs[place].group.name for place in (2, 3, 4, -1)]
    assert list(found) == jobs


def test_a_meter_adds_up_and_never_tells_more_than_all() -> None:
    told: list[tuple[int, int]] = []
    meter = Meter(10, lambda done, total: told.append((done, total)))
    meter.add(4)
    meter.add(7)
    assert told == [(4, 10), (10, 10)]


def test_in_this_process_groups_are_made_in_order(jobs: list[GroupJob]) -> None:
    seen: list[int] = []
    run(jobs[:3], 1, Meter(10_000, lambda rows, total: seen.append(rows)))
    assert done(jobs) == [True] * 3 + [False] * (len(jobs) - 3) and seen == sorted(seen)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_of_and_the_rest_can_be_made(jobs: list[GroupJob]) -> None:
    assert len(jobs) > 8

    def kill(rows: int, total: int) -> None:
        for worker in multiprocessing.active_children():
            worker.kill()

    with pytest.raises(SubgridError, match="a worker process was killed"):
        run(jobs, 2, Meter(10_000, kill))
    assert not all(done(jobs))
    run([job for job, made in zip(jobs, done(jobs), strict=True) if not made], 2, Meter(10_000, None))
    assert all(done(jobs)) and not multiprocessing.active_children()
