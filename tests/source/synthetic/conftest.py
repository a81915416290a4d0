"""A small state of the synthetic climate, and steps of both worlds read without our own reader."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.schema.grid import Grid
from subgrid.source.synthetic import Boundary, State, World, boundary, fibonacci_grid, spun_up

TIME = 86_400 * 40 + 36_000


@dataclass(frozen=True)
class Case:
    """A world, its state at a time, and the boundary inputs there."""

    world: World
    state: State
    boundary: Boundary

    @property
    def grid(self) -> Grid:
        return self.world.grid


@pytest.fixture(scope="session")
def case() -> Case:
    world = World.make(fibonacci_grid(96), seed=3)
    state = spun_up(world, TIME, 4)
    return Case(world, state, boundary(world, state, TIME))


def read(path: Path) -> dict[str, np.ndarray]:
    """All variables of a file through netCDF4: (column,), (column, 60) or a scalar."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return {name: np.asarray(item[...]).T for name, item in file.variables.items()}


def pairs_below(source: Path) -> list[tuple[Path, Path]]:
    found = [
        (mli, mli.with_name(mli.name.replace(".mli.", ".mlo."))) for mli in sorted(source.glob("train/*/*.mli.*.nc"))
    ]
    return [(mli, mlo) for mli, mlo in found if mlo.exists()]


@pytest.fixture(params=["real", "synthetic"])
def source(request: pytest.FixtureRequest) -> Path:
    """The real steps and the made-up ones, one after the other."""
    return request.getfixturevalue("real_source" if request.param == "real" else "synthetic_source")


@dataclass(frozen=True)
class Steps:
    """All pairs of a source: inputs and outputs by name, (step, column) or (step, column, 60)."""

    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]

    def tendency(self, name: str) -> np.ndarray:
        return (self.after[name] - self.before[name]) / 1200.0


def _stack(files: Iterator[Path]) -> dict[str, np.ndarray]:
    steps = [read(path) for path in files]
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}


@pytest.fixture(scope="session")
def load() -> Callable[[Path], Steps]:
    """Reads a source once a session; every third pair, to be quick."""
    known: dict[Path, Steps] = {}

    def get(source: Path) -> Steps:
        if source not in known:
            pairs = pairs_below(source)[::3]
            known[source] = Steps(_stack(mli for mli, _ in pairs), _stack(mlo for _, mlo in pairs))
        return known[source]

    return get


@pytest.fixture
def steps(source: Path, load: Callable[[Path], Steps]) -> Steps:
    return load(source)
