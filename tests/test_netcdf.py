"""netCDF files are read and written by one thread at a time: the library takes the process down otherwise."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray

from subgrid.netcdf import opened

THREADS = """
import sys, threading
import numpy as np
from subgrid.netcdf import opened

path, right = sys.argv[1], []

def work(number):
    for _ in range(60):
        with opened(path) as file:
            assert (file["x"][...] == np.arange(1000)).all()
        with opened("memory", memory=open(path, "rb").read()) as file:
            assert (file["x"][...] == np.arange(1000)).all()
        with opened(f"{path}-{number}", "w", format="NETCDF4") as file:
            file.createDimension("n", 10)
            file.createVariable("y", "f8", ("n",))[:] = number
    right.append(number)

threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(right))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.nc"
    xarray.Dataset({"x": ("n", np.arange(1000.0))}).to_netcdf(path, format="NETCDF4")
    return path


def test_eight_threads_read_and_write_at_once(file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", THREADS, str(file)], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "8\n"), done.stderr


def test_values_come_as_they_are_stored_and_the_file_is_closed(tmp_path: Path) -> None:
    """A value that equals the fill value is a number here, not masked."""
    path = tmp_path / "filled.nc"
    with opened(path, "w", format="NETCDF3_64BIT_DATA") as file:
        file.createDimension("n", 2)
        file.createVariable("x", "f8", ("n",), fill_value=7.0)[:] = [7.0, 1.0]
    with opened(path) as file:
        found = file["x"][...]
    assert not np.ma.isMaskedArray(found) and found.tolist() == [7.0, 1.0] and not file.isopen()


def test_one_may_be_opened_inside_another(file: Path, tmp_path: Path) -> None:
    with opened(file) as one, opened(tmp_path / "copy.nc", "w") as two:
        two.createDimension("n", 1000)
        two.createVariable("x", "f8", ("n",))[:] = one["x"][...]
    with opened(tmp_path / "copy.nc") as copy:
        assert copy["x"][3] == 3


def test_what_is_no_netcdf_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_text("no netCDF")
    with pytest.raises(OSError, match="Unknown file format"), opened(tmp_path / "a.nc"):
        pass
    with pytest.raises(FileNotFoundError), opened(tmp_path / "gone.nc"):
        pass
