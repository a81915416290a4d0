"""Grid files as they come from elsewhere."""

from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from subgrid.errors import InputError
from subgrid.schema.grid import Grid
from subgrid.source.cdf5 import HeaderReader, UnsupportedError, header_of
from subgrid.source.locations import Location
from subgrid.source.steps import Step


def read_grid_file(path: str | Path) -> Grid:
    """The grid in a file, which is refused where it was cut short: netCDF reads what is missing as zeros.

    Raises InputError for a file that is not there, not whole, or holds no grid.
    """
    try:
        HeaderReader().read(np.fromfile(path, dtype=np.uint8))
    except (UnsupportedError, OSError):
        pass  # netCDF4, which opens it next, tells what is wrong with these
    except InputError as error:
        raise InputError(f"{path}: {error}; fetch the grid file anew") from error
    return Grid.read(path)


def grid_in(content: bytes, where: str) -> Grid:
    """The same of a file's content; ``where`` is for messages."""
    with TemporaryDirectory(prefix="subgrid-") as folder:
        path = Path(folder) / "grid.nc"
        path.write_bytes(content)
        try:
            return read_grid_file(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), where)) from error


def refuse_other_grid(source: Location, step: Step, grid: Grid) -> None:
    """Raise InputError where a step on this disk has other columns than the grid, which costs one header.

    Files elsewhere, and those whose header does not tell, are left to whoever reads them.
    """
    header = None if source.remote else header_of(source.local(step.mli))
    pressure = header.variables.get("state_ps") if header else None
    if pressure is not None and prod(pressure.shape) != grid.columns:
        raise InputError(
            f"{source.label(step.mli)}: has {prod(pressure.shape)} grid columns, the grid has {grid.columns}; name the "
            "grid file of these steps with --grid"
        )
