"""The synthetic climate as files of ClimSim's layout, written so that stopping at any moment leaves only whole ones.

    OUT/synthetic.json               the settings: OUT belongs to them, running again with the same goes on
    OUT/synthetic_grid-info.nc       the grid
    OUT/train/YYYY-MM/E3SM-MMF.mli.YYYY-MM-DD-SSSSS.nc    and .mlo. beside it

A written step is the end of a run of ``spin_up`` steps from the reference state; steps closer together than that follow
from one another, and an ``mli`` file is all it takes to go on from it. Either way a step depends on the settings alone.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

import subgrid
from subgrid.disk import LOCK, locked
from subgrid.errors import DatasetError, SubgridError
from subgrid.netcdf import opened
from subgrid.physics.pressure import midpoint_pressure
from subgrid.schema.grid import Grid
from subgrid.schema.variables import TIME_STEP
from subgrid.source.grids import read_grid_file
from subgrid.source.steps import label_of, time_of
from subgrid.source.synthetic.climate import advance, observe, parts, spun_up
from subgrid.source.synthetic.grid import fibonacci_grid
from subgrid.source.synthetic.layout import write_step
from subgrid.source.synthetic.state import Boundary, Outputs, State
from subgrid.source.synthetic.world import World

GRID_FILE, SETTINGS_FILE = "synthetic_grid-info.nc", "synthetic.json"
_ASIDE = ".partial"

_INPUTS = [
    "cam_in_ALDIF",
    "cam_in_ALDIR",
    "cam_in_ASDIF",
    "cam_in_ASDIR",
    "cam_in_ICEFRAC",
    "cam_in_LANDFRAC",
    "cam_in_LWUP",
    "cam_in_OCNFRAC",
    "cam_in_SNOWHICE",
    "cam_in_SNOWHLAND",
    "pbuf_COSZRS",
    "pbuf_LHFLX",
    "pbuf_SHFLX",
    "pbuf_SOLIN",
    "pbuf_TAUX",
    "pbuf_TAUY",
    "state_pmid",
    "state_ps",
    "state_q0001",
    "state_q0002",
    "state_q0003",
    "state_t",
    "state_u",
    "state_v",
    "pbuf_CH4",
    "pbuf_N2O",
    "pbuf_ozone",
]
_OUTPUTS = [
    "cam_out_FLWDS",
    "cam_out_NETSW",
    "cam_out_PRECC",
    "cam_out_PRECSC",
    "cam_out_SOLL",
    "cam_out_SOLLD",
    "cam_out_SOLS",
    "cam_out_SOLSD",
    "state_q0001",
    "state_q0002",
    "state_q0003",
    "state_t",
    "state_u",
    "state_v",
]


class SyntheticSettings(BaseModel):
    """Which climate to make, and which of its steps to write.

    Attributes:
        steps: how many steps to write.
        columns: size of the Fibonacci grid; not used with ``grid``.
        grid: a grid file to use instead.
        seed: draws coasts and weather; the same seed is the same planet on every grid.
        start: date of the first written step, YYYY[-MM[-DD[-SSSSS]]] without leap years.
        stride: steps of 1,200 s from one written step to the next; 437 is 6 days and 5 steps, so that 60 written steps
            span a year and come to every time of day.
        missing_mlo: of how many written steps to leave out the ``mlo``, as happens in real data.
        spin_up: steps of model time before a written step, unless it follows from the one before it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[int, Field(ge=1)] = 60
    columns: Annotated[int, Field(ge=2)] = 384
    grid: Path | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    start: str = "0001-02-01"
    stride: Annotated[int, Field(ge=1)] = 437
    missing_mlo: Annotated[int, Field(ge=0)] = 0
    spin_up: Annotated[int, Field(ge=0)] = 12

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.missing_mlo > self.steps:
            raise ValueError(f"missing_mlo must not exceed steps, found {self.missing_mlo} of {self.steps}")
        return self

    def times(self) -> list[int]:
        """Seconds since 0001-01-01 of the written steps."""
        first = time_of(self.start)
        return [first + index * self.stride * TIME_STEP for index in range(self.steps)]

    def lacking(self) -> set[int]:
        """Places of the steps without ``mlo``: evenly spread."""
        return {(2 * index + 1) * self.steps // (2 * self.missing_mlo) for index in range(self.missing_mlo)}


def write_climate(
    out: str | Path, settings: SyntheticSettings | None = None, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write the steps that ``settings`` name below ``out``; those already there are kept.

    ``progress(done, all)`` is called after every step. Memory: one step of all columns.
    Raises DatasetError if ``out`` holds something else, InputError for a bad grid file, SettingsError for a bad date or
    where another process writes there, SubgridError where the disk is full.
    """
    settings = settings or SyntheticSettings()
    out, times = Path(out), settings.times()
    grid = read_grid_file(settings.grid) if settings.grid else fibonacci_grid(settings.columns)
    try:
        _refuse_strangers(out)
        with locked(out):
            _claim(out, settings, grid)
            run = _Run(out, settings, World.make(grid, settings.seed))
            for index in range(len(times)):
                run.write(index)
                if progress:
                    progress(index + 1, len(times))
    except OSError as error:
        raise SubgridError(
            f"{out}: cannot be written ({error.strerror or error}); whole steps are kept: mend that and run the same "
            "command again"
        ) from error


def _refuse_strangers(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: expected a folder to write steps into, found a file")
    found = {item.name for item in out.iterdir() if item.suffix != _ASIDE} - {LOCK} if out.exists() else set()
    if found and SETTINGS_FILE not in found:
        raise DatasetError(f"{out}: is not empty and holds no {SETTINGS_FILE}; choose another folder")


def _claim(out: Path, settings: SyntheticSettings, grid: Grid) -> None:
    """Make ``out`` belong to these settings, or find that it does; it may grow by more steps."""
    record = settings.model_dump(mode="json", exclude={"grid"}) | {"grid": grid.digest, "version": subgrid.__version__}
    where = out / SETTINGS_FILE
    if where.exists():
        found = _recorded(where)
        kept = found if settings.missing_mlo else found | {"steps": settings.steps}  # a longer or a shorter run
        if kept != record:
            differing = sorted(name for name in record if found.get(name) != record[name])
            raise DatasetError(
                f"{out}: holds a synthetic climate made with other settings ({', '.join(differing)} differ); "
                f"choose another folder, or delete this one"
            )
    _replace(where, lambda path: path.write_text(json.dumps(record, indent=2) + "\n"))
    _replace(out / GRID_FILE, grid.write)


def _recorded(where: Path) -> dict[str, object]:
    try:
        return dict(json.loads(where.read_text()))
    except (ValueError, TypeError) as error:
        raise DatasetError(
            f"{where}: is not the JSON object that subgrid writes ({error}); delete the folder"
        ) from error


@dataclass
class _Run:
    """Writing in progress; ``last`` is the newest step in memory: its place and its state before physics."""

    out: Path
    settings: SyntheticSettings
    world: World
    last: tuple[int, State] | None = None

    def write(self, index: int) -> None:
        """Write the files of one step unless they are there."""
        time = self.settings.times()[index]
        outputs_wanted = index not in self.settings.lacking()
        mli, mlo = self.path(time, "mli"), self.path(time, "mlo")
        if mli.exists() and (mlo.exists() or not outputs_wanted):
            return
        pieces = list(self._pieces(index, time))
        state, inputs, after, outputs = (type(items[0]).join(list(items)) for items in zip(*pieces, strict=True))
        self.last = index, state
        pressure = midpoint_pressure(self.world.grid, inputs.surface_pressure)
        mli.parent.mkdir(parents=True, exist_ok=True)
        if outputs_wanted:
            self._store(mlo, after.variables() | outputs.variables(), _OUTPUTS, time)
        self._store(mli, inputs.variables() | state.variables() | {"state_pmid": pressure}, _INPUTS, time)

    def path(self, time: int, kind: str) -> Path:
        """Where a file of a step stands."""
        label = label_of(time)
        return self.out / "train" / label[:7] / f"E3SM-MMF.{kind}.{label}.nc"

    def _pieces(self, index: int, time: int) -> Iterator[tuple[State, Boundary, State, Outputs]]:
        """All that a step writes, for some columns after the others."""
        follows = index > 0 and self.settings.stride <= self.settings.spin_up
        before = self._previous(index) if follows else None
        for part in parts(self.world.grid.columns):
            world = self.world.columns(part)
            if before is None:
                state = spun_up(world, time, self.settings.spin_up)
            else:
                start = time - self.settings.stride * TIME_STEP
                state = advance(world, before.columns(part), start, self.settings.stride)
            inputs, after, outputs = observe(world, state, time)
            yield state, inputs, after, outputs

    def _previous(self, index: int) -> State:
        if self.last is not None and self.last[0] == index - 1:
            return self.last[1]
        return _read_state(self.path(self.settings.times()[index - 1], "mli"))

    def _store(self, path: Path, variables: dict[str, np.ndarray], names: list[str], time: int) -> None:
        label = label_of(time)
        scalars = {"ymd": np.array(int(label[:10].replace("-", ""))), "tod": np.array(int(label[11:]))}
        attributes: dict[str, str | int] = {
            "calendar": "NO_LEAP",
            "title": "synthetic: made up by subgrid's small climate model, not ClimSim data",
            "source": f"subgrid {subgrid.__version__} synthetic climate",
            "seed": self.settings.seed,
        }
        whole = scalars | {name: variables[name] for name in names}
        _replace(path, lambda aside: write_step(aside, whole, attributes))


def _read_state(path: Path) -> State:
    with opened(path) as file:
        names = State.names()
        return State.of({name: file[name][...].T for name in names})


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write aside, sync, rename: the name appears with the whole file behind it."""
    aside = path.with_name(path.name + _ASIDE)
    write(aside)
    with aside.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(aside, path)
