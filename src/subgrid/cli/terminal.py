"""What a user sees while a command works: a line of progress on standard error, and sizes and times in words."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from subgrid.errors import SettingsError, UsageError
from subgrid.source.urls import without_secrets

Report = Callable[[int, int], None]


GO_ON = 75
"""Exit code of a command that ended in time and is to be called again: EX_TEMPFAIL of sysexits.h, "try again"."""


def speaks() -> bool:
    """Whether this process is the one of its command that prints; all are, but where torchrun or srun started many."""
    from subgrid.training.launch import launch

    return launch().rank == 0


def refuse_several(command: str) -> None:
    """Raise SettingsError where torchrun or srun started several processes of a command that works in one."""
    from subgrid.training.launch import launch

    if (started := launch()).ranks > 1:
        raise SettingsError(
            f"subgrid {command} works in one process, {started.by} started {started.ranks}; several share subgrid train"
        )


def say(text: str) -> None:
    """A line for the user that is not the result: standard error.

    The last door that a message passes: what a library says of a URL, or a shell of an argument, is shown without user,
    password and query here, whoever forgot to do so before.
    """
    print(without_secrets(text), file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """An error as plain lines on standard error."""
    say(f"error: {text}")


def as_json(data: Any) -> None:
    """One JSON object on standard output and nothing else."""
    print(json.dumps(data, indent=1))


def size(count: float) -> str:
    """Bytes in words: 91.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def many(count: int, what: str) -> str:
    """A number with its noun: 1 step, 2,304 steps."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds in words: 1:02:03 or 2:03."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def seconds_of(text: str) -> float:
    """Seconds of ``1h30m``, ``90m``, ``2d``, ``45s`` or slurm's ``1-12:00:00`` and ``1:30:00``; else SettingsError."""
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    found = found or re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    if total := ((days * 24 + hours) * 60 + minutes) * 60 + seconds:
        return float(total)
    raise SettingsError(f"expected a time such as 1h30m, 90m, 45s or 1:30:00, found {text!r}")


@contextmanager
def usage() -> Iterator[None]:
    """Around what only reads the words of options: what is wrong with them is wrong usage, which ends with 2."""
    try:
        yield
    except SettingsError as error:
        raise UsageError(str(error)) from error


@contextmanager
def progress(what: str, unit: str = "columns") -> Iterator[Report]:
    """A bar on a terminal, a line every ten seconds elsewhere; yields what is called with (done, total)."""
    if not sys.stderr.isatty():
        yield _lines(what, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
               TextColumn("{task.fields[rate]}"), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None, rate="")
        start, first = time.monotonic(), [-1]

        def report(done: int, total: int) -> None:
            first[0] = done if first[0] < 0 else first[0]
            rate = (done - first[0]) / max(time.monotonic() - start, 1e-3)
            bar.update(task, completed=done, total=total, rate=f"{rate:,.0f} {unit}/s" if rate else "")

        yield report


def _lines(what: str, unit: str) -> Report:
    last = [time.monotonic()]

    def report(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 10:
            last[0] = time.monotonic()
            say(f"{what}: {done:,} of {total:,} {unit}")

    return report


class TrainingDisplay:
    """Draws a training run: columns/s, loss, score, time left. A context manager and a ``Reporter`` of training."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._last = 0.0

    def __enter__(self) -> "TrainingDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the display away; a later report brings it back. Two displays cannot stand at once."""
        if self._bar:
            self._bar.stop()
        self._bar = None

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
                   TextColumn("{task.fields[words]}"))  # fmt: skip
        self._bar = Progress(*columns, console=Console(stderr=True))
        self._bar.start()
        self._task = self._bar.add_task("training", total=None, words="")

    def progress(self, progress: Any) -> None:
        """See ``subgrid.training.progress.Reporter``."""
        words = [f"{progress.rate:,.0f} columns/s"]
        words += [f"loss {progress.loss:.4f}"] if progress.loss is not None else []
        words += [f"r2_294 {progress.score:.3f}"] if progress.score is not None else []
        words += [f"{duration(progress.seconds_left)} left"] if progress.seconds_left is not None else []
        text = ", ".join(words)
        if sys.stderr.isatty():
            if self._bar is None:
                self._open()
            stage = f"{progress.stage} {progress.sub_epoch}/{progress.sub_epochs}"
            self._bar.update(self._task, description=stage, completed=progress.rows, total=progress.total, words=text)
        elif time.monotonic() - self._last > 15:
            self._last = time.monotonic()
            say(f"{progress.stage}: {progress.rows:,} of {progress.total:,} rows, {text}")

    def notice(self, text: str) -> None:
        """See ``subgrid.training.progress.Reporter``."""
        say(text)
