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
    data: Annotated[list[str] | None, typer.Option(help="A data set, instead of the file's; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study, instead of the file's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and how long they are.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Only say what was found so far.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try the runs that failed once more.")] = False,
    jobs: Annotated[
        int, typer.Option(help="Runs at a time; they share the cores, and take the GPUs in turn.", min=1)
    ] = 1,
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
    listed = [settings.data] if isinstance(settings.data, str) else settings.data or []
    places = data or listed
    place = out or settings.out
    if not places or not place:
        missing = "out" if places else "data"
        raise SettingsError(f"{file}: {missing} is missing; add it there or give --{missing}")
    workshop = Workshop(settings, runs, [Dataset.open(one) for one in places], Path(place), terminal.say)
    if dry_run:
        _list(workshop, jobs, json)
        return
    lines = workshop.lines() if summary else workshop.carry_out(retry, jobs)
    _tell(workshop, lines, json)
    if any(line["status"] == "failed" for line in lines.values()) and not summary:
        raise typer.Exit(1)


def _list(workshop: Any, jobs: int, json: bool) -> None:
    states, left, rows = workshop.states(), workshop.seconds_left(jobs), workshop.rows()
    waiting = sum(rows[run.name] for run in workshop.runs if states[run.name] in ("begun", "to do"))
    if json:
        entries = [
            {"name": run.name, "variant": run.variant, "seed": run.recipe.seed, "overrides": dict(run.overrides),
             "rows": rows[run.name], "state": states[run.name]}
            for run in workshop.runs
        ]  # fmt: skip
        terminal.as_json({"runs": entries, "rows_left": waiting, "seconds_left": left})
        return
    width = max(len(run.name) for run in workshop.runs)
    for run in workshop.runs:
        print(f"{run.name:{width}}  {rows[run.name]:>12,} rows  {states[run.name]}")
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
