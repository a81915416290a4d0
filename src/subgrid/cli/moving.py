"""Commands that move data: download."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from subgrid.cli import terminal
from subgrid.cli.transfers import transfers

if TYPE_CHECKING:
    from subgrid.source.hub.download import Outcome, Survey
    from subgrid.source.hub.plan import DownloadPlan
    from subgrid.source.hub.repository import RemoteFile

PLAN_FILE, GAPS = "download.json", "download-gaps"
_SHOWN = 10  # gaps and failures that are shown in full


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(download)


def download(
    out: Annotated[Path, typer.Argument(help="Folder of raw steps, laid out like the repository.")],
    repository: Annotated[str | None, typer.Option(help="Data set repository on the Hugging Face hub. Default: that of "
                                                        "the plan, else LEAP/ClimSim_low-res.")] = None,
    start: Annotated[str | None, typer.Option(help="First year, month, day or step. Default: the plan's, else "
                                                   "0001-02.")] = None,
    end: Annotated[str | None, typer.Option(help="Last year, month, day or step, included. Default: the plan's, else "
                                                 "0009-01.")] = None,
    stride: Annotated[int | None, typer.Option(help="Every n-th step.", min=1)] = None,
    part: Annotated[str, typer.Option(help="i/N: only the i-th of N parts, every N-th step.")] = "1/1",
    plan: Annotated[Path | None, typer.Option(help="Plan file: used if it exists, written first if not. Default: "
                                                   "OUT/download.json.")] = None,
    workers: Annotated[int, typer.Option(help="Files fetched at once.", min=1, max=64)] = 8,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and how fast; write nothing "
                                                            "but the file of --plan.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Hash again what is there.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Begin although the disk is too small.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:  # fmt: skip
    """Fetch raw steps from the Hugging Face hub. The same command again goes on, and tries what failed.

    Example: subgrid download ClimSim_low-res --start 0001-02 --end 0001-02
    """
    from subgrid.records.plan import Part
    from subgrid.source.hub.download import Download, measure, survey
    from subgrid.source.hub.plan import Wish, make_plan
    from subgrid.source.hub.repository import LOW_RESOLUTION, Repository
    from subgrid.source.hub.transfer import Request

    with terminal.usage():
        chosen, wish, place = Part.parse(part), Wish(start, end, stride), plan or out / PLAN_FILE
        wish.choice(None)
    known = _read_plan(place)
    hub = Repository(repository or (known.repository if known else LOW_RESOLUTION))
    with terminal.progress("listing", "months") as report:
        made = make_plan(hub, wish, known, report)
    files = made.part(chosen.index, chosen.count)
    found, gaps, request = survey(files, out), made.gaps(), Request.of(hub, made.commit)
    told = _told(made, part, files, found) | {"gaps": gaps}
    if dry_run:
        rate = measure(request, found.missing, workers)
        told |= {"rate": rate, "hours": found.needed / rate / 3600 if rate else None}
    _show(told, workers)
    if not (dry_run or force):
        _refuse_small_disk(found, out)
    if made != known and (plan or not dry_run):
        _write_plan(place, made)
    if dry_run:
        terminal.as_json(told) if as_json else print(f"{out}: a dry run, nothing was kept")
        return
    out.mkdir(parents=True, exist_ok=True)
    gaps_file = out / (f"{GAPS}.txt" if chosen.count == 1 else f"{GAPS}-{chosen.index}-of-{chosen.count}.txt")
    _write_gaps(gaps_file, gaps)
    with transfers("download") as show:
        outcome = Download(request, out, files, workers, verify, show).run()
    _write_gaps(gaps_file, gaps, outcome.absent)
    _finish(outcome)
    if as_json:
        terminal.as_json(told | asdict(outcome))
    else:
        print(f"{out}: {outcome.fetched:,} files fetched ({terminal.size(outcome.bytes)} in "
              f"{terminal.duration(outcome.seconds)}), {outcome.there:,} were there")  # fmt: skip
    if outcome.failed:
        raise typer.Exit(1)


def _read_plan(path: Path) -> "DownloadPlan | None":
    from subgrid.errors import DatasetError
    from subgrid.source.hub.plan import DownloadPlan

    try:
        return DownloadPlan.from_json(json.loads(path.read_text()), str(path))
    except FileNotFoundError:
        return None
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a plan of a download ({error})") from error


def _told(plan: "DownloadPlan", part: str, files: "list[RemoteFile]", found: "Survey") -> dict[str, Any]:
    """What is known before anything is fetched, plain values."""
    choice = plan.choice
    return {
        "repository": plan.repository,
        "commit": plan.commit,
        **{"start": choice.start, "end": choice.end, "stride": choice.stride, "part": part},
        "calendar_steps": plan.steps(),
        "steps": sum(".mli." in file.name for file in files),
        "grids": [file.name for file in plan.grids],
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "files_there": len(found.there),
        "bytes_there": sum(file.size for file in found.there) + found.begun,
        "bytes_to_fetch": found.needed,
        "bytes_free": found.free,
    }


def _show(told: dict[str, Any], workers: int) -> None:
    """What a download will do, in words."""
    size = terminal.size
    every = f", every {told['stride']}th step" if told["stride"] > 1 else ""
    terminal.say(f"{told['repository']} at commit {told['commit'][:12]}, {told['start']} to {told['end']}{every}")
    part = f"part {told['part']}: " if told["part"] != "1/1" else ""
    terminal.say(f"{part}{told['steps']:,} steps, {told['files']:,} files, {size(told['bytes'])}; there already: "
                 f"{told['files_there']:,} files, {size(told['bytes_there'])}")  # fmt: skip
    if not told["grids"]:
        terminal.say("no grid file in this repository: name one with --grid when you build")
    if gaps := told["gaps"]:
        terminal.say(f"gaps: {len(gaps):,} of {told['calendar_steps']:,} steps in the calendar lack a file on the hub:")
        _some([f"{label} {kinds}" for label, kinds in gaps.items()])
    terminal.say(f"to fetch: {size(told['bytes_to_fetch'])} of {size(told['bytes_free'])} free")
    if told.get("rate"):
        hours = told["hours"]
        time = f"{hours:.1f} hours" if hours > 1 else f"{terminal.duration(hours * 3600)} minutes"
        terminal.say(f"{time} at {size(told['rate'])}/s, measured just now with {workers} at once")
    elif "rate" in told and told["bytes_to_fetch"]:
        terminal.say("how long it takes is not known: nothing came while the rate was measured")


def _some(lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        terminal.say(f"  {line}")
    if len(lines) > _SHOWN:
        terminal.say(f"  ... and {len(lines) - _SHOWN:,} more")


def _refuse_small_disk(found: "Survey", out: Path) -> None:
    """Raises SettingsError where the disk is too small."""
    from subgrid.errors import SettingsError

    if found.needed > found.free:
        raise SettingsError(
            f"{out}: {terminal.size(found.needed)} are to be fetched, and {terminal.size(found.free)} are free; make "
            "room, take fewer steps (--start, --end, --stride, --part), or begin all the same with --force"
        )


def _write_plan(path: Path, plan: "DownloadPlan") -> None:
    from subgrid.records.files import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, plan.to_json())


def _write_gaps(path: Path, gaps: dict[str, str], absent: Sequence[str] = ()) -> None:
    """A line for each step that is not whole on the hub, and for each file that it lists but does not have."""
    from subgrid.records.files import write_whole

    lines = [f"{label} has no {kinds}" for label, kinds in gaps.items()] + [
        f"{name} is listed, but absent" for name in absent
    ]
    if lines:
        write_whole(path, lambda aside: aside.write_text("\n".join(lines) + "\n"))
    else:
        path.unlink(missing_ok=True)


def _finish(outcome: "Outcome") -> None:
    """What went wrong, in words."""
    if outcome.absent:
        terminal.say(f"gaps too: files that the hub lists but does not have (404): {len(outcome.absent):,}")
        _some(sorted(outcome.absent))
    if outcome.failed:
        terminal.fail(f"files that failed: {len(outcome.failed):,}")
        _some([f"{name}: {why}" for name, why in sorted(outcome.failed.items())])
        if outcome.untried:
            terminal.say(f"too many failed one after another: {outcome.untried:,} more were not tried")
        terminal.say("the same command tries them again")
