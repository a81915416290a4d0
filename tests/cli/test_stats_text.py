"""What ``subgrid stats --compare`` prints, for people and as JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

from subgrid.cli.stats_text import difference_text, show
from subgrid.records.reader import Dataset
from subgrid.statistics.table import Table, write_tables

FOUND = {
    "other": "tables", "split": "training", "left_out": {"output_scale.nc": "it holds factors"},
    "tables": [{
        "files": ["input_mean.nc"], "pooled": False, "filled": {"cam_in_SNOWHICE": ("std", "max")},
        "largest": {"state_t": {"mean": 0.25, "std": None, "min": None, "max": None}},
        "not_held": ("ptend_t", "ptend_u"), "not_ours": ("state_rh",),
    }],
}  # fmt: skip


def test_what_is_not_held_is_said() -> None:
    assert difference_text(FOUND).splitlines() == [
        "input_mean.nc (by levels)",
        "largest relative difference  mean  std  min  max",
        "state_t                      0.25  -    -    -",
        "not held there: ptend_t, ptend_u",
        "only there: state_rh",
        "cam_in_SNOWHICE: the std, max there count fill values in; not compared",
        "",
        "output_scale.nc is not compared: it holds factors",
    ]


def test_a_table_of_ours_needs_no_heading(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = Dataset.open(work / "data")
    show(data.table("training"), "validation", str(work / "data"), False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["largest", "relative", "difference", "mean", "std", "min", "max"]
    assert len(lines) == 1 + len(data.variables.inputs) + len(data.variables.targets)
    assert any(float(line.split()[1]) > 0 for line in lines[1:])


def test_what_one_side_has_not_seen_is_text_in_json(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Dataset.open(work / "data").table("training")
    write_tables(tmp_path / "empty.nc", {"training": Table.zero(table.variables)})
    show(table, "training", str(tmp_path / "empty.nc"), True)
    (found,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["tables"]
    assert found["largest"]["state_t"]["min"] == "inf" and found["not_held"] == []


def test_moments_as_json(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = Dataset.open(work / "data").table("training")
    show(table, "training", None, True)
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["constant"]) == (table.rows, table.constant_columns())
    (row,) = [one for one in found["variables"] if one["variable"] == "state_ps"]
    assert row["mean"] == pytest.approx(float(np.mean(table.per_variable()["state_ps"][1].mean)))
