"""Writing a report: resolve, study, draw, render; the page comes last, so a page that is there is whole."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from subgrid.disk import locked
from subgrid.errors import DatasetError
from subgrid.records.files import PARTIAL, write_whole
from subgrid.report import FIGURES, PAGE, PREDICTIONS
from subgrid.report.cases import same_targets, study
from subgrid.report.contents import plates, sections
from subgrid.report.page import render
from subgrid.report.plates import draw
from subgrid.report.subjects import Progress, resolve
from subgrid.training.interruption import interruption


@dataclass(frozen=True)
class ReportSettings:
    """What can be chosen.

    Attributes:
        truth: a data set or raw steps to judge by, for all; None takes what each was predicted from.
        title: of the page.
    """

    truth: str | None = None
    title: str = "Emulator report"


def write_report(out: Path, arguments: Sequence[str], settings: ReportSettings, progress: Progress) -> Path:
    """Write ``out/index.html`` and ``out/figures`` on runs and predictions; the page's path.

    Args:
        out: a new folder, or one that holds a report, which is replaced.
        arguments: ``RUN``, ``RUN@NAME``, ``PREDICTION`` or a folder of ``subgrid run``, each also as ``NAME=PATH``.
        settings: truth and title.
        progress: opens a display for a stage.

    Raises:
        DatasetError, SettingsError, InputError: what cannot be read, found or compared; SettingsError also where
            another process writes a report into ``out``.
        SubgridError: a figure that cannot be drawn, by name.
        KeyboardInterrupt, SystemExit: Ctrl-C or SIGTERM, after the figure under way.
    """
    refuse_foreign(out)
    with locked(out):
        return _write(out, arguments, settings, progress)


def _write(out: Path, arguments: Sequence[str], settings: ReportSettings, progress: Progress) -> Path:
    subjects = resolve(arguments, settings.truth, out, progress)
    cases = [study(subject, progress) for subject in subjects]
    same_targets(cases)
    found = sections(cases)
    aside = out / f".{FIGURES}{PARTIAL}new"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / FIGURES).mkdir(parents=True)
    try:
        drawn, total = [], len(list(plates(found)))
        # Ctrl-C waits for the end of a figure: raised inside matplotlib, a callback of its may swallow it.
        with progress("draw", "figures") as report, interruption() as asked:
            for plate in plates(found):
                drawn.append(draw(plate, aside / FIGURES))
                report(len(drawn), total)
                if asked:
                    raise asked.wish.end()
        text = render(settings.title, cases, found, {one.plate.name: one for one in drawn})
        shutil.rmtree(out / FIGURES, ignore_errors=True)
        (aside / FIGURES).rename(out / FIGURES)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    write_whole(out / PAGE, lambda path: path.write_text(text, encoding="utf-8"))
    return out / PAGE


def refuse_foreign(out: Path) -> None:
    """Raise DatasetError where ``out`` is a file or holds something else than a report."""
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: expected a folder for the report, found a file; choose another OUT")
    ours = {PAGE, FIGURES, PREDICTIONS}
    strangers = sorted(
        path.name for path in (out.iterdir() if out.exists() else ()) if path.name not in ours and path.name[0] != "."
    )
    if strangers:
        raise DatasetError(
            f"{out}: expected a new folder or a report for OUT, found {', '.join(strangers[:5])}; choose another OUT"
        )
