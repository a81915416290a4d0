"""A made-up planet: coasts, mountains and travelling waves, all smooth functions of place drawn from one seed.

A world holds some columns of a grid. Every value follows from a column's latitude and longitude and the time alone, so
columns can be taken in parts, and the same seed gives the same planet on every grid.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from subgrid.schema.grid import Grid
from subgrid.source.steps import DAY

_WAVES = 56
_COAST_WAVES = 12


@dataclass(frozen=True)
class Spectrum:
    """One weather field: its share of every plane wave, how it turns with height (rad per ln p) and time (rad/s)."""

    amplitude: np.ndarray
    upwards: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray

    @classmethod
    def draw(cls, generator: np.random.Generator, along: np.ndarray) -> Self:
        """More power in long waves; three of four travel eastwards, with periods of 2 to 12 days; unit variance."""
        upwards = generator.normal(0.0, 1.0, along.size) * generator.choice([1.0, 3.0, 8.0], along.size)
        amplitude = along**-0.3 * (1.0 + 0.5 * np.abs(upwards)) ** -0.5
        period = generator.uniform(2.0, 12.0, along.size) * DAY * generator.choice([1.0, 1.0, 1.0, -1.0], along.size)
        return cls(
            amplitude=amplitude * np.sqrt(2.0 / np.sum(amplitude**2)),
            upwards=upwards,
            frequency=2.0 * np.pi / period,
            phase=generator.uniform(0.0, 2.0 * np.pi, along.size),
        )

    def on_levels(self, seconds: float, zeta: np.ndarray) -> np.ndarray:
        """What multiplies cos and sin of the horizontal phase of the waves: (2 waves, level), ``zeta`` = ln(p / P0)."""
        turned = self.upwards[:, None] * zeta + (self.phase - np.mod(self.frequency * seconds, 2.0 * np.pi))[:, None]
        amplitude = self.amplitude[:, None]
        return np.concatenate([amplitude * np.cos(turned), -amplitude * np.sin(turned)])


@dataclass(frozen=True)
class World:
    """Columns of the planet: place in degrees, land fraction, ground height in m, and the waves of the weather.

    ``waves`` is (column, 2 waves): cos and sin of m lon + n lat for every plane wave, shared by all fields.
    """

    grid: Grid
    lat: np.ndarray
    lon: np.ndarray
    land: np.ndarray
    height: np.ndarray
    waves: np.ndarray
    fields: dict[str, Spectrum]

    @classmethod
    def make(cls, grid: Grid, seed: int) -> Self:
        """The planet of that seed on that grid: about a third land, an ice cap in the far south, hills inland."""
        generator = np.random.default_rng([seed, 0x5B])
        along, across = generator.integers(1, 21, _WAVES), generator.integers(-9, 10, _WAVES)
        names = ("temperature", "humidity", "zonal", "meridional", "ascent", "pressure", "stirring", "cloud")
        fields = {name: Spectrum.draw(generator, along) for name in names}
        waves = _plane_waves(grid, along, across)
        coast = _plane_waves(grid, generator.integers(1, 5, _COAST_WAVES), generator.integers(-4, 5, _COAST_WAVES))
        shape = coast @ generator.normal(0.0, _COAST_WAVES**-0.5, 2 * _COAST_WAVES)
        rough = waves @ generator.normal(0.0, _WAVES**-0.5, 2 * _WAVES)
        cap = np.clip((-grid.lat - 68.0) / 6.0, 0.0, 1.0)
        land = np.maximum(np.clip((shape - 0.5) / 0.4, 0.0, 1.0), cap)
        height = land * (200.0 + 350.0 * np.maximum(rough, 0.0) ** 2) + 2000.0 * cap
        return cls(grid, grid.lat, grid.lon, land, np.minimum(height, 2800.0), waves, fields)

    def columns(self, part: slice) -> Self:
        """The same planet for some of the columns."""
        names = ("lat", "lon", "land", "height", "waves")
        return replace(self, **{name: getattr(self, name)[part] for name in names})

    @property
    def nominal_pressure(self) -> np.ndarray:
        """Pressure of the levels over ground at P0, in Pa, (60,)."""
        return self.grid.P0 * (self.grid.hyam + self.grid.hybm)

    def weather(self, name: str, seconds: float) -> np.ndarray:
        """A field of unit variance, (column, 60): sum of a cos(m lon + n lat + k zeta - w t + phase) over the waves."""
        return self.waves @ self.fields[name].on_levels(seconds, np.log(self.nominal_pressure / self.grid.P0))

    def weather_at_ground(self, name: str, seconds: float) -> np.ndarray:
        """The same field at the ground alone, (column,)."""
        return (self.waves @ self.fields[name].on_levels(seconds, np.zeros(1)))[:, 0]


def _plane_waves(grid: Grid, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    phase = np.radians(grid.lon)[:, None] * along + np.radians(grid.lat)[:, None] * across
    return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
