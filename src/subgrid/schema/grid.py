"""The frozen grid: where columns stand, how large they are, and the hybrid levels that all of them share."""

from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from subgrid.errors import InputError
from subgrid.netcdf import opened
from subgrid.schema.variables import LEVELS

_COLUMN_FIELDS = ("lat", "lon", "area")
_LEVEL_FIELDS = {"hyam": LEVELS, "hybm": LEVELS, "hyai": LEVELS + 1, "hybi": LEVELS + 1}
_CHECKED_SURFACE_PRESSURES = (50_000.0, 105_000.0)  # Pa: lower than any real mountain top, higher than any real high


@dataclass(frozen=True, eq=False)
class Grid:
    """Columns and levels of a model; refuses values that cannot be a grid.

    Attributes:
        lat, lon: degrees north and east, float64 (column,).
        area: solid angle in sr, float64 (column,); sums to 4 pi.
        hyam, hybm: hybrid coefficients at layer midpoints, (60,).
        hyai, hybi: the same at layer interfaces, (61,); p = P0 * hyai + ps * hybi, interface 0 on top.
        P0: reference pressure in Pa.

    Raises:
        InputError: wrong sizes, non-finite values, interface pressure that does not increase downwards for surface
            pressures of 500 and 1,050 hPa, areas that do not add to 4 pi within 1e-6.
    """

    lat: np.ndarray
    lon: np.ndarray
    area: np.ndarray
    hyam: np.ndarray
    hybm: np.ndarray
    hyai: np.ndarray
    hybi: np.ndarray
    P0: float = 1e5

    def __post_init__(self) -> None:
        self._check_shapes()
        for surface_pressure in _CHECKED_SURFACE_PRESSURES:
            pressure = self.P0 * self.hyai + surface_pressure * self.hybi
            if not (np.diff(pressure) > 0).all() or pressure[0] < 0:
                interface = int(np.argmin(np.diff(pressure)))
                raise InputError(
                    f"grid: interface pressure must increase downwards, but for a surface pressure of "
                    f"{surface_pressure / 100:g} hPa it goes from {pressure[interface]:g} to "
                    f"{pressure[interface + 1]:g} Pa between interfaces {interface} and {interface + 1}"
                )
        if abs(total := float(self.area.sum()) / (4 * np.pi) - 1) > 1e-6 or (self.area <= 0).any():
            raise InputError(
                f"grid: the areas must be positive and add to 4 pi sr, found {self.area.sum():.9g} sr "
                f"(relative difference {total:.3g}); areas in m2 or per cent must be converted first"
            )

    def _check_shapes(self) -> None:
        for name in (*_COLUMN_FIELDS, *_LEVEL_FIELDS):
            values = np.array(getattr(self, name), dtype=np.float64)
            expected = (_LEVEL_FIELDS.get(name, np.size(self.lat)),)
            if values.shape != expected or not np.isfinite(values).all():
                raise InputError(f"grid: {name} must hold {expected[0]} finite values, found shape {values.shape}")
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        object.__setattr__(self, "P0", float(self.P0))
        if (np.abs(self.lat) > 90).any():
            raise InputError(f"grid: latitudes must lie within 90 degrees, found {np.abs(self.lat).max():g}")

    @property
    def columns(self) -> int:
        """How many columns one step of the model has."""
        return self.lat.size

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all numbers of the grid."""
        numbers = [np.ascontiguousarray(getattr(self, item.name), dtype="<f8") for item in fields(self)]
        return sha256(b"".join(values.tobytes() for values in numbers)).hexdigest()

    @classmethod
    def read(cls, path: str | Path) -> "Grid":
        """Read a ClimSim grid file or a ``grid.nc`` of ours (lat, lon, area, hyam, hybm, hyai, hybi, P0)."""
        try:
            with opened(path) as file:
                missing = [item.name for item in fields(cls) if item.name not in file.variables]
                if missing:
                    raise InputError(
                        f"{path}: a grid file must hold {', '.join(missing)}; found {list(file.variables)}"
                    )
                return cls(**{item.name: file[item.name][...] for item in fields(cls)})
        except OSError as error:
            raise InputError(f"{path}: cannot be read as a netCDF grid file ({error})") from error
        except InputError as error:
            raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error

    def write(self, path: str | Path) -> None:
        """Write the grid as a small NetCDF file with units, readable by xarray."""
        with opened(path, "w", format="NETCDF3_64BIT_DATA") as file:
            for name, size in (("ncol", self.columns), ("lev", LEVELS), ("ilev", LEVELS + 1)):
                file.createDimension(name, size)
            dimensions = dict.fromkeys(_COLUMN_FIELDS, ("ncol",)) | {"P0": ()}
            dimensions |= {name: ("ilev",) if size > LEVELS else ("lev",) for name, size in _LEVEL_FIELDS.items()}
            units = {"lat": "degrees_north", "lon": "degrees_east", "area": "sr", "P0": "Pa"}
            for item in fields(self):
                entry = file.createVariable(item.name, "f8", dimensions[item.name])
                entry.units = units.get(item.name, "1")
                entry[...] = getattr(self, item.name)
