"""Grid files as they come from elsewhere."""

from pathlib import Path

import numpy as np

from subgrid.errors import InputError
from subgrid.schema.grid import Grid
from subgrid.source.cdf5 import HeaderReader, UnsupportedError


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
