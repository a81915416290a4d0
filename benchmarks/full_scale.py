"""The table of docs/full-scale.md: bytes, hours, memory and scratch space of each stage at full scale.

Counts, memory and scratch space are those of ``subgrid build --dry-run``, for plans of as many steps as the public data
have, on a grid with as many columns. Hours are bytes or rows by a rate that stands here or is given:

    python benchmarks/full_scale.py --low 40684 --high 19000 --transfer 100MB

The rates of encoding are columns a second of one core: ``benchmarks/build.py`` measures the first.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from subgrid.records.blueprint import Blueprint, BuildSettings
from subgrid.records.build import Estimate, Prepared, estimate
from subgrid.records.draws import Draw
from subgrid.records.files import parse_size
from subgrid.records.plan import Plan
from subgrid.source.locations import Location
from subgrid.source.steps import label_of, time_of
from subgrid.source.synthetic.grid import fibonacci_grid

STEPS = 210_240
"""Of the training part, 0001-02 to 0009-01."""
NUMBERS = {"mli": 617, "mlo": 368}
"""Float64 numbers of a column in the two files of a step: what ClimSim's files hold, in both resolutions."""
HEADERS = 3_516
"""Bytes of both headers, with the date inside."""
WINDOW = 16
"""Shards that a run reads at the same time: ``training.window`` of the recipes."""


@dataclass(frozen=True)
class Case:
    """A column of the table: its heading, how many steps of a grid, and the span of the build."""

    heading: str
    steps: int
    columns: int
    span: int


CASES = (
    Case("low resolution, training part", STEPS, 384, 0),
    Case("a seventh of it (`--stride 7`)", -(-STEPS // 7), 384, 0),
    Case("high resolution, 44 x 5 x 100", Draw.parse("44x5x100").count, 21_600, 100),
    Case("high resolution, all", STEPS, 21_600, 100),
)


def raw_bytes(steps: int, columns: int) -> int:
    """Bytes of the files of steps."""
    return (8 * sum(NUMBERS.values()) * columns + HEADERS) * steps


def plan_of(case: Case, source: str, out: str) -> Estimate:
    """What the build would take."""
    first = time_of("0001-02")
    plan = Plan(tuple(label_of(first + 1200 * step) for step in range(case.steps)), ())
    blueprint = Blueprint(BuildSettings(span=case.span), plan, fibonacci_grid(case.columns))
    return estimate(Prepared(Location(source), {}, blueprint), out, Path.cwd())


def column(case: Case, rate: float, transfer: float) -> dict[str, str]:
    """The cells of a case, by what they say."""
    local, remote = plan_of(case, "raw", "out"), plan_of(case, "memory://raw", "memory://out")
    raw, rows = raw_bytes(case.steps, case.columns), local.rows["training"]
    return {
        "raw steps": f"{case.steps:,}",
        "raw bytes": size(raw),
        "rows": f"{rows:,}",
        "data set, float32": size(local.bytes),
        "groups": f"{local.groups['training']:,}",
        "shards of 64 MB": f"{local.shards['training']:,}",
        "fetch, hours": hours(raw / transfer),
        "encode, hours of one core": hours(rows / rate),
        "upload of the data set, hours": hours(local.bytes / transfer),
        "memory of a worker, local": size(local.memory),
        "memory of a worker, raw from a URL": size(remote.memory),
        "scratch of a worker, output to a URL": size(remote.scratch),
        "cache of a training process, two windows": size(2 * WINDOW * local.bytes / local.shards["training"]),
    }


def size(count: float) -> str:
    """Three digits in TB or GB."""
    return f"{count / 1e12:.3g} TB" if count >= 1e12 else f"{count / 1e9:.3g} GB"


def hours(seconds: float) -> str:
    """Two digits, whole hours from ten on."""
    found = seconds / 3600
    return f"{found:.0f}" if found >= 10 else f"{found:.2g}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--low", type=float, default=40_684, help="columns encoded a second, low resolution")
    parser.add_argument("--high", type=float, default=19_000, help="columns encoded a second, high resolution")
    parser.add_argument("--transfer", type=parse_size, default="100MB", help="bytes a second, each way")
    given = parser.parse_args()
    rates = {384: given.low, 21_600: given.high}
    cells = [column(case, rates[case.columns], given.transfer) for case in CASES]
    print("| |", *(f" {case.heading} |" for case in CASES), sep="")
    print("|---|", *("---|" for _ in CASES), sep="")
    for name in cells[0]:
        print(f"| {name} |", *(f" {one[name]} |" for one in cells), sep="")


if __name__ == "__main__":
    main()
