"""Metrics are whole lines, and are cut where a run goes on."""

import json
from pathlib import Path

import pytest

from subgrid.errors import SubgridError
from subgrid.training import metrics


def write(path: Path) -> None:
    for sub_epoch in (1, 2, 3):
        metrics.append(path, {"event": "sub_epoch", "sub_epoch": sub_epoch, "rows": 10 * sub_epoch})
    metrics.append(path, {"event": "finished", "rows": 30})


@pytest.mark.parametrize(("sub_epochs", "finished", "left"), [(0, True, 0), (2, False, 2), (3, False, 3), (3, True, 4)])
def test_later_lines_are_dropped(tmp_path: Path, sub_epochs: int, finished: bool, left: int) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path)
    before = path.read_text().splitlines()
    kept = metrics.cut(path, sub_epochs, finished)
    assert path.read_text().splitlines() == before[:left] == [json.dumps(line) for line in kept]
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path)
    text = path.read_text()
    for end in range(len(text)):
        path.write_text(text[:end])
        metrics.cut(path, 3, finished=True)
        assert path.read_text() == text[: text.rfind("\n", 0, end) + 1]


def test_nothing_happens_without_a_file(tmp_path: Path) -> None:
    assert metrics.cut(tmp_path / "metrics.jsonl", 3) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_finite_becomes_null(tmp_path: Path) -> None:
    metrics.append(tmp_path / "m", {"rows": 1, "loss": {"total": float("nan")}, "r2": float("-inf")})
    assert json.loads((tmp_path / "m").read_text()) == {"rows": 1, "loss": {"total": None}, "r2": None}


def test_a_disk_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(SubgridError, match="metrics of rows 5"):
        metrics.append(tmp_path / "absent" / "m", {"rows": 5})


def test_lines_of_sub_epochs_are_without_the_last_line_and_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert metrics.sub_epochs(path) == []
    write(path)
    path.write_text(path.read_text() + '{"event": "sub_ep')
    assert [line["rows"] for line in metrics.sub_epochs(path)] == [10, 20, 30]
