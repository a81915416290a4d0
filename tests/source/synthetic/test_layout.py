"""The bytes of a step file, read back by netCDF4 and by our own header reader."""

from pathlib import Path

import netCDF4
import numpy as np

from subgrid.source.synthetic.layout import write_step


def test_netcdf4_reads_back_every_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    variables = {
        "ymd": np.array(10203),
        "odd_name": rng.normal(size=5),
        "profile": rng.normal(size=(5, 60)) * 1e-58,
        "tod": np.array(1200),
        "last": np.array([0.0, -0.0, 1e-316, 1e30, np.pi]),
    }
    write_step(tmp_path / "step.nc", variables, {"calendar": "NO_LEAP", "title": "odd", "seed": 7})
    with netCDF4.Dataset(tmp_path / "step.nc") as file:
        file.set_auto_mask(False)
        assert file.data_model == "NETCDF3_64BIT_DATA" and list(file.variables) == list(variables)
        assert (file.calendar, file.title, file.seed) == ("NO_LEAP", "odd", 7)
        assert {name: len(size) for name, size in file.dimensions.items()} == {"ncol": 5, "lev": 60}
        assert file["profile"].dimensions == ("lev", "ncol")
        for name, values in variables.items():
            assert np.asarray(file[name][...]).T.tobytes() == np.asarray(values).astype(file[name].dtype).tobytes()


def test_the_file_is_as_long_as_its_header_says(synthetic_source: Path) -> None:
    path = next(synthetic_source.glob("train/*/*.mli.*.nc"))
    with netCDF4.Dataset(path) as file:
        data = sum(item.size * item.dtype.itemsize for item in file.variables.values())
    header = path.stat().st_size - data
    assert 1_000 < header < 4_000
