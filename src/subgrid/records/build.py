"""A build: list, choose, plan; lay the blueprint; make every group of a part that is not done; finish when all are.

A build that is killed, cut into parts or given more workers ends with the same bytes: a group follows from its plan.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from subgrid.errors import DatasetError, InputError
from subgrid.records.blueprint import Blueprint, BuildSettings
from subgrid.records.files import write_json, write_whole
from subgrid.records.group import GroupJob
from subgrid.records.ledger import is_done, read_report, write_part
from subgrid.records.manifest import MANIFEST, Manifest, make_manifest, read_manifest
from subgrid.records.plan import Part, make_plan, read_plan
from subgrid.records.shard import IN_MEMORY
from subgrid.records.splits import SPLITS, parse_split
from subgrid.records.workers import Meter, run
from subgrid.schema.grid import Grid
from subgrid.source.locations import GRID_ENDING, Location
from subgrid.source.steps import Choice, Step, list_steps
from subgrid.source.synthetic.files import SETTINGS_FILE
from subgrid.statistics.table import Table, write_tables

STATISTICS_FILE = "statistics.nc"
EVERY_STEP = Choice()
_REAL, _SYNTHETIC = "CC-BY-4.0 (ClimSim, LEAP)", "Apache-2.0 (made-up data, no simulation of the real world)"


@dataclass(frozen=True)
class Prepared:
    """A build that is ready to go.

    Attributes:
        source: where the steps are.
        steps: the listed steps by label.
        blueprint: what is to be built.
        plan: the file that holds the plan, or shall hold it.
    """

    source: Location
    steps: dict[str, Step]
    blueprint: Blueprint
    plan: Path | None = None


@dataclass(frozen=True)
class Estimate:
    """What a build will take: its plan in numbers."""

    steps: dict[str, int]
    skipped: int
    rows: dict[str, int]
    groups: dict[str, int]
    bytes: int
    free: int
    memory: int


@dataclass(frozen=True)
class Running:
    """How a build is carried out; none of it changes a byte.

    Attributes:
        part: the groups to make.
        workers: local processes.
        skip_bad: drop and count steps that are refused.
        progress: called with (rows done, rows of the part), also for groups that were done before.
    """

    part: Part = Part()
    workers: int = 1
    skip_bad: bool = False
    progress: Callable[[int, int], None] | None = None


def find_grid(source: Location) -> str:
    """Name of the one grid file ``*_grid-info.nc`` in a source; raises InputError for none or several."""
    found = [name for name in source.names() if name.endswith(GRID_ENDING)]
    if len(found) != 1:
        raise InputError(
            f"{source.url}: expected one grid file *{GRID_ENDING}, found {', '.join(found) or 'none'}; name it "
            "with --grid"
        )
    return found[0]


def read_grid(source: Location) -> Grid:
    """The grid of a source, local or remote."""
    name = find_grid(source)
    if not source.remote:
        return Grid.read(source.local(name))
    with TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(source.read(name).tobytes())
        return Grid.read(path)


def prepare(
    source: Location,
    settings: BuildSettings,
    choice: Choice = EVERY_STEP,
    *,
    validation: str | None = None,
    grid: Path | None = None,
    plan: Path | None = None,
) -> Prepared:
    """List, choose and plan.

    Args:
        source: where the raw steps are.
        settings: of the data set.
        choice, validation: which steps, and the rule of the split.
        grid: the grid file; default the one in the source.
        plan: a plan file, used if it exists; ``build`` writes it first if not.
    Raises DatasetError where the plan file exists and takes other steps than choice and validation say.
    """
    frozen_grid = Grid.read(grid) if grid else read_grid(source)
    steps = list_steps(source)
    wanted = partial(make_plan, choice.of(steps), parse_split(validation), frozen_grid.columns)
    if plan is None or not plan.exists():
        made = wanted()
    else:
        made = read_plan(plan)
        if (validation or choice != EVERY_STEP) and wanted().digest != made.digest:
            raise DatasetError(
                f"{plan}: the plan exists and takes other steps than start, end, stride and validation say; leave them "
                "out, or name another file"
            )
    listed = {step.label: step for step in steps if step.mlo is not None}
    return Prepared(source, listed, Blueprint(settings, made, frozen_grid), plan)


def estimate(prepared: Prepared, out: Path) -> Estimate:
    """What the whole build will take, before it starts."""
    blueprint = prepared.blueprint
    plan, columns = blueprint.plan, blueprint.grid.columns
    steps = {split: len(plan.steps(split)) for split in SPLITS}
    rows = {split: count * columns for split, count in steps.items()}
    drawn = plan.validation_rows
    rows = {"training": rows["training"] - drawn, "validation": rows["validation"] + drawn}
    groups = {split: sum(group.split == split for group in blueprint.groups) for split in SPLITS}
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    rows_of_group = max(len(group.steps) for group in blueprint.groups) * columns
    shards = 2 * min(rows_of_group * blueprint.layout.stride, IN_MEMORY)  # one is filled while the other is synced
    step = columns * (blueprint.variables.input_width + blueprint.variables.target_width) * 8 * 4
    return Estimate(
        steps, len(plan.skipped), rows, groups, sum(rows.values()) * blueprint.layout.stride,
        shutil.disk_usage(existing).free, step + shards + 32 * rows_of_group + 100_000_000,
    )  # fmt: skip


def build(prepared: Prepared, out: Path, running: Running = Running()) -> Manifest | None:
    """Make a part of a data set and, when it completes the plan, its manifest.

    Returns the manifest, or None while other parts are not done.

    Raises:
        InputError: a step cannot be used (groups that are done stay done).
        DatasetError: the folder holds something else.
        SubgridError: the disk is full, a worker was killed.
    """
    blueprint = prepared.blueprint
    if (out / MANIFEST).exists():
        blueprint.lay(out)
        return _finished(prepared.source, out)
    if prepared.plan is not None and not prepared.plan.exists():
        write_json(prepared.plan, blueprint.plan.to_json())
    blueprint.lay(out)
    groups = running.part.of(blueprint.groups)
    columns = blueprint.grid.columns
    meter = Meter(sum(len(group.steps) for group in groups) * columns, running.progress)
    jobs = []
    for group in groups:
        if is_done(out, group):
            meter.add(len(group.steps) * columns)
        else:
            files = {label: prepared.steps[label] for label in group.steps if label in prepared.steps}
            jobs.append(GroupJob(out, blueprint, prepared.source, group, files, running.skip_bad))
    run(jobs, running.workers, meter)
    write_part(out, running.part, blueprint)
    if all(is_done(out, group) for group in blueprint.groups):
        return _finish(prepared, out)
    return None


def _finished(source: Location, out: Path) -> Manifest:
    """The manifest of a finished build, which must be of this source: dates and grids of two may be the same."""
    manifest = read_manifest(out)
    one, other = (Path(url).expanduser().resolve() for url in (manifest.source, source.url))
    if manifest.source != source.url and (source.remote or one != other):
        raise DatasetError(f"{out}: was built from {manifest.source}, not from {source.url}; use another folder")
    return manifest


def _finish(prepared: Prepared, out: Path) -> Manifest:
    """Fold the moments in the order of groups, write statistics and, last, the manifest."""
    blueprint = prepared.blueprint
    reports, tables = [], {split: Table.zero(blueprint.variables) for split in SPLITS}
    for group in blueprint.groups:
        report = read_report(out, group, blueprint.digest)
        for split in report.moments:
            tables[split] += report.table(split, blueprint.variables)
        reports.append(report.model_copy(update={"moments": {}}))  # moments of thousands of groups fill the memory
    manifest = make_manifest(blueprint, reports, prepared.source.url, _licence(prepared.source))
    if not manifest.rows("training"):
        raise InputError(f"{prepared.source.url}: every training step was dropped; there is nothing to train on")
    kept = {split: table for split, table in tables.items() if manifest.rows(split)}
    write_whole(out / STATISTICS_FILE, lambda aside: write_tables(aside, kept, {"dataset": manifest.digest}))
    write_json(out / MANIFEST, manifest.model_dump())
    return manifest


def _licence(source: Location) -> str:
    """Made-up data are told by the file that their maker leaves; everything else is taken for ClimSim's."""
    return _SYNTHETIC if SETTINGS_FILE in source.names() else _REAL
