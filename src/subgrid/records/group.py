"""Building one group: its steps are read, checked, measured, stored, and their rows put to their places in a shard.

Rows of a group are permuted by (seed, split, group). Because all records have one length, the rows of a step go
straight to their places: memory is a few steps, whatever the group.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from subgrid.errors import InputError
from subgrid.records.blueprint import SHARDS, Blueprint
from subgrid.records.ledger import GroupReport, Shard, encoded, write_report
from subgrid.records.order import permutation
from subgrid.records.plan import Group
from subgrid.records.shard import ShardWriter, remove_partials
from subgrid.records.splits import SPLITS, TRAINING, VALIDATION
from subgrid.schema.variable_sets import VariableSet
from subgrid.schema.variables import FILL_LIMIT, TIME_STEP
from subgrid.source.columns import StepColumns, StepReader
from subgrid.source.locations import Location
from subgrid.source.steps import Step, time_of
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

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
    """

    out: Path
    blueprint: Blueprint
    source: Location
    group: Group
    files: dict[str, Step]
    skip_bad: bool


class _RefusedError(Exception):
    """A step of the group cannot be used; carries its label and the reason."""


@dataclass
class _Tally:
    """What a group has seen so far."""

    tables: dict[str, Table]
    flushed: dict[str, int] = field(default_factory=dict)
    fill: dict[str, int] = field(default_factory=dict)
    other_time: int = 0


def build_group(job: GroupJob, progress: Callable[[int], None] | None = None) -> GroupReport:
    """Build one group and declare it finished; ``progress`` is called with the rows of each step done.

    Raises InputError for a step that cannot be used, unless the job skips bad ones.
    """
    dropped = {label: "not in the source" for label in job.group.steps if label not in job.files}
    while True:
        try:
            report = _attempt(job, dropped, progress)
        except _RefusedError as refused:
            label, error = refused.args
            if not job.skip_bad:
                raise error from None
            dropped[label] = str(error)
            continue
        write_report(job.out, job.group, report)
        return report


def _attempt(job: GroupJob, dropped: dict[str, str], progress: Callable[[int], None] | None) -> GroupReport:
    blueprint, columns = job.blueprint, job.blueprint.grid.columns
    reader = StepReader(job.source, blueprint.variables, columns)
    splits = _split_rows(job, dropped)
    tally = _Tally({split: Table.zero(blueprint.variables) for split in splits})
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(_open_shard(job, split, int((places >= 0).sum())))
            for split, places in splits.items()
        }
        for number, label in enumerate(job.group.steps):
            if label in dropped:
                continue
            try:
                step = reader.read(job.files[label])
                here = {split: places[number * columns : (number + 1) * columns] for split, places in splits.items()}
                _measure(step, here, tally, blueprint.variables)
                records = _records(step, blueprint, tally, job.source.label(job.files[label].mli))
            except InputError as error:
                raise _RefusedError(label, error) from error
            for split, places in here.items():
                rows = np.flatnonzero(places >= 0)
                writers[split].put(places[rows], records[rows] if rows.size < columns else records)
            if progress:
                progress(columns)
        shards = tuple(_finish_shard(split, writer, blueprint.layout.stride) for split, writer in writers.items())
    return GroupReport(
        build=blueprint.digest,
        group=job.group.name,
        shards=shards,
        dropped=dropped,
        flushed=tally.flushed,
        fill=tally.fill,
        other_time=tally.other_time,
        moments={split: encoded(table) for split, table in tally.tables.items()},
    )


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


def _open_shard(job: GroupJob, split: str, rows: int) -> ShardWriter:
    drawn = "-drawn" if split != job.group.split else ""
    path = job.out / SHARDS / f"{split}-{job.group.index:05d}{drawn}.tfrecord"
    remove_partials(path)
    return ShardWriter(path, rows, job.blueprint.layout.stride)


def _finish_shard(split: str, writer: ShardWriter, stride: int) -> Shard:
    crc = writer.finish()
    return Shard(name=writer.path.name, split=split, rows=writer.size // stride, bytes=writer.size, crc32c=crc)


def _measure(step: StepColumns, places: dict[str, np.ndarray], tally: _Tally, variables: VariableSet) -> None:
    """Add a step's values to the moments of the splits that its rows are in."""
    tally.other_time += step.other_time
    assert step.targets is not None
    for split, place in places.items():
        member = place >= 0
        if not member.any():
            continue
        inputs, targets = (
            values if member.all() else values[:, member] for values in (step.inputs, step.targets)
        )  # fmt: skip
        measured = Table(variables, _moments_without_fill(inputs, variables, tally), Moments.of(targets))
        tally.tables[split] = tally.tables[split] + measured


def _moments_without_fill(inputs: np.ndarray, variables: VariableSet, tally: _Tally) -> Moments:
    moments = Moments.of(inputs)
    arrays = None
    for item in variables.inputs:
        if not item.fill:
            continue
        arrays = moments.to_array() if arrays is None else arrays
        for column in range(*variables.input_slices[item.name].indices(inputs.shape[0])):
            kept = inputs[column][inputs[column] < FILL_LIMIT]
            tally.fill[item.name] = tally.fill.get(item.name, 0) + inputs.shape[1] - kept.size
            one = Moments.of(kept[None]) if kept.size else Moments.zero(1)
            arrays[:, column] = one.to_array()[:, 0]
    return moments if arrays is None else Moments.from_array(arrays)


def _records(step: StepColumns, blueprint: Blueprint, tally: _Tally, where: str) -> np.ndarray:
    """A step's rows as sealed records, uint8 (grid column, stride); the step's arrays are scaled in place."""
    columns = blueprint.grid.columns
    assert step.targets is not None
    for values, storage in ((step.inputs, blueprint.input_storage), (step.targets, blueprint.target_storage)):
        limits = Moments.zero(values.shape[0])
        limits = Moments(limits.count, limits.mean, limits.m2, values.min(axis=1), values.max(axis=1))
        for name, count in storage.scale(values, limits, where).items():
            tally.flushed[name] = tally.flushed.get(name, 0) + count
    records = blueprint.layout.blank(columns)
    views = blueprint.layout.views(records)
    views["inputs"][...] = step.inputs.T
    views["targets"][...] = step.targets.T
    views["time"][...] = step.time
    views["column"][:, 0] = np.arange(columns)
    views["row"][:, 0] = step.time // TIME_STEP * columns + np.arange(columns)
    blueprint.layout.seal(records)
    return records
