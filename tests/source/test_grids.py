"""Grid files that are whole, cut short, or no grid."""

from pathlib import Path

import pytest

from subgrid.errors import InputError
from subgrid.schema.grid import Grid
from subgrid.source.grids import read_grid_file
from subgrid.source.synthetic.grid import fibonacci_grid


def test_a_whole_one_is_read(tmp_path: Path) -> None:
    grid = fibonacci_grid(24)
    grid.write(tmp_path / "grid.nc")
    assert read_grid_file(tmp_path / "grid.nc").digest == grid.digest


@pytest.mark.parametrize("lost", [5, 100, 900, 1_500])
def test_one_that_was_cut_short_is_refused(lost: int, tmp_path: Path) -> None:
    """netCDF4 opens it without a word and reads zeros."""
    path = tmp_path / "grid.nc"
    fibonacci_grid(24).write(path)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(InputError, match=r"grid\.nc: the file (is cut short|ends inside its header)"):
        read_grid_file(path)


@pytest.mark.parametrize("content", [b"", b"<html>", None])
def test_what_is_no_netcdf_file_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "grid.nc").write_bytes(content)
    with pytest.raises(InputError, match=r"grid\.nc: cannot be read as a netCDF grid file"):
        read_grid_file(tmp_path / "grid.nc")


def test_the_published_grids_are_whole(climsim: Path) -> None:
    for path in climsim.glob("ClimSim_*/*_grid-info.nc"):
        assert read_grid_file(path).digest == Grid.read(path).digest
