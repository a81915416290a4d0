"""Commands that make, show and check data: sample, build, merge, inspect, verify, stats."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from subgrid.cli import terminal

if TYPE_CHECKING:
    from subgrid.records.build import Estimate
    from subgrid.records.manifest import Manifest

_JSON = typer.Option("--json", help="One JSON object on standard output.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (sample, build, merge, inspect, verify, stats):
        app.command()(command)


def sample(
    out: Annotated[Path, typer.Argument(help="Folder to write raw steps into.")],
    steps: Annotated[int, typer.Option(help="Steps to write.", min=1)] = 60,
    columns: Annotated[int | None, typer.Option(help="Columns of a quasi-uniform grid (default 384).", min=2)] = None,
    grid: Annotated[Path | None, typer.Option(help="A grid file to use instead.")] = None,
    seed: Annotated[int, typer.Option(help="Draws coasts and weather.", min=0, max=2**31 - 1)] = 0,
    missing_mlo: Annotated[int, typer.Option(help="Steps without an mlo file, as happens in real data.", min=0)] = 0,
) -> None:
    """Write raw steps of a small made-up climate, in ClimSim's files and folders.

    Example: subgrid sample made-up --steps 60 --columns 384
    """
    from pydantic import ValidationError

    from subgrid.errors import UsageError
    from subgrid.source.synthetic import SyntheticSettings, write_climate

    if grid is not None and columns is not None:
        raise UsageError("give --columns or --grid, not both")
    try:
        settings = SyntheticSettings(steps=steps, columns=columns or 384, grid=grid, seed=seed, missing_mlo=missing_mlo)
    except ValidationError as error:
        raise UsageError("\n".join(item["msg"].removeprefix("Value error, ") for item in error.errors())) from error
    with terminal.progress("sample", "steps") as report:
        write_climate(out, settings, report)
    print(f"{out}: {steps} made-up steps")


def build(
    source: Annotated[str, typer.Argument(help="Folder or URL of raw steps, a pair of arrays NAME_input.npy, "
                                               "NAME_target.npy, or a table like Kaggle's train.csv or .parquet.")],
    out: Annotated[str, typer.Argument(help="Folder or URL of the data set.")],
    validation: Annotated[str | None, typer.Option(help="Split: every=5, dates=A..B/7, blocks=10d/50, file=LIST or "
                                                        "rows=N. Default: none.")] = None,
    part: Annotated[str, typer.Option(help="i/N: only the i-th of N parts; parts may share OUT.")] = "1/1",
    workers: Annotated[int, typer.Option(help="Local processes.", min=1)] = 1,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler make "
                                                  "the groups.")] = None,
    scratch: Annotated[Path | None, typer.Option(help="Folder for shards on their way to a URL, and for the rows of a "
                                                 "parquet table. Default: the one for temporary files.")] = None,
    seed: Annotated[int, typer.Option(help="Of all permutations.", min=0)] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    variables: Annotated[str, typer.Option(help="Variable set: kaggle, v1 or v2.")] = "kaggle",
    start: Annotated[str | None, typer.Option(help="First year, month, day or step, as in 0001-02.")] = None,
    end: Annotated[str | None, typer.Option(help="Last year, month, day or step, included.")] = None,
    stride: Annotated[int, typer.Option(help="Every n-th step.", min=1)] = 1,
    draw: Annotated[str | None, typer.Option(help="Parts x batches x steps, as in 44x5x100: so many steps drawn by the "
                                             "seed, none twice.")] = None,
    span: Annotated[int | None, typer.Option(help="Steps whose rows are mixed. Default: those of a batch of --draw, "
                                             "else as many as fill a shard.", min=1)] = None,
    shard_size: Annotated[str, typer.Option(help="About how large a shard is, as in 64MB.")] = "64MB",
    float64: Annotated[bool, typer.Option("--float64", help="Store rows in float64.")] = False,
    grid: Annotated[Path | None, typer.Option(help="Grid file. Default: the one *_grid-info.nc in SOURCE.")] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan file: used if it exists, written first if not.")] = None,
    plan_only: Annotated[bool, typer.Option("--plan-only", help="Write the plan file and stop.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Drop and count steps that are refused.")] = False,
    normalised: Annotated[Path | None, typer.Option(metavar="DIR", help="Arrays are normalised by ClimSim's tables in "
                                                    "this folder; undo it.")] = None,
) -> None:  # fmt: skip
    """Build a data set from raw steps, arrays or a table. The same command again goes on where it was stopped.

    Example: subgrid build ClimSim_low-res data --validation every=5 --workers 2
    """
    from dataclasses import replace

    from subgrid.errors import UsageError
    from subgrid.recipe import parse_size
    from subgrid.records.blueprint import BuildSettings
    from subgrid.records.build import Running, estimate, prepare, save_plan
    from subgrid.records.build import build as build_records
    from subgrid.records.draws import Draw
    from subgrid.records.from_blocks import find_blocks, prepare_blocks
    from subgrid.records.plan import Part, Wanted
    from subgrid.records.splits import parse_split
    from subgrid.source.locations import Location, shown
    from subgrid.source.steps import Choice

    with terminal.usage():
        drawn = Draw.parse(draw) if draw else None
        mixed = span or (drawn.steps if drawn else 0)
        settings = BuildSettings(variables, float64, parse_size(shard_size), seed, mixed)
        wanted = Wanted(Choice(start, end, stride), drawn)
        running = Running(Part.parse(part), workers, skip_bad, scratch=scratch, scheduler=scheduler)
        parse_split(validation)
    if plan_only and (dry_run or plan is None):
        raise UsageError("--plan-only writes the file of --plan and nothing else: name one, and leave out --dry-run")
    found = find_blocks(source, variables, normalised)
    if found is None:
        ready = prepare(Location(source), settings, wanted, validation=validation, grid=grid, plan=plan)
    elif wanted != Wanted():
        raise UsageError("--start, --end, --stride and --draw choose steps by date; arrays and tables have none")
    else:
        with terminal.progress("count", "bytes") if source.lower().endswith(".csv") else nullcontext() as counted:
            ready = prepare_blocks(found, settings, validation=validation, grid=grid, plan=plan, progress=counted)
    _show_plan(estimate(ready, out, scratch), ready.blueprint.plan.split)
    if plan_only:
        save_plan(ready)
        chosen = ready.blueprint.plan
        print(f"{plan}: {len(chosen.training) + len(chosen.validation):,} steps written down")
    if dry_run:
        ready.blueprint.check(out)
    if dry_run or plan_only:
        return
    with terminal.progress("build") as report:
        manifest = build_records(ready, out, replace(running, progress=report))
    if manifest is None:
        print(f"{shown(out)}: part {part} is done; other parts are not")
        return
    _show_made(shown(out), manifest)


def _show_made(out: str, manifest: "Manifest") -> None:
    counted = {"without mlo or mli": len(manifest.skipped), "dropped": len(manifest.dropped),
               "with another date inside": manifest.other_time}  # fmt: skip
    for what, count in counted.items():
        if count:
            terminal.say(f"{terminal.many(count, 'step')} {what}")
    print(f"{out}: {manifest.rows('training'):,} training and {manifest.rows('validation'):,} validation rows in "
          f"{terminal.many(len(manifest.shards), 'shard')}, digest {manifest.digest[:16]}")  # fmt: skip


def _show_plan(plan: "Estimate", split: str) -> None:
    for name in plan.steps:
        if plan.rows[name]:
            terminal.say(
                f"{name}: {terminal.many(plan.steps[name], 'step')}, {terminal.many(plan.rows[name], 'row')}, "
                f"{terminal.many(plan.groups[name], 'group')}, {terminal.many(plan.shards[name], 'shard')}"
            )
    if plan.skipped:
        terminal.say(f"skipped: {terminal.many(plan.skipped, 'step')} without an mlo or mli file")
    if split.startswith("rows="):
        terminal.say("this split leaks: validation rows have training rows of the same step as neighbours")
    needed = f", its scratch space at most {terminal.size(plan.scratch)}" if plan.scratch else ""
    terminal.say(f"size: {terminal.size(plan.bytes)} of {terminal.size(plan.free)} free; memory of a worker about "
                 f"{terminal.size(plan.memory)}{needed}")  # fmt: skip


def merge(
    out: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders of parts, in any order.")],
    part: Annotated[str, typer.Option(help="i/N: a data set of the i-th of N parts of the plan alone.")] = "1/1",
    copy: Annotated[bool, typer.Option("--copy", help="Copy shards instead of linking them.")] = False,
) -> None:
    """Join parts of one plan that were built in folders of their own, by links.

    Example: subgrid merge data part-1 part-2 part-3
    """
    from subgrid.records.merge import merge as merge_records
    from subgrid.records.plan import Part

    with terminal.usage():
        chosen = Part.parse(part)
    manifest = merge_records(out, parts, chosen, copy)
    _show_made(str(out), manifest)


def inspect(
    path: Annotated[
        str, typer.Argument(help="Whatever subgrid reads or writes: raw steps, a data set, a run, a prediction.")
    ],
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Show what a folder holds and how much of it is done.

    Example: subgrid inspect data
    """
    from subgrid.cli.folder_text import as_text
    from subgrid.inspection import inspect as describe

    found = describe(path)
    if json:
        terminal.as_json(found)
    else:
        print(as_text(found))


def verify(
    dataset: Annotated[str, typer.Argument(help="A data set: a folder, a URL or a pointer.")],
    repair: Annotated[bool, typer.Option("--repair", help="Take damaged groups back; the same build makes them "
                                         "anew.")] = False,
) -> None:  # fmt: skip
    """Check every byte of a data set against its manifest; names the shard and row that is damaged.

    Example: subgrid verify data
    """
    from subgrid.errors import SettingsError
    from subgrid.records.repair import take_back
    from subgrid.records.verify import verify as verify_records
    from subgrid.source.urls import local_path, shown

    with terminal.progress("verify", "bytes") as report:
        wrong = verify_records(dataset, report)
    for line in wrong:
        terminal.fail(line)
    if wrong and repair:
        if not local_path(dataset).is_dir():
            raise SettingsError(
                f"--repair {shown(dataset)}: only a local folder can be repaired; build the data set again"
            )
        for name in take_back(local_path(dataset)):
            terminal.say(f"{name}: taken back")
        terminal.say(f"{dataset}: run the same build again")
    if wrong:
        raise typer.Exit(1)
    print(f"{shown(dataset)}: every row is whole")


def stats(
    datasets: Annotated[list[str], typer.Argument(help="One data set or several, folded together.")],
    split: Annotated[str, typer.Option(help="training or validation.")] = "training",
    out: Annotated[Path | None, typer.Option(help="Save the moments as NetCDF.")] = None,
    compare: Annotated[str | None, typer.Option(help="A statistics.nc, a data set, or ClimSim's published "
                                                      "tables: their folder, or one of them.")] = None,
    auxiliary: Annotated[Path | None, typer.Option(help="Save grid, moments, target limits and competition weights in "
                                                        "this folder.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:  # fmt: skip
    """Moments of the columns of one data set or of several together, and how far they lie from others.

    Example: subgrid stats data --compare normalizations
    """
    from subgrid.cli.stats_text import show
    from subgrid.records.files import write_whole
    from subgrid.records.folding import folded_table
    from subgrid.statistics.table import refuse_other_file, write_tables

    if out is not None:
        refuse_other_file(out)
    if auxiliary is not None:
        from subgrid.representation.auxiliary import refuse_other_folder, write_auxiliary

        refuse_other_folder(auxiliary)
    table = folded_table(datasets, split)
    show(table, split, compare, json)  # first: a full disk does not take the answer away
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, lambda aside: write_tables(aside, {split: table}))
        terminal.say(f"{out}: written")
    if auxiliary is not None:
        from subgrid.records.reader import Dataset

        for path in write_auxiliary(auxiliary, [Dataset.open(place) for place in datasets], {split: table}):
            terminal.say(f"{path}: written")
