"""The build against the common way, one core each; the second core; what statistics cost.

The common way is a few lines of our own that do what climsim_utils does: xarray opens each pair of files, tendencies
are computed, variables stacked to rows, rows concatenated and saved as npy. Both end with synced files. Raw files are
read once before, so both find them warm.

    python benchmarks/build.py SOURCE            a folder of raw steps with its grid file
    python benchmarks/build.py SOURCE --copies 8 --repeats 5

SOURCE's complete steps are linked under other years, so that a build takes long enough to be timed.
"""

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr

from machine import alternate, describe, summary
from subgrid.records import group
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Running, build, find_grid, prepare
from subgrid.schema.variable_sets import variable_set
from subgrid.source.locations import Location
from subgrid.source.steps import list_steps

VARIABLES = variable_set("kaggle")


def linked(source: Path, out: Path, copies: int) -> int:
    """Link the complete steps of a source under other years; returns the number of steps."""
    location = Location(str(source))
    steps = [step for step in list_steps(location) if step.mlo]
    for year in range(1, copies + 1):
        for step in steps:
            label = f"{year:04d}{step.label[4:]}"
            folder = out / "train" / label[:7]
            folder.mkdir(parents=True, exist_ok=True)
            for kind, name in (("mli", step.mli), ("mlo", step.mlo)):
                os.symlink((source / name).resolve(), folder / f"E3SM-MMF.{kind}.{label}.nc")
    shutil.copy(location.local(find_grid(location)), out)
    return len(steps) * copies


def common_way(source: Path, out: Path) -> None:
    """xarray a file, merge, stack, npy."""
    inputs, targets = [], []
    for step in list_steps(Location(str(source))):
        before = xr.open_dataset(source / step.mli, engine="netcdf4")
        after = xr.open_dataset(source / step.mlo, engine="netcdf4")
        for item in VARIABLES.targets:
            if item.state:
                after[item.name] = (after[item.state] - before[item.state]) / 1200
        for found, chosen, rows in ((before, VARIABLES.inputs, inputs), (after, VARIABLES.targets, targets)):
            stacked = found[[item.name for item in chosen]].to_stacked_array("column", sample_dims=["ncol"])
            rows.append(stacked.values)
    for name, rows in (("inputs", inputs), ("targets", targets)):
        with open(out / f"{name}.npy", "wb") as file:
            np.save(file, np.concatenate(rows))
            os.fsync(file.fileno())


@contextmanager
def without_statistics() -> Iterator[None]:
    """A build whose groups do not measure what they store."""
    measure = group._measure
    group._measure = lambda *_: None
    try:
        yield
    finally:
        group._measure = measure


class Bench:
    """One source, many builds into fresh folders."""

    def __init__(self, source: Path, columns: int, scratch: Path) -> None:
        self.source, self.columns, self.scratch = source, columns, scratch

    @contextmanager
    def _fresh(self) -> Iterator[Path]:
        out = Path(tempfile.mkdtemp(dir=self.scratch))
        yield out
        shutil.rmtree(out)

    def subgrid(self, workers: int = 1) -> float:
        with self._fresh() as out:
            start = time.perf_counter()
            ready = prepare(Location(str(self.source)), BuildSettings())
            build(ready, out / "data", Running(workers=workers))
            return self.columns / (time.perf_counter() - start)

    def cpu_seconds(self) -> float:
        with self._fresh() as out:
            start = resource.getrusage(resource.RUSAGE_SELF)
            ready = prepare(Location(str(self.source)), BuildSettings())
            build(ready, out / "data")
            end = resource.getrusage(resource.RUSAGE_SELF)
            return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime

    def cpu_seconds_without(self) -> float:
        with without_statistics():
            return self.cpu_seconds()

    def common(self) -> float:
        with self._fresh() as out:
            start = time.perf_counter()
            common_way(self.source, out)
            return self.columns / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--copies", type=int, default=8, help="of the source's steps for our build")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scratch", type=Path, default=None, help="where to build; default the temporary folder")
    arguments = parser.parse_args()
    print(describe("numpy", "xarray", "netCDF4", "google-crc32c"))
    cores = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        many, few = Path(scratch) / "many", Path(scratch) / "few"
        grid = prepare(Location(str(arguments.source)), BuildSettings()).blueprint.grid.columns
        ours = Bench(many, linked(arguments.source, many, arguments.copies) * grid, Path(scratch))
        theirs = Bench(few, linked(arguments.source, few, 1) * grid, Path(scratch))
        print(f"{ours.columns:,} columns for subgrid, {theirs.columns:,} for the common way; raw files warm")
        ours.subgrid()
        os.sched_setaffinity(0, {min(cores)})
        single = alternate({"common": theirs.common, "one": ours.subgrid}, arguments.repeats)
        costs = alternate({"with": ours.cpu_seconds, "without": ours.cpu_seconds_without}, arguments.repeats)
        os.sched_setaffinity(0, cores)
        double = alternate({"two": lambda: ours.subgrid(workers=2)}, arguments.repeats)
    one = statistics.median(single["one"])
    print(summary("common way, one core", single["common"], statistics.median(single["common"])))
    print(summary("subgrid, one core", single["one"], statistics.median(single["common"])))
    print(summary("subgrid, two workers, two cores", double["two"], one) + " of one core")
    measured, bare = statistics.median(costs["with"]), statistics.median(costs["without"])
    print(f"statistics: {measured:.2f} s CPU with, {bare:.2f} s without: {measured / bare:.2f} x")


if __name__ == "__main__":
    main()
