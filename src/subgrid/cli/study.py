"""The command that runs a study."""

from pathlib import Path
from typing import Annotated, Any

import typer

from subgrid.cli import terminal


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(study)


def study(
    file: Annotated[Path, typer.Argument(help="A YAML file: recipe, data, seeds, factors, grid.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the data set, instead of the file's.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study, instead of the file's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and how long they are.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Only say what was found so far.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try the runs that failed once more.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Train the variants of a recipe with several seeds and compare them. The same command again goes on.

    Example: subgrid study study.yaml --out out/study
    """
    from subgrid.errors import SettingsError
    from subgrid.records.reader import Dataset
    from subgrid.study.plan import load_study
    from subgrid.study.runs import Workshop

    terminal.refuse_several("study")
    settings, runs = load_study(file)
    places = {"data": data or settings.data, "out": out or settings.out}
    if missing := [name for name, place in places.items() if place is None]:
        raise SettingsError(f"{file}: {missing[0]} is missing; add it there or give --{missing[0]}")
    workshop = Workshop(settings, runs, Dataset.open(str(places["data"])), Path(str(places["out"])), terminal.say)
    if dry_run:
        _list(workshop, json)
        return
    lines = workshop.lines() if summary else workshop.carry_out(retry)
    _tell(workshop, lines, json)
    if any(line["status"] == "failed" for line in lines.values()) and not summary:
        raise typer.Exit(1)


def _list(workshop: Any, json: bool) -> None:
    from subgrid.study.runs import seconds_left

    states, left = workshop.states(), seconds_left(workshop.runs, workshop.lines())
    waiting = sum(run.rows for run in workshop.runs if states[run.name] in ("begun", "to do"))
    if json:
        entries = [
            {"name": run.name, "variant": run.variant, "seed": run.recipe.seed, "overrides": dict(run.overrides),
             "rows": run.rows, "state": states[run.name]}
            for run in workshop.runs
        ]  # fmt: skip
        terminal.as_json({"runs": entries, "rows_left": waiting, "seconds_left": left})
        return
    width = max(len(run.name) for run in workshop.runs)
    for run in workshop.runs:
        print(f"{run.name:{width}}  {run.rows:>12,} rows  {states[run.name]}")
    time = f", about {terminal.duration(left)} at the speed of those that are done" if left is not None else ""
    print(f"{len(workshop.runs)} runs, {waiting:,} rows to train on{time}")


def _tell(workshop: Any, lines: dict[str, dict[str, Any]], json: bool) -> None:
    from subgrid.study.summary import SCORE, summary

    entries = summary(workshop.runs, lines)
    if json:
        terminal.as_json({"summary": entries, "runs": list(lines.values())})
        return
    width = max(len("variant"), *(len(entry["variant"]) for entry in entries))
    print(f"{'variant':{width}}  runs  {SCORE:>8}  {'to base':>8}  {'+-':>7}  {'seconds':>8}")
    for entry in entries:
        cells = [
            _cell(entry[SCORE], "8.4f"), _cell(entry["difference"], "+8.4f"), _cell(entry["standard_error"], "7.4f"),
            _cell(entry["seconds"], "8.1f"),
        ]  # fmt: skip
        failed = f"  {entry['failed']} failed" if entry["failed"] else ""
        print(f"{entry['variant']:{width}}  {entry['runs']:>4}  {'  '.join(cells)}{failed}")


def _cell(value: float | None, style: str) -> str:
    return format(value, style) if value is not None else f"{'-':>{style.strip('+').split('.')[0]}}"
