"""study.jsonl: one line a run that ended, done or failed; appended and synced, so that a kill costs at most one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subgrid.errors import SettingsError
from subgrid.study.plan import PlannedRun
from subgrid.training import folder, metrics

LINES = "study.jsonl"


def read_lines(out: Path, runs: Sequence[PlannedRun], data: str) -> dict[str, dict[str, Any]]:
    """Lines of a study's runs by name; those of runs that the study no longer has are left out.

    Args:
        out: folder of the study.
        runs: of the study.
        data: digest of its data set.

    Raises:
        SettingsError: a line of a run that had this name and another recipe or other data.
    """
    lines = {line["name"]: line for line in metrics.whole_lines(out / LINES)}
    for run in runs:
        found = lines.get(run.name)
        if found and (found["recipe"], found["data"]) != (run.digest, data):
            what = "recipe" if found["recipe"] != run.digest else "data"
            raise SettingsError(
                f"{out / LINES}: {run.name} was run with another {what} ({found[what]}, now "
                f"{run.digest if what == 'recipe' else data}); choose another --out, or remove that line and "
                f"{out / 'runs' / run.name}"
            )
    return {run.name: lines[run.name] for run in runs if run.name in lines}


def drop_failed(out: Path) -> None:
    """Forget the runs that failed, so that they are tried again."""
    _rewrite(out, [line for line in metrics.whole_lines(out / LINES) if line["status"] != "failed"])


def add_line(out: Path, line: dict[str, Any]) -> None:
    """Add the line of a run, in the place of an older one of that name and of half a line that a kill left."""
    path = out / LINES
    lines = metrics.whole_lines(path)
    others = [found for found in lines if found["name"] != line["name"]]
    torn = path.exists() and not path.read_bytes().endswith(b"\n")
    if torn or len(others) < len(lines):
        _rewrite(out, others)
    metrics.append(path, line)


def _rewrite(out: Path, lines: Sequence[dict[str, Any]]) -> None:
    folder.write_text(out / LINES, "".join(json.dumps(line) + "\n" for line in lines))
