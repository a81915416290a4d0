"""Room for rows that must be unpacked before blocks of them can be read in any order: parquet does not allow it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from subgrid.records.blueprint import Blueprint
from subgrid.records.scratch import own_folder, refuse_small
from subgrid.records.workers import Meter
from subgrid.source.blocks import BlockSource
from subgrid.source.locations import Location, shown

BuildSource = Location | BlockSource
"""Where the steps of a build, or the blocks that take their place, come from."""


def unpacked_size(source: BuildSource, blueprint: Blueprint) -> tuple[int, int]:
    """Rows that must be unpacked, and the bytes that they take in scratch space; 0 and 0 for nearly all sources."""
    if not isinstance(source, BlockSource):
        return 0, 0
    rows = (len(blueprint.plan.training) + len(blueprint.plan.validation)) * blueprint.grid.columns
    size = source.unpacked_bytes(blueprint.variables, rows)
    return (rows if size else 0), size


@contextmanager
def unpacked(source: BuildSource, blueprint: Blueprint, scratch: Path | None, meter: Meter) -> Iterator[BuildSource]:
    """The source as its workers can read it; what was unpacked is removed in the end, also behind a killed process.

    Raises SubgridError, before anything is read, where scratch space is too small.
    """
    rows, size = unpacked_size(source, blueprint)
    if not size or not isinstance(source, BlockSource):
        yield source
        return
    parent = scratch or Path(gettempdir())
    refuse_small(
        parent, size, f"the rows of {shown(source.url)}, unpacked,", "another folder with --scratch, or take the csv"
    )
    known = 0

    def progress(done: int, total: int) -> None:
        nonlocal known
        meter.add(done - known)
        known = done

    with TemporaryDirectory(dir=own_folder(parent)) as folder:
        yield source.unpack(blueprint.variables, Path(folder) / "rows", progress)
