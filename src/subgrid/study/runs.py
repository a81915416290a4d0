"""Running what a study has not run yet, each run by ``subgrid train`` in a process of its own.

    OUT/runs/NAME.yaml    the recipe of a run
    OUT/runs/NAME/        the run; its checkpoints go when it is done, unless the study keeps them
    OUT/study.jsonl       a line for every run that ended

A process of its own: every run pays for its own compilation, and one that runs out of memory takes nothing with it.
"""

import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from subgrid.disk import locked
from subgrid.errors import SettingsError
from subgrid.records.reader import Dataset
from subgrid.study import ledger
from subgrid.study.crew import Crew, Say
from subgrid.study.plan import PlannedRun, Study
from subgrid.training import folder, metrics
from subgrid.training.schedule import Schedule

_WAIT_SECONDS = 1.0
_STOPPED = {
    130: KeyboardInterrupt(),
    143: SystemExit(143),
    -signal.SIGINT: KeyboardInterrupt(),
    -signal.SIGTERM: SystemExit(143),
}
"""Exit codes of a run that was stopped: it saved and left, or had not begun to listen to signals."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """Where a study is carried out.

    Attributes:
        study: its settings.
        runs: all of them, in order.
        data: open data sets, in the order of the recipe's.
        out: folder of the study.
        say: told what happens, a line at a time.
    """

    study: Study
    runs: Sequence[PlannedRun]
    data: Sequence[Dataset]
    out: Path
    say: Say

    @property
    def digest(self) -> str:
        """Identity of the data."""
        return "+".join(data.digest for data in self.data)

    def rows(self) -> dict[str, int]:
        """Rows that each run trains on, by its name; raises SettingsError where a recipe wants other data."""
        from subgrid.training.sources import Sources

        resolved = {run.name: Sources.of(run.recipe.training, self.data).resolve(run.recipe) for run in self.runs}
        return {name: Schedule(recipe.training).rows for name, recipe in resolved.items()}

    def seconds_left(self, jobs: int = 1) -> float | None:
        """Time for the runs without a line, at the speed of those done (of the same variant, if any); None of none."""
        lines, rows = self.lines(), self.rows()
        done = [(run.variant, lines[run.name]) for run in self.runs if lines.get(run.name, {}).get("status") == "done"]
        total = 0.0
        for run in self.runs if done else ():
            if run.name not in lines:
                like = [line for variant, line in done if variant == run.variant] or [line for _, line in done]
                total += rows[run.name] * sum(line["seconds"] for line in like) / sum(line["rows"] for line in like)
        return total / jobs if done else None

    def lines(self) -> dict[str, dict[str, Any]]:
        """Lines of the runs that ended, by name; SettingsError where they are of another study."""
        return ledger.read_lines(self.out, self.runs, self.digest)

    def states(self) -> dict[str, str]:
        """``done``, ``failed``, ``begun`` or ``to do``, by name of the run."""
        lines, place = self.lines(), self.out / "runs"
        begun = {run.name for run in self.runs if (place / run.name).is_dir()}
        return {
            run.name: lines[run.name]["status"] if run.name in lines else "begun" if run.name in begun else "to do"
            for run in self.runs
        }

    def carry_out(self, retry: bool = False, jobs: int = 1) -> dict[str, dict[str, Any]]:
        """Run what has no line yet; the same call again goes on where it was stopped.

        Args:
            retry: try those that failed once more.
            jobs: runs at a time, which share the cores and the GPUs of the machine.

        Returns:
            the lines of all runs, by name.

        Raises:
            SettingsError: OUT is another study's, or somebody is at work there.
            KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after the runs under way were saved.
        """
        crew = Crew(jobs)
        _refuse_foreign(self.out)
        self.rows(), self.lines()  # what cannot be is refused before anything is written
        with locked(self.out), _terminated():
            (self.out / "runs").mkdir(exist_ok=True)
            if retry:
                ledger.drop_failed(self.out)
            lines = self.lines()
            for line in lines.values():
                self._tidy(line)
            waiting = [run for run in self.runs if run.name not in lines]
            with closing(crew.each(partial(self._run, crew), waiting)) as found:
                for line in found:
                    ledger.add_line(self.out, line)
                    self._tidy(line)
        return self.lines()

    def _tidy(self, line: dict[str, Any]) -> None:
        if line["status"] == "done" and not self.study.keeps(line["variant"]):
            _drop_checkpoints(self.out / "runs" / line["name"])

    def _run(self, crew: Crew, run: PlannedRun) -> dict[str, Any]:
        place = self.out / "runs" / run.name
        self.say(f"run {self.runs.index(run) + 1} of {len(self.runs)}: {run.name}")
        _wait_for(place, crew, self.say)
        recipe = place.with_name(f"{run.name}.yaml")
        folder.write_text(recipe, run.recipe.to_yaml())
        data = [word for item in self.data for word in ("--data", item.folder)]
        words = ("-m", "subgrid", "train", recipe, *data, "--out", place)
        name = f"{run.name}: " if crew.size > 1 else ""
        code, error = crew.run([sys.executable, *map(str, words)], lambda text: self.say(f"  {name}{text}"))
        if code in _STOPPED:
            raise _STOPPED[code]
        line = {
            "name": run.name,
            "variant": run.variant,
            "seed": run.recipe.seed,
            "overrides": dict(run.overrides),
            "recipe": run.digest,
            "data": self.digest,
        }
        if code:
            self.say(f"{run.name} failed: {error}")
            return {**line, "status": "failed", "error": error}
        return {**line, "status": "done", **_result(place)}


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SettingsError(f"{out}: expected a folder for the study, found a file; choose another --out")
    found = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.exists() else []
    if found and not {"runs", ledger.LINES} & set(found):
        raise SettingsError(
            f"{out}: expected an empty folder or a study, found {', '.join(found[:5])}; choose another --out"
        )


def _wait_for(place: Path, crew: Crew, say: Say) -> None:
    """Until nobody trains there: a study that was killed outright may have left a run that is still at work."""
    told = False
    while True:
        try:
            with locked(place):
                return
        except SettingsError:
            if not told:
                say(f"{place}: waiting for a process that is at work there")
            told = True
            crew.pause(_WAIT_SECONDS)


def _result(place: Path) -> dict[str, Any]:
    """What a finished run tells: its last scores, length, time and speed, and the machine it was on."""
    from subgrid.training.checkpoint import read_card

    lines = metrics.whole_lines(place / "metrics.jsonl")
    last = next(line for line in lines if line["event"] == "finished")
    ends = [0, *(line["rows"] for line in lines if line["event"] == "sub_epoch")]
    rates = [line["columns_per_second"] for line in lines if line["event"] == "sub_epoch"]
    spent = sum((end - start) / rate for start, end, rate in zip(ends, ends[1:], rates, strict=False) if rate)
    return {
        "scores": {key: last[key] for key in last if key not in ("event", "rows", "latest", "best", "seconds")},
        "rows": last["rows"],
        "seconds": last["seconds"],
        "columns_per_second": round(last["rows"] / spent, 1) if spent else None,
        "machine": dict(read_card(folder.find_checkpoint(place))["conditions"]),
    }


def _drop_checkpoints(place: Path) -> None:
    for pointer in folder.POINTERS:
        (place / pointer).unlink(missing_ok=True)
    shutil.rmtree(place / "checkpoints", ignore_errors=True)


@contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM as an exception while the block runs, so that what it started can be ended."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
