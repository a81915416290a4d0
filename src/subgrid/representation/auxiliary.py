"""The auxiliary data sets of ClimSim's competition, each a small self-describing NetCDF file:

grid.nc           latitude, longitude and area of the columns, hybrid coefficients of the levels
statistics.nc     count, mean, m2, min, max, std of every column, by level and pooled over levels
target_limits.nc  smallest and largest value of every target over all rows of all splits: ptend_t(limit, lev)
weights.nc        the competition's weights of the targets, the first and the final ones: ptend_t(weights, lev)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from subgrid import __version__
from subgrid.disk import LOCK
from subgrid.errors import DatasetError, SettingsError
from subgrid.netcdf import opened
from subgrid.records.files import PARTIAL, write_whole
from subgrid.records.reader import Dataset
from subgrid.representation.targets import old_weights
from subgrid.schema.variable_sets import VariableSet, scored_columns
from subgrid.schema.variables import LEVELS
from subgrid.statistics.table import Table, write_tables

FILES = ("grid.nc", "statistics.nc", "target_limits.nc", "weights.nc")
_LIMITS = ("minimum", "maximum")
_WEIGHTS = ("first", "final")


def write_auxiliary(out: Path, datasets: Sequence[Dataset], tables: Mapping[str, Table]) -> list[Path]:
    """Write the files into the folder ``out``; returns their paths.

    Args:
        out: made if need be, or one that this function wrote, whose files are replaced.
        datasets: of one grid and one variable set; their rows are taken together.
        tables: what statistics.nc holds, by split.

    Raises DatasetError for data sets of different grids, SettingsError for a folder that holds something else.
    """
    refuse_other_folder(out)
    first = datasets[0]
    for other in datasets[1:]:
        if other.manifest.grid != first.manifest.grid:
            raise DatasetError(f"{other.folder}: stands on another grid than {first.folder}; give each a folder")
    attributes = {"data": " ".join(one.digest for one in datasets), "program": f"subgrid {__version__}"}
    variables = first.variables
    limits = np.stack(_limits([one.table(split) for one in datasets for split in one.splits]))
    weights = np.stack([old_weights(variables), scored_columns(variables).astype(np.float64)])
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "grid.nc", first.grid.write)
    write_whole(out / "statistics.nc", lambda aside: write_tables(aside, tables, attributes))
    title = "smallest and largest values of the targets over all rows"
    write_whole(
        out / "target_limits.nc",
        lambda aside: _write(aside, variables, ("limit", _LIMITS), limits, {"title": title, **attributes}),
    )
    title = "weights of the LEAP ClimSim competition: the first ones (about 1 / std), the final ones (0 or 1)"
    write_whole(
        out / "weights.nc",
        lambda aside: _write(aside, variables, ("weights", _WEIGHTS), weights, {"title": title}),
    )
    return [out / name for name in FILES]


def refuse_other_folder(out: Path) -> None:
    """Raise SettingsError unless a folder is new or holds nothing but files of ``write_auxiliary``."""
    if out.exists() and not out.is_dir():
        raise SettingsError(f"{out}: expected a folder, found a file; choose another name")
    found = {path.name for path in out.iterdir() if PARTIAL not in path.name} if out.exists() else set()
    if strangers := sorted(found - {*FILES, LOCK}):
        raise SettingsError(
            f"{out}: expected a new folder, or one with {', '.join(FILES)} and nothing else, found "
            f"{', '.join(strangers[:5])}; choose another one"
        )


def _limits(tables: Sequence[Table]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of every target column, (target_width,) each."""
    together = sum(tables[1:], tables[0]).targets
    return together.minimum, together.maximum


def _write(
    path: Path,
    variables: VariableSet,
    axis: tuple[str, tuple[str, ...]],
    values: np.ndarray,
    attributes: Mapping[str, str],
) -> None:
    """One variable a target, float64 (axis, lev) or (axis,), from ``values``, (axis, target_width)."""
    name, labels = axis
    with opened(path, "w", format="NETCDF4") as file:
        file.setncatts({**attributes, "variable_set": variables.name})
        file.createDimension(name, len(labels))
        file.createVariable(name, str, (name,))[:] = np.array(labels, dtype=object)
        file.createDimension("lev", LEVELS)
        for item in variables.targets:
            found = values[:, variables.target_slices[item.name]]
            entry = file.createVariable(item.name, "f8", (name, "lev") if item.levels > 1 else (name,))
            unit = item.unit if name == "limit" else "1"
            entry.setncatts({"units": unit, "long_name": item.meaning})
            entry[...] = found if item.levels > 1 else found[:, 0]
