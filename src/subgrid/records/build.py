"""A build: list, choose, plan; lay the blueprint; make every group of a part that is not done; finish when all are.

A build that is killed, cut into parts or given more workers ends with the same bytes: a group follows from its plan.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.records.blueprint import Blueprint, BuildSettings
from subgrid.records.cluster import run_on_cluster
from subgrid.records.files import write_json
from subgrid.records.finish import STATISTICS_FILE as STATISTICS_FILE
from subgrid.records.finish import Origin, finish, finished, settle_origin
from subgrid.records.group import GroupJob
from subgrid.records.ledger import done_groups, write_part
from subgrid.records.manifest import MANIFEST, Manifest
from subgrid.records.plan import Group, Part, Plan, Wanted, make_plan, read_plan
from subgrid.records.scratch import refuse_small
from subgrid.records.shard import IN_MEMORY
from subgrid.records.splits import SPLITS, parse_split
from subgrid.records.store import RemoteStore, Store, as_store, refuse_processes
from subgrid.records.unpacking import BuildSource, unpacked, unpacked_size
from subgrid.records.workers import Jobs, Meter, run
from subgrid.schema.grid import Grid
from subgrid.source.ahead import steps_ahead
from subgrid.source.grids import grid_in, read_grid_file, refuse_other_grid
from subgrid.source.locations import GRID_ENDING, Location
from subgrid.source.naming import NamedSteps, Naming, naming_of
from subgrid.source.steps import Choice, Step, list_steps

EVERY_STEP = Choice()


@dataclass(frozen=True)
class Prepared:
    """A build that is ready to go.

    Attributes:
        source: where the steps are.
        steps: the planned steps that the source has, by label.
        blueprint: what is to be built.
        plan: the file that holds the plan, or shall hold it.
        listed: whether the source was listed; where the plan says how files are called, it is not.
    """

    source: BuildSource
    steps: Mapping[str, Step]
    blueprint: Blueprint
    plan: Path | None = None
    listed: bool = True


@dataclass(frozen=True)
class Estimate:
    """What a build will take: its plan in numbers.

    Attributes:
        steps, rows, groups, shards: by split.
        skipped: steps that lack one of their files.
        bytes: of all shards.
        free: bytes free where they are made: on the output's disk, or on that of scratch space.
        memory: bytes of a worker, about.
        scratch: bytes needed at most in scratch space: of a worker whose output is at a URL, and of rows that must be
            unpacked.
    """

    steps: dict[str, int]
    skipped: int
    rows: dict[str, int]
    groups: dict[str, int]
    shards: dict[str, int]
    bytes: int
    free: int
    memory: int
    scratch: int


@dataclass(frozen=True)
class Running:
    """How a build is carried out; none of it changes a byte.

    Attributes:
        part: the groups to make.
        workers: local processes.
        skip_bad: drop and count steps that are refused.
        progress: called with (rows done, rows of the part), also for groups that were done before;
            rows that must be unpacked first count twice.
        scratch: folder for files on their way to a URL and for unpacked rows; default the one for temporary files.
        scheduler: address of a Dask scheduler whose workers make the groups.
    """

    part: Part = Part()
    workers: int = 1
    skip_bad: bool = False
    progress: Callable[[int, int], None] | None = None
    scratch: Path | None = None
    scheduler: str | None = None


def find_grid(source: Location) -> str:
    """Name of the one grid file ``*_grid-info.nc`` in a source; raises InputError for none or several."""
    found = [name for name in source.names() if name.endswith(GRID_ENDING)]
    if len(found) != 1:
        raise InputError(
            f"{source.shown}: expected one grid file *{GRID_ENDING}, found {', '.join(found) or 'none'}; name it "
            "with --grid"
        )
    return found[0]


def read_grid(source: Location, name: str = "") -> Grid:
    """The grid of a source, local or remote; ``name`` of its file where it is known."""
    name = name or find_grid(source)
    if not source.remote:
        return read_grid_file(source.local(name))
    return grid_in(source.read(name).tobytes(), source.label(name))


def prepare(
    source: Location,
    settings: BuildSettings,
    wanted: Choice | Wanted = EVERY_STEP,
    *,
    validation: str | None = None,
    grid: Path | None = None,
    plan: Path | None = None,
) -> Prepared:
    """List, choose and plan.

    Args:
        source: where the raw steps are.
        settings: of the data set.
        wanted, validation: which steps, and the rule of the split.
        grid: the grid file; default the one in the source.
        plan: a plan file, used if it exists; ``build`` writes it first if not. Where it says how the files are called,
            and nothing else is wanted but the draw it was made with, the source is not listed.
    Raises DatasetError where the plan file exists and takes other steps than the other arguments say.
    """
    asked = wanted if isinstance(wanted, Wanted) else Wanted(wanted)
    known = read_plan(plan) if plan is not None and plan.exists() else None
    source = source.pinned(known.commit if known else "")
    drawn_so = known is not None and asked.draw is not None and known.draw == asked.described(settings.seed)
    unsaid = not validation and asked.choice == EVERY_STEP and (asked.draw is None or drawn_so)
    if known is not None and known.naming is not None and unsaid:
        return _unlisted(source, settings, known, grid, plan)
    name = "" if grid else find_grid(source)
    frozen_grid = read_grid_file(grid) if grid else read_grid(source, name)
    steps = list_steps(source)
    naming = naming_of(steps, name)
    if known is None or not unsaid:
        made = make_plan(asked.of(steps, settings.seed), parse_split(validation), frozen_grid.columns)
        made = replace(made, draw=asked.described(settings.seed), naming=naming)
        if known is not None and made.digest != known.digest:
            raise DatasetError(
                f"{plan}: the plan exists and takes other steps than start, end, stride, draw and validation "
                "say; leave them out, or name another file"
            )
        known = made
    planned = _planned(known, steps, naming)
    if (first := next((label for label in known.training if label in planned), None)) is not None:
        refuse_other_grid(source, planned[first], frozen_grid)
    return Prepared(source, planned, Blueprint(settings, replace(known, commit=source.commit), frozen_grid), plan)


def _planned(plan: Plan, steps: Sequence[Step], naming: Naming | None) -> Mapping[str, Step]:
    """The planned steps that are listed with both files, by label."""
    listed = {step.label: step for step in steps if step.complete}
    labels = [label for split in SPLITS for label in plan.steps(split) if label in listed]
    return NamedSteps(naming, frozenset(labels)) if naming else {label: listed[label] for label in labels}


def _unlisted(source: Location, settings: BuildSettings, plan: Plan, grid: Path | None, file: Path | None) -> Prepared:
    """What ``prepare`` makes of a plan that names the files; raises InputError where none of it is in the source."""
    naming = plan.naming
    assert naming is not None
    steps = NamedSteps(naming, frozenset(label for split in SPLITS for label in plan.steps(split)))
    ends = [steps[labels[place]] for labels in (plan.training, plan.validation) if labels for place in (0, -1)]
    if not any(source.exists(step.mli) for step in ends):
        raise InputError(
            f"{source.label(ends[0].mli)}: the file is not there, nor others of {file}; is this the plan's source?"
        )
    frozen_grid = read_grid_file(grid) if grid else read_grid(source, naming.grid)
    refuse_other_grid(source, ends[0], frozen_grid)
    pinned = replace(plan, commit=source.commit)
    return Prepared(source, steps, Blueprint(settings, pinned, frozen_grid), file, listed=False)


def estimate(prepared: Prepared, out: Path | str, scratch: Path | None = None) -> Estimate:
    """What the whole build will take, before it starts."""
    blueprint, store = prepared.blueprint, as_store(out, scratch)
    plan, columns, stride = blueprint.plan, blueprint.grid.columns, blueprint.layout.stride
    steps = {split: len(plan.steps(split)) for split in SPLITS}
    rows = {split: count * columns for split, count in steps.items()}
    drawn = plan.validation_rows
    rows = {"training": rows["training"] - drawn, "validation": rows["validation"] + drawn}
    groups = {split: sum(group.split == split for group in blueprint.groups) for split in SPLITS}
    shards = {split: sum(blueprint.shards_of(len(group.steps) * columns) for group in blueprint.groups
                         if group.split == split) for split in SPLITS}  # fmt: skip
    rows_of_group = max(len(group.steps) for group in blueprint.groups) * columns
    group_bytes = rows_of_group * stride
    # One group is filled while the other is synced; large ones are filled through mappings of their files.
    filled = 2 * group_bytes if group_bytes <= IN_MEMORY else 0
    # What is fetched ahead, the step before it, and what is on the way twice while an answer is put together.
    ahead = (steps_ahead(blueprint.step_bytes) + 2) * blueprint.step_bytes if prepared.source.remote else 0
    made_at = store.scratch if isinstance(store, RemoteStore) else Path(store.label())
    existing = next(folder for folder in (made_at, *made_at.absolute().parents) if folder.exists())
    return Estimate(
        steps, len(plan.skipped), rows, groups, shards, sum(rows.values()) * stride, shutil.disk_usage(existing).free,
        4 * blueprint.step_bytes + ahead + filled + 32 * rows_of_group + 600 * sum(steps.values()) + 100_000_000,
        (_scratch(blueprint, 2) if store.remote else 0) + unpacked_size(prepared.source, blueprint)[1],
    )  # fmt: skip


def _scratch(blueprint: Blueprint, groups: int) -> int:
    """Bytes of scratch space that so many groups under way need at most; a worker has two of them."""
    steps = max(len(group.steps) for group in blueprint.groups)
    return groups * steps * blueprint.grid.columns * blueprint.layout.stride


def build(prepared: Prepared, out: Store | Path | str, running: Running = Running()) -> Manifest | None:
    """Make a part of a data set at a path or URL and, when it completes the plan, its manifest.

    Returns the manifest, or None while other parts are not done.

    Raises:
        InputError: a step cannot be used (groups that are done stay done).
        DatasetError: the folder holds something else.
        SettingsError: workers cannot see the output.
        SubgridError: the disk is full, a worker was killed, the network does not answer.
    """
    blueprint, origin = prepared.blueprint, Origin.of(prepared.source)
    store = as_store(out, running.scratch)
    if running.workers > 1 or running.scheduler:
        refuse_processes(store)
    if store.exists(MANIFEST):
        blueprint.compare(store)
        manifest = finished(store, origin)
        _refuse_share(blueprint, manifest, store)
        return manifest
    if prepared.plan is not None and not prepared.plan.exists():
        save_plan(prepared)
    if isinstance(store, RemoteStore):
        refuse_small(
            store.scratch, _scratch(blueprint, min(2 * running.workers, len(running.part.of(blueprint.groups))))
        )
    with store.held():
        laid = blueprint.lay(store)
        if isinstance(
            prepared.source, Location
        ):  # whoever began here chose the commit, also where no plan file was named
            prepared = replace(prepared, source=prepared.source.pinned(laid.plan.commit))
        settle_origin(store, origin)
        _make(prepared, store, running)
        write_part(store, running.part, blueprint)
        if len(done_groups(store, blueprint.groups)) == len(blueprint.groups):
            return finish(store, blueprint, blueprint.groups, origin)
    return None


def _refuse_share(blueprint: Blueprint, manifest: Manifest, store: Store) -> None:
    """Raise DatasetError for a data set that ``merge`` made of some of the plan's groups."""
    planned = sum(len(group.steps) for group in blueprint.groups) - len(manifest.dropped)
    if sum(shard.rows for shard in manifest.shards) < planned * blueprint.grid.columns:
        raise DatasetError(f"{store.label()}: holds some parts of the plan, joined by merge; build into another folder")


def save_plan(prepared: Prepared) -> None:
    """Write the plan file of a build; raises SettingsError where none was named."""
    if prepared.plan is None:
        raise SettingsError("name the file that shall hold the plan: --plan FILE")
    prepared.plan.parent.mkdir(parents=True, exist_ok=True)
    write_json(prepared.plan, prepared.blueprint.plan.to_json())


def _make(prepared: Prepared, store: Store, running: Running) -> None:
    """Make the groups of a part that are not done."""
    blueprint = prepared.blueprint
    groups, columns = running.part.of(blueprint.groups), blueprint.grid.columns
    done = {group.name for group in done_groups(store, groups)}
    missing = [group for group in groups if group.name not in done]
    unpacking = unpacked_size(prepared.source, blueprint)[0] if missing else 0
    meter = Meter(sum(len(group.steps) for group in groups) * columns + unpacking, running.progress)
    meter.add(sum(len(group.steps) for group in groups if group.name in done) * columns)
    if not missing:
        return
    with unpacked(prepared.source, blueprint, running.scratch, meter) as source:

        def job_of(group: Group) -> GroupJob:
            files = {label: prepared.steps[label] for label in group.steps if label in prepared.steps}
            return GroupJob(store, blueprint, source, group, files, running.skip_bad, prepared.listed)

        jobs = Jobs(missing, job_of)
        if running.scheduler:
            run_on_cluster(jobs, running.scheduler, meter)
        else:
            run(jobs, running.workers, meter)
