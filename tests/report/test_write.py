"""Writing a report: the page last, strangers' files left alone, a failing figure leaves the old report as it was."""

import os
import signal
from pathlib import Path

import pytest

from subgrid.errors import DatasetError, SubgridError
from subgrid.report import write
from subgrid.report.plates import DrawnPlate, Plate, Section, draw
from subgrid.report.subjects import Progress
from subgrid.report.write import ReportSettings, write_report


@pytest.fixture
def first_plates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first plate of each section: all of them are drawn in the browser's test."""
    whole = write.sections

    def few(cases) -> list[Section]:  # noqa: ANN001
        return [Section(one.id, one.title, one.intro, one.plates[:1]) for one in whole(cases)[:2]]

    monkeypatch.setattr(write, "sections", few)


def test_what_cannot_be_shown_leaves_no_folder(tmp_path: Path, silent: Progress) -> None:
    with pytest.raises(DatasetError):
        write_report(tmp_path / "report", [str(tmp_path / "no run")], ReportSettings(), silent)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("first_plates")
def test_a_report_is_a_page_and_its_figures(work: Path, tmp_path: Path, silent: Progress) -> None:
    out = tmp_path / "report"
    page = write_report(out, [str(work)], ReportSettings(title="Mine"), silent)
    assert page == out / "index.html"
    assert "<h1>Mine</h1>" in page.read_text()
    assert sorted(path.name for path in (out / "figures").iterdir())[:2] == ["r2-by-variable.pdf", "r2-by-variable.png"]
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [".lock"]
    (out / "figures" / "stale.png").touch()
    write_report(out, [str(work)], ReportSettings(), silent)
    assert not (out / "figures" / "stale.png").exists()


@pytest.mark.usefixtures("first_plates")
def test_a_failing_figure_is_named_and_the_old_report_stays(
    work: Path, tmp_path: Path, silent: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    before = write_report(out, [str(work)], ReportSettings(), silent).read_text()

    def broken(*_: object) -> None:
        raise RuntimeError("out of ink")

    monkeypatch.setattr("subgrid.report.contents.zonal.zonal_r2", broken)
    with pytest.raises(SubgridError, match=r"'zonal-r2-.*' .*could not be drawn: RuntimeError: out of ink"):
        write_report(out, [str(work)], ReportSettings(title="new"), silent)
    assert (out / "index.html").read_text() == before
    assert (out / "figures" / "r2-by-variable.png").exists()


@pytest.mark.usefixtures("first_plates")
def test_ctrl_c_waits_for_the_end_of_a_figure_and_leaves_the_old_report(
    work: Path, tmp_path: Path, silent: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, drawn = tmp_path / "report", []
    before = write_report(out, [str(work)], ReportSettings(), silent).read_text()

    def interrupted(plate: Plate, folder: Path) -> DrawnPlate:
        os.kill(os.getpid(), signal.SIGINT)
        drawn.append(draw(plate, folder))
        return drawn[-1]

    monkeypatch.setattr(write, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(out, [str(work)], ReportSettings(title="new"), silent)
    assert len(drawn) == 1
    assert (out / "index.html").read_text() == before
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [".lock"]


def test_foreign_folders_are_left_alone(work: Path, tmp_path: Path, silent: Progress) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DatasetError, match=r"expected a new folder or a report for OUT, found thesis.tex"):
        write_report(tmp_path, [str(work)], ReportSettings(), silent)
    with pytest.raises(DatasetError, match="found a file"):
        write_report(tmp_path / "thesis.tex", [str(work)], ReportSettings(), silent)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
