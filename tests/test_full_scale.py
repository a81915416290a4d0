"""The commands of docs/full-scale.md, run as they stand there with small numbers; and the numbers of its table."""

import importlib.util
import json
import math
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from subgrid.recipe import Recipe
from subgrid.records.draws import Draw
from subgrid.records.plan import group_count
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify

CHAIN = """
model: {name: mlp, layers: [8]}
training: {rows: 16, sub_epochs: 2, batch: 8, window: 2, precision: 32-true, threads: 1, device: cpu}
"""
ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "full-scale.md").read_text()
STRIDE = 3968
MEASURED = {
    *("merge", "disk of a download, one of 32 parts", "memory of a download", "memory of a merge"),
    *("memory of publishing", "scratch of a merge, of publishing"),
}
"""Rows of the table that its command does not print."""


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
            ["bash", "-e", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300,
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
def test_parts_of_a_download_hold_the_steps_of_the_parts_of_a_build(shell, hub: Any, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """From a hub on loopback: nine whole steps in three parts, which join into one folder; and a build of it."""
    small = with_values(block("# download"), RAW="raw", END="0001-02", PARTS=3)
    shell(small)
    assert json.loads((tmp_path / "download.json").read_text())["commit"] == hub.commit
    fetched = {path.name for path in (tmp_path / "raw").rglob("*.ml?.*.nc")}
    assert len(fetched) == 2 * 9 and fetched < {name.rpartition("/")[2] for name in hub.files}
    sent = dict(hub.sent)
    shell(small)
    assert {name: hub.sent[name] for name in sent if "train/" in name} == {
        name: size for name, size in sent.items() if "train/" in name
    }, "what is there is not fetched again"
    shell(small.replace("$RAW --plan download.json --part", "$RAW-$i --plan download.json --part"))
    for part in (1, 2, 3):
        names = sorted(path.name for path in (tmp_path / f"raw-{part}").rglob("*.mlo.*.nc"))
        assert names == sorted(path.name for path in (tmp_path / "raw").rglob("*.mlo.*.nc"))[part - 1 :: 3]


@pytest.mark.slow
def test_what_is_built_is_published_and_trained_on(shell, thirteen_shards: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "data").symlink_to(thirteen_shards)
    (tmp_path / "small.yaml").write_text(CHAIN)
    shell(with_values(block("# publish"), SETS=2, TARGET="published", RECIPE="small.yaml"))
    whole, sets = Dataset.open(thirteen_shards), [Dataset.open(tmp_path / "sets" / f"{k}-of-2") for k in (1, 2)]
    assert sum(one.rows("training") for one in sets) == whole.rows("training")
    metadata = json.loads((tmp_path / "sets" / "2-of-2" / "dataset-metadata.json").read_text())
    assert metadata["id"] == "owner/low-res-2-of-2"
    assert Dataset.open(tmp_path / "published").digest == whole.digest
    assert (tmp_path / "run" / "latest").exists()


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


def numbers_of_a_column(source: Path) -> int:
    """Float64 numbers of a column in a step's two files: what they hold beside their dates, counted in one."""
    mlo = next(source.rglob("*.mlo.*.nc"))
    found = 0
    for path in (mlo, mlo.with_name(mlo.name.replace(".mlo.", ".mli."))):
        with netCDF4.Dataset(path) as file:
            columns = len(file.dimensions["ncol"])
            shapes = [item.shape for item in file.variables.values() if item.dtype == np.float64]
        found += sum(math.prod(shape) for shape in shapes) // columns
    return found


def test_a_step_is_as_large_as_the_real_files_say(real_source: Path, synthetic_source: Path) -> None:
    """From 384 columns to 21,600: the numbers of a column are the same, and headers are next to nothing."""
    mlo = next(real_source.rglob("*.mlo.*.nc"))
    step = sum(path.stat().st_size for path in (mlo, mlo.with_name(mlo.name.replace(".mlo.", ".mli."))))
    assert step == pytest.approx(8 * numbers_of_a_column(synthetic_source) * 384, rel=2e-3)
    assert step * 210_240 == pytest.approx(number(column(1)["raw bytes"]), rel=2e-3)
    assert step * 21_600 / 384 * 210_240 == pytest.approx(number(column(4)["raw bytes"]), rel=3e-3)


def test_the_page_on_downloads_has_the_same_sizes() -> None:
    page = (ROOT / "docs" / "download.md").read_text()
    pattern = r"^\| `LEAP/(ClimSim_(?:low|high)-res)` \| [\d,]+ \| ([\d.]+) MB \| .*?, ([\d.]+ GB) \| (.*?) \|$"
    rows = re.findall(pattern, page, re.MULTILINE)
    assert [row[0] for row in rows] == ["ClimSim_low-res", "ClimSim_high-res"]
    for (_, step, month, whole), place in zip(rows, (1, 4), strict=True):
        assert whole == column(place)["raw bytes"]
        assert float(step) * 1e6 * 210_240 == pytest.approx(number(whole), rel=0.02)
        assert number(month) == pytest.approx(number(whole) / 210_240 * 2232, rel=0.02)
    per_step = {number(column(place)["raw bytes"]) / number(column(place)["raw steps"]) for place in (3, 4)}
    assert max(per_step) == pytest.approx(min(per_step), rel=5e-3)
    introduction = PAGE.split("## ")[0]
    assert all(column(place)["raw bytes"] in introduction for place in (1, 4))


@pytest.mark.parametrize(
    ("place", "steps", "columns", "span", "rate"),
    [(1, 210_240, 384, 0, 40_684), (2, -(-210_240 // 7), 384, 0, 40_684),
     (3, Draw.parse("44x5x100").count, 21_600, 100, 19_000), (4, 210_240, 21_600, 100, 19_000)],
)  # fmt: skip
def test_the_table_follows_from_its_assumptions(
    place: int, steps: int, columns: int, span: int, rate: int, synthetic_source: Path
) -> None:
    found, rows = column(place), steps * columns
    raw = 8 * numbers_of_a_column(synthetic_source) * columns * steps
    groups = group_count(steps, columns * STRIDE, 64_000_000, span)
    shards = number(found["shards of 64 MB"])
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
        "cache of a training process, two windows": 2 * Recipe().training.window * rows * STRIDE / shards,
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
        assert set(column(place)) - set(found) == MEASURED


def peak_of(*command: object) -> float:
    """Largest anonymous memory of a command while it runs, bytes."""
    process = subprocess.Popen([sys.executable, "-m", "subgrid", *map(str, command)], stderr=subprocess.DEVNULL)
    largest = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon")]
        largest = max([largest, *found])
        time.sleep(0.01)
    assert process.returncode == 0
    return largest


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to look at memory")
def test_a_build_of_many_steps_keeps_nothing_of_their_rows(synthetic_source: Path, tmp_path: Path) -> None:
    """3,800 steps against 190, links under other years: what grows is names while they are listed, and the plan.

    Rows are 96 kB a step here. Some 1.1 kB grow, of which a half is the record of a shard; 2.0 kB with all names and
    reports kept.
    """
    raws = []
    for years in (10, 200):
        raws.append(tmp_path / f"raw-{years}")
        for path in synthetic_source.rglob("*.nc"):
            for year in range(1, 1 + years if "0001-" in path.name else 2):
                there = raws[-1] / path.relative_to(synthetic_source).as_posix().replace("0001-", f"{year:04d}-")
                there.parent.mkdir(parents=True, exist_ok=True)
                there.symlink_to(path)
    few, many = (peak_of("build", raw, tmp_path / f"data-{raw.name}", "--shard-size", "300KB") for raw in raws)
    assert many - few < 1600 * 20 * 190, f"{few / 1e6:.1f} MB, {many / 1e6:.1f} MB"
