"""The frozen grid: what it takes from real files, and what it refuses to be."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from subgrid.errors import InputError
from subgrid.schema.grid import Grid

FIELDS = [item.name for item in fields(Grid)]


def numbers(columns: int = 6) -> dict[str, np.ndarray]:
    """A made-up grid: pressure levels above, terrain-following ones below."""
    eta = np.linspace(0.001, 1.0, 61)
    hybi = np.clip((eta - 0.3) / 0.7, 0.0, None)
    hyai = eta - hybi
    return {
        "lat": np.linspace(-80, 80, columns),
        "lon": np.linspace(0, 300, columns),
        "area": np.full(columns, 4 * np.pi / columns),
        "hyam": (hyai[1:] + hyai[:-1]) / 2,
        "hybm": (hybi[1:] + hybi[:-1]) / 2,
        "hyai": hyai,
        "hybi": hybi,
    }


def put(name: str, place: int, value: float) -> dict[str, np.ndarray]:
    """The made-up grid with one other number."""
    arrays = numbers()
    arrays[name][place] = value
    return arrays


def test_both_real_grids_are_those_of_their_files(climsim: Path) -> None:
    for resolution, columns in (("low", 384), ("high", 21_600)):
        path = climsim / f"ClimSim_{resolution}-res" / f"ClimSim_{resolution}-res_grid-info.nc"
        grid = Grid.read(path)
        assert grid.columns == columns
        with xr.open_dataset(path) as file:
            for name in FIELDS:
                np.testing.assert_array_equal(getattr(grid, name), file[name].values)
        assert grid.P0 == 1e5 and grid.hybi[:23].max() == 0 and grid.hybi[23] > 0
        assert np.abs(grid.lat).max() < 90 and grid.area.sum() == pytest.approx(4 * np.pi, rel=1e-6)


def test_a_written_grid_is_read_back_to_the_bit(climsim: Path, tmp_path: Path) -> None:
    made = Grid(**numbers(), P0=99_000.0)
    for grid in (Grid.read(climsim / "ClimSim_low-res" / "ClimSim_low-res_grid-info.nc"), made):
        grid.write(tmp_path / "grid.nc")
        found = Grid.read(tmp_path / "grid.nc")
        assert all(np.asarray(getattr(found, n)).tobytes() == np.asarray(getattr(grid, n)).tobytes() for n in FIELDS)
        assert found.digest == grid.digest
    with xr.open_dataset(tmp_path / "grid.nc") as file:
        assert [file[name].attrs["units"] for name in ("lat", "lon", "area", "P0")] == [
            *("degrees_north", "degrees_east", "sr", "Pa"),
        ]
        assert file.P0 == 99_000 and file.hyai.sizes == {"ilev": 61} and file.lat.sizes == {"ncol": 6}


def test_digests_tell_grids_apart() -> None:
    whole = Grid(**numbers())
    assert whole.digest == Grid(**numbers()).digest and len(whole.digest) == 64
    others = [put(name, 3, np.nextafter(numbers()[name][3], 1e9)) for name in FIELDS if name != "P0"]
    digests = {Grid(**arrays).digest for arrays in others} | {Grid(**numbers(), P0=np.nextafter(1e5, 2e5)).digest}
    assert len(digests) == 8 and whole.digest not in digests


def test_a_grid_cannot_be_changed() -> None:
    arrays = numbers()
    grid = Grid(**arrays)
    with pytest.raises(ValueError, match="read-only"):
        grid.lat[0] = 0.0
    with pytest.raises(FrozenInstanceError):
        grid.lat = arrays["lat"]
    arrays["lat"][0] = 7.0
    assert grid.lat[0] == -80.0 and Grid(**{name: values.astype("f4") for name, values in put("lat", 0, 1).items()})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (numbers() | {"hyam": np.linspace(0, 1, 59)}, r"hyam must hold 60 finite values, found shape \(59,\)"),
        (numbers() | {"hybi": np.linspace(0, 1, 60)}, r"hybi must hold 61 finite values, found shape \(60,\)"),
        (numbers() | {"lon": np.zeros(5)}, r"lon must hold 6 finite values, found shape \(5,\)"),
        (numbers() | {"area": np.full((6, 1), 4 * np.pi / 6)}, r"area must hold 6 finite values"),
        (numbers() | {"lat": np.zeros((2, 3))}, "lat must hold 6 finite values"),
        (put("lat", 2, np.nan), "lat must hold 6 finite values"),
        (put("hyai", 9, np.inf), "hyai must hold 61 finite values"),
        (put("lat", 2, 90.5), "latitudes must lie within 90 degrees, found 90.5"),
        (
            put("hyai", 10, 0.05),
            "interface pressure must increase downwards, .* 500 hPa .* between interfaces 9 and 10",
        ),
        (put("hybi", 60, 0.2), "surface pressure of 500 hPa"),
        (put("hyai", 0, -0.01), "interface pressure must increase downwards"),
        (numbers() | {"hyai": numbers()["hyai"][::-1], "hybi": numbers()["hybi"][::-1]}, "must increase downwards"),
        (numbers() | {"area": np.full(6, 1 / 6)}, "must be positive and add to 4 pi sr, found 1 sr"),
        (numbers() | {"area": np.full(6, 4 * np.pi / 6 * (1 + 2e-6))}, "relative difference 2e-06"),
        (numbers() | {"area": np.array([8, -2, 1, 1, 1, 4 * np.pi - 9])}, "areas must be positive"),
        (numbers() | {"P0": 0.0}, "must increase downwards"),
        (numbers() | {"P0": np.nan}, "must increase downwards"),
    ],
)
def test_what_cannot_be_a_grid_is_refused(arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid(**arrays)


def test_pressure_that_only_a_high_turns_around_is_refused() -> None:
    """Increasing at 500 hPa, decreasing at 1,050 hPa: both ends of what mountains and weather do are looked at."""
    arrays = numbers()
    arrays["hybi"] = np.linspace(0, 1, 61)
    arrays["hyai"] = np.linspace(0, 0.2, 61)
    arrays["hybi"][30], arrays["hyai"][30] = arrays["hybi"][31] + 0.004, arrays["hyai"][31] - 0.003
    with pytest.raises(InputError, match="surface pressure of 1050 hPa"):
        Grid(**arrays)


def test_a_file_that_is_no_grid_is_named(tmp_path: Path) -> None:
    path = tmp_path / "grid.nc"
    with pytest.raises(InputError, match=r"grid\.nc: cannot be read as a netCDF grid file"):
        Grid.read(path)
    path.write_bytes(b"lat,lon\n0,0\n")
    with pytest.raises(InputError, match=r"grid\.nc: cannot be read as a netCDF grid file"):
        Grid.read(path)
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("ncol", 2)
        file.createVariable("lat", "f8", ("ncol",))
    with pytest.raises(InputError, match=r"grid\.nc: a grid file must hold lon, area, .*; found \['lat'\]"):
        Grid.read(path)
    Grid(**numbers()).write(path)
    with netCDF4.Dataset(path, "a") as file:
        file["area"][0] = 100.0
    with pytest.raises(InputError, match=r"^.*grid\.nc: grid: the areas must be positive"):
        Grid.read(path)


def test_a_grid_file_cut_in_half_is_refused(climsim: Path, tmp_path: Path) -> None:
    whole = (climsim / "ClimSim_low-res" / "ClimSim_low-res_grid-info.nc").read_bytes()
    path = tmp_path / "grid.nc"
    for size in (len(whole) // 2, len(whole) // 4, 1000, 10):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"grid\.nc"):
            Grid.read(path)
