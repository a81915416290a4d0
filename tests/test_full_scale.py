"""The commands of docs/full-scale.md, run as they stand there with small numbers; and the numbers of its table."""

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from subgrid.records.draws import Draw
from subgrid.records.plan import group_count
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "full-scale.md").read_text()
STRIDE = 3968


def block(mark: str) -> str:
    """The block of commands that holds a word."""
    return next(code for code in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if mark in code)


def with_values(code: str, **values: object) -> str:
    """A block with other values of its variables; each must be there."""
    for name, value in values.items():
        code, count = re.subn(rf"\b{name}=\S+", f"{name}={value}", code)
        assert count == 1, name
    return code


@pytest.fixture
def shell(tmp_path: Path) -> "type[subprocess.CompletedProcess[str]]":
    """Runs a block in ``tmp_path``, where ``subgrid`` and ``srun`` are commands."""
    for name, line in {"subgrid": f'exec "{sys.executable}" -m subgrid "$@"', "srun": 'exec "$@"'}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(code: str, **environment: str) -> str:
        search = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "PATH": search, **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run  # type: ignore[return-value]


@pytest.mark.slow
def test_parts_and_sets_of_the_low_resolution(shell, synthetic_source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    small = block("# low-resolution").replace("subgrid build", "subgrid build --shard-size 150kB")
    shell(with_values(small, SOURCE=synthetic_source, PARTS=4))
    shell(with_values(block("# sets"), PARTS=4, SETS=2))
    whole, one, two = (Dataset.open(tmp_path / name) for name in ("data", "set-1", "set-2"))
    assert verify(tmp_path / "data") == [] and whole.rows("training") == 19 * 24
    assert set(one.manifest.shards) | set(two.manifest.shards) == set(whole.manifest.shards)
    assert one.rows("training") + two.rows("training") == 19 * 24
    array = with_values(block("#SBATCH"), SOURCE=synthetic_source, OUT="shared").replace(
        "subgrid build", "subgrid build --shard-size 150kB"
    )
    for task in ("2", "1"):
        shell(array, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
    assert Dataset.open(tmp_path / "shared").digest == whole.digest


@pytest.mark.slow
def test_a_draw_of_the_high_resolution(shell, synthetic_source: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shell(with_values(block("# high-resolution"), SOURCE=synthetic_source, OUT="high", DRAW="3x2x3", PARTS=3))
    assert len(json.loads((tmp_path / "high-res.json").read_text())["steps"]["training"]) == 18
    dataset = Dataset.open(tmp_path / "high")
    assert dataset.rows("training") == 18 * 24 and len(dataset.manifest.shards) == 6


def column(place: int) -> dict[str, str]:
    """One column of the table by the names of its rows."""
    table = PAGE.split("## What it takes")[1].split("\n\n")[1].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0]: row[place] for row in cells}


def number(text: str) -> float:
    """A cell in units of 1: 1.89 TB, 5,024."""
    value, _, unit = text.replace(",", "").partition(" ")
    return float(value) * {"": 1.0, "GB": 1e9, "TB": 1e12}[unit]


@pytest.mark.parametrize(
    ("place", "steps", "columns", "span", "rate"),
    [(1, 210_240, 384, 0, 40_684), (2, -(-210_240 // 7), 384, 0, 40_684),
     (3, Draw.parse("44x5x100").count, 21_600, 100, 19_000), (4, 210_240, 21_600, 100, 19_000)],
)  # fmt: skip
def test_the_table_follows_from_its_assumptions(place: int, steps: int, columns: int, span: int, rate: int) -> None:
    found, rows = column(place), steps * columns
    raw = {384: 637e9, 21_600: 41.2e12}[columns] * steps / 210_240
    groups = group_count(steps, columns * STRIDE, 64_000_000, span)
    expected = {
        "raw steps": steps,
        "raw bytes": raw,
        "rows": rows,
        "data set, float32": rows * STRIDE,
        "groups": groups,
        "fetch, hours": raw / 1e8 / 3600,
        "encode, hours of one core": rows / rate / 3600,
        "upload of the data set, hours": rows * STRIDE / 1e8 / 3600,
        "scratch of a worker, output to a URL": 2 * -(-steps // groups) * columns * STRIDE,
    }
    for name, value in expected.items():
        assert number(found[name]) == pytest.approx(value, rel=0.06), name


def test_the_table_is_what_its_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """benchmarks/full_scale.py, with the rates that stand there; how long a merge takes is no arithmetic."""
    spec = importlib.util.spec_from_file_location("full_scale", ROOT / "benchmarks" / "full_scale.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["full_scale"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rates = {384: 40_684, 21_600: 19_000}
    for place, case in enumerate(module.CASES, 1):
        found = module.column(case, rates[case.columns], 1e8)
        assert {**column(place), **found} == column(place)
        assert set(column(place)) - set(found) == {"merge"}
