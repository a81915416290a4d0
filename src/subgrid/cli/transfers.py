"""The display of a transfer: bytes, files, rate and time left, as a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from subgrid.cli.terminal import duration, say, size

if TYPE_CHECKING:
    from subgrid.source.hub.download import DownloadProgress

_LINE_EVERY = 15.0  # s, where there is no terminal


def words(progress: "DownloadProgress") -> str:
    """``1.2 GB of 6.7 GB, 812 of 4,464 files, 12.3 MB/s, 7:21 left``; rate and time left once something has come."""
    text = (
        f"{size(progress.bytes)} of {size(progress.total_bytes)}, {progress.files:,} of {progress.total_files:,} files"
    )
    if not progress.fetched:
        return text
    rate = progress.fetched / max(progress.seconds, 1e-3)
    left = max(0, progress.total_bytes - progress.bytes) / rate
    return f"{text}, {size(rate)}/s, {duration(left)} left"


@contextmanager
def transfers(what: str) -> Iterator[Callable[["DownloadProgress"], None]]:
    """Yields what is called with the progress of a transfer named ``what``."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn(what), BarColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None, words="")
        yield lambda now: bar.update(task, completed=now.bytes, total=now.total_bytes, words=words(now))


def _lines(what: str) -> Callable[["DownloadProgress"], None]:
    last = [time.monotonic()]

    def report(progress: "DownloadProgress") -> None:
        if time.monotonic() - last[0] > _LINE_EVERY:
            last[0] = time.monotonic()
            say(f"{what}: {words(progress)}")

    return report
