"""Building one group: its steps are read, checked, measured, stored, and their rows put to their places in a shard.

Rows of a group are permuted by (seed, split, group). Because all records have one length, the rows of a step go
straight to their places: memory is a few steps and at most two shards (see ``records.shard``), whatever the data.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from subgrid.errors import InputError
from subgrid.records.blueprint import SHARDS, Blueprint
from subgrid.records.group_shards import Cut, GroupShards
from subgrid.records.ledger import GroupReport, encoded, write_report
from subgrid.records.order import permutation
from subgrid.records.plan import Group
from subgrid.records.splits import SPLITS, TRAINING, VALIDATION
from subgrid.records.store import Store, as_store
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import FILL_LIMIT, TIME_STEP
from subgrid.source.ahead import Ahead, steps_ahead
from subgrid.source.blocks import BlockSource
from subgrid.source.columns import AbsentError, StepColumns, StepReader
from subgrid.source.locations import Location
from subgrid.source.steps import Step, label_of, time_of
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

Source = Location | Ahead | BlockSource
"""What steps are read from."""

_Limits = tuple[np.ndarray, np.ndarray]
_ABSENT = "not in the source"
_DRAW = 2  # tells the draws of validation rows from the permutations of groups, whose key starts with 0 or 1


@dataclass(frozen=True)
class GroupJob:
    """All that a worker needs to build one group.

    Attributes:
        out: folder of the build.
        blueprint: of the data set.
        source: location of the raw steps.
        group: which group.
        files: the listed steps by label; a planned one that is absent here is dropped and counted.
        skip_bad: drop and count a step that is refused, instead of stopping.
        listed: whether the source was listed; where it was not, a file that proves absent is dropped and counted too.
    """

    out: Store | Path
    blueprint: Blueprint
    source: Location | BlockSource
    group: Group
    files: dict[str, Step]
    skip_bad: bool
    listed: bool = True

    @property
    def rows(self) -> int:
        """Rows of the group when no step is dropped."""
        return len(self.group.steps) * self.blueprint.grid.columns


class _RefusedError(Exception):
    """A step of the group cannot be used; carries its label and the reason."""


@dataclass
class _Tally:
    """What a group has seen so far."""

    tables: dict[str, Table]
    flushed: dict[str, int] = field(default_factory=dict)
    fill: dict[str, int] = field(default_factory=dict)
    other_time: int = 0


@dataclass(frozen=True)
class Filled:
    """A group whose rows are all at their places, and which is not synced nor declared finished yet."""

    job: GroupJob
    writers: dict[str, GroupShards]
    tally: _Tally
    dropped: dict[str, str]

    def finish(self) -> GroupReport:
        """Sync the shards, bring them where they belong, declare the group finished."""
        blueprint = self.job.blueprint
        with ExitStack() as stack:
            for writer in self.writers.values():
                stack.enter_context(writer)
            shards = tuple(shard for writer in self.writers.values() for shard in writer.finish())
        report = GroupReport(
            build=blueprint.digest,
            group=self.job.group.name,
            shards=shards,
            dropped=self.dropped,
            flushed=self.tally.flushed,
            fill=self.tally.fill,
            other_time=self.tally.other_time,
            moments={split: encoded(table) for split, table in self.tally.tables.items()},
        )
        write_report(self.job.out, self.job.group, report)
        return report


def fill_group(job: GroupJob, progress: Callable[[int], None] | None = None, source: Source | None = None) -> Filled:
    """Read, check, measure and store the steps of a group; ``progress`` is called with the rows of each step done.

    ``source`` is what to read from where that is not the job's location itself.

    Raises InputError for a step that cannot be used, unless the job skips bad ones.
    """
    dropped = {label: _ABSENT for label in job.group.steps if label not in job.files}
    while True:
        try:
            return _attempt(job, source or job.source, dropped, progress)
        except _RefusedError as refused:
            label, error = refused.args
            absent = isinstance(error, AbsentError) and not job.listed
            if not (job.skip_bad or absent):
                raise error from None
            dropped[label] = _ABSENT if absent else str(error)


def build_groups(jobs: Sequence[GroupJob], progress: Callable[[int], None] | None = None) -> None:
    """Build groups one after the other; while one is synced in the background, the next is filled.

    The steps of a remote source are fetched ahead, across groups.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sync") as background, _source(jobs) as source:
        syncing: Future | None = None
        for job in jobs:
            filled = fill_group(job, progress, source)
            with ExitStack() as stack:
                for writer in filled.writers.values():
                    stack.enter_context(writer)  # abandoned if the group before it could not be finished
                if syncing is not None:
                    syncing.result()
                syncing = background.submit(filled.finish)
                stack.pop_all()
        if syncing is not None:
            syncing.result()


@contextmanager
def _source(jobs: Sequence[GroupJob]) -> Iterator[Source | None]:
    """What all of the jobs read from; they are of one build."""
    source = jobs[0].source if jobs else None
    if not isinstance(source, Location) or not source.remote:
        yield None
        return
    steps = (job.files[label] for job in jobs for label in job.group.steps if label in job.files)
    names = (name for step in steps for name in (step.mli, step.mlo))
    with Ahead(source, names, 2 * steps_ahead(jobs[0].blueprint.step_bytes)) as ahead:
        yield ahead


def _attempt(job: GroupJob, source: Source, dropped: dict[str, str], progress: Callable[[int], None] | None) -> Filled:
    blueprint, columns = job.blueprint, job.blueprint.grid.columns
    read = (source.reader if isinstance(source, BlockSource) else partial(_step_reader, source))(
        blueprint.variables, columns
    )
    splits = _split_rows(job, dropped)
    tally = _Tally({split: Table.zero(blueprint.variables) for split in splits})
    records = blueprint.layout.blank(columns)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(_open_shards(job, split, int((places >= 0).sum())))
            for split, places in splits.items()
        }
        for number, label in enumerate(job.group.steps):
            if label in dropped:
                continue
            here = {split: places[number * columns : (number + 1) * columns] for split, places in splits.items()}
            try:
                step = read(job.files[label])
                _store(step, here, tally, blueprint, records)
            except InputError as error:
                raise _RefusedError(label, error) from error
            for split, places in here.items():
                rows = np.flatnonzero(places >= 0)
                writers[split].put(places[rows], records[rows] if rows.size < columns else records)
            if progress:
                progress(columns)
        stack.pop_all()
    return Filled(job, writers, tally, dropped)


def _step_reader(source: Location | Ahead, variables: VariableSet, columns: int) -> Callable[[Step], StepColumns]:
    return StepReader(source, variables, columns).read


def _split_rows(job: GroupJob, dropped: dict[str, str]) -> dict[str, np.ndarray]:
    """Place of each of the group's rows in the shard of each split, -1 for a row that is not in it; int64 (rows,).

    The order is that of the whole group; rows of dropped steps and of the other split are taken out of it, so what
    is dropped moves no other row past another.
    """
    group, columns = job.group, job.blueprint.grid.columns
    seed = job.blueprint.settings.seed
    order = permutation(len(group.steps) * columns, SPLITS.index(group.split), seed, group.index)
    present = np.repeat([label not in dropped for label in group.steps], columns)
    drawn = np.zeros(present.size, dtype=bool)
    for number, (label, count) in enumerate(zip(group.steps, group.drawn, strict=True)):
        if count:
            chosen = permutation(columns, _DRAW, seed, time_of(label))[:count]
            drawn[number * columns + chosen] = True
    if not drawn.any():
        return _nonempty({group.split: _places(order, present)})
    return _nonempty({TRAINING: _places(order, present & ~drawn), VALIDATION: _places(order, present & drawn)})


def _nonempty(splits: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {split: places for split, places in splits.items() if (places >= 0).any()}


def _places(order: np.ndarray, member: np.ndarray) -> np.ndarray:
    kept = order[member[order]]
    places = np.full(member.size, -1, dtype=np.int64)
    places[kept] = np.arange(kept.size)
    return places


def _open_shards(job: GroupJob, split: str, rows: int) -> GroupShards:
    drawn = "-drawn" if split != job.group.split else ""
    stem, count = f"{split}-{job.group.index:05d}", min(rows, job.blueprint.shards_of(job.rows))
    names = [f"{stem}-{number:04d}{drawn}" for number in range(count)] if count > 1 else [f"{stem}{drawn}"]
    cut = Cut(split, tuple(f"{name}.tfrecord" for name in names), rows, job.blueprint.layout.stride)
    return GroupShards(as_store(job.out), SHARDS, cut)


def _store(
    step: StepColumns, member: dict[str, np.ndarray], tally: _Tally, blueprint: Blueprint, records: np.ndarray
) -> None:
    """Turn a step into sealed records, uint8 (grid column, stride), and count it; its arrays are scaled in place."""
    assert step.targets is not None
    columns, where = blueprint.grid.columns, f"step {label_of(step.time)}"
    limits = step.limits, (step.targets.min(axis=1), step.targets.max(axis=1))
    tally.other_time += step.other_time
    _measure(step, limits, member, tally, blueprint.variables)
    sides = (step.inputs, blueprint.input_storage), (step.targets, blueprint.target_storage)
    for (values, storage), known in zip(sides, limits, strict=True):
        for name, count in storage.scale(values, known, where).items():
            tally.flushed[name] = tally.flushed.get(name, 0) + count
    views = blueprint.layout.views(records)
    views["inputs"][...] = step.inputs.T
    views["targets"][...] = step.targets.T
    here = np.arange(columns)
    places = step.places or (step.time // TIME_STEP * columns + here, here, np.full(columns, step.time))
    for name, values in zip(("row", "column", "time"), places, strict=True):
        views[name][:, 0] = values
    blueprint.layout.seal(records)


def _measure(
    step: StepColumns, limits: tuple[_Limits, _Limits], places: dict[str, np.ndarray], tally: _Tally, sets: VariableSet
) -> None:
    """Add a step's values to the moments of the splits that its rows are in."""
    assert step.targets is not None
    for split, place in places.items():
        member = place >= 0
        if member.all():
            inputs, targets = Moments.of(step.inputs, limits[0]), Moments.of(step.targets, limits[1])
            inputs = _without_fill(inputs, step.inputs, sets, tally)
        elif member.any():
            inputs, targets = Moments.of(step.inputs[:, member]), Moments.of(step.targets[:, member])
            inputs = _without_fill(inputs, step.inputs[:, member], sets, tally)
        else:
            continue
        tally.tables[split] = tally.tables[split] + Table(sets, inputs, targets)


def _without_fill(moments: Moments, inputs: np.ndarray, sets: VariableSet, tally: _Tally) -> Moments:
    """The moments of inputs with fill values left out, which are counted."""
    filled = [item for item in sets.inputs if item.fill]
    if not filled:
        return moments
    arrays = moments.to_array()
    for item in filled:
        for column in range(*sets.input_slices[item.name].indices(inputs.shape[0])):
            kept = inputs[column][inputs[column] < FILL_LIMIT]
            tally.fill[item.name] = tally.fill.get(item.name, 0) + inputs.shape[1] - kept.size
            one = Moments.of(kept[None]) if kept.size else Moments.zero(1)
            arrays[:, column] = one.to_array()[:, 0]
    return Moments.from_array(arrays)
