"""study.jsonl: one line a run, whatever was killed, and never a line of another run."""

import json
from pathlib import Path
from typing import Any

import pytest

from subgrid.errors import SettingsError
from subgrid.study import ledger


def line(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "recipe": "r", "data": "d", "status": "done", **more}


def names(out: Path) -> list[str]:
    return [json.loads(text)["name"] for text in (out / "study.jsonl").read_text().splitlines()]


def test_half_a_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    ledger.add_line(tmp_path, line("a"))
    whole = (tmp_path / "study.jsonl").read_text()
    for end in range(len(whole) + 1):
        (tmp_path / "study.jsonl").write_text(whole + whole[:end].replace('"a"', '"b"'))
        ledger.add_line(tmp_path, line("c"))
        assert names(tmp_path) == (["a", "c"] if end < len(whole) else ["a", "b", "c"])
    (tmp_path / "study.jsonl").write_text(whole[:10])
    ledger.add_line(tmp_path, line("c"))
    assert names(tmp_path) == ["c"]


def test_a_run_has_one_line(tmp_path: Path) -> None:
    for status in ("failed", "done"):
        for name in "ab":
            ledger.add_line(tmp_path, line(name, status=status))
    assert names(tmp_path) == ["a", "b"]
    assert {json.loads(text)["status"] for text in (tmp_path / "study.jsonl").read_text().splitlines()} == {"done"}


def test_the_failed_can_be_forgotten(tmp_path: Path) -> None:
    for name, status in (("a", "failed"), ("b", "done"), ("c", "failed")):
        ledger.add_line(tmp_path, line(name, status=status))
    ledger.drop_failed(tmp_path)
    assert names(tmp_path) == ["b"]


def test_lines_are_of_the_study_s_own_runs(planned, tmp_path: Path) -> None:
    _, (run,) = planned("seeds: [0]")
    assert ledger.read_lines(tmp_path, [run], "d") == {}
    for name in ("base.seed-0", "gone.seed-0"):
        ledger.add_line(tmp_path, line(name, recipe=run.digest))
    assert list(ledger.read_lines(tmp_path, [run], "d")) == ["base.seed-0"]
    with pytest.raises(SettingsError, match=r"base.seed-0 was run with another data \(d, now e\); choose"):
        ledger.read_lines(tmp_path, [run], "e")
    _, (other,) = planned("seeds: [0]\nset: {training.rows: 48}")
    with pytest.raises(SettingsError, match="base.seed-0 was run with another recipe"):
        ledger.read_lines(tmp_path, [other], "d")
