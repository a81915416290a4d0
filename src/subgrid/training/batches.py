"""From a batch of stored rows to what a step needs: encoded inputs, normalised targets, where and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import tau
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from subgrid.model.emulator import Emulator
from subgrid.records.reader import Batch
from subgrid.schema.grid import Grid
from subgrid.training.losses import Goal

DAY = 86_400
YEAR = 365 * DAY


@dataclass(frozen=True, eq=False)
class Origin:
    """What is to be known of a data set that rows come from.

    Attributes:
        grid: where its columns stand; None where space and time are not trained.
        clip: r of the soft clip of its targets, 0 for none (see ``TargetTransform.normalise``).
    """

    grid: Grid | None
    clip: float = 0.0


class Prepared(NamedTuple):
    """A batch on the device of the network: encoded inputs, float32 (batch, level, channel), and the goal."""

    inputs: Tensor
    goal: Goal

    def pieces(self, count: int) -> "list[Prepared]":
        """The batch in so many equal pieces, in order; ``count`` divides its rows."""
        if count == 1:
            return [self]
        parts = [[None] * count if item is None else item.chunk(count) for item in (self.inputs, *self.goal)]
        return [Prepared(inputs, Goal(*goal)) for inputs, *goal in zip(*parts, strict=True)]


def space_time(time: np.ndarray, column: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The six auxiliary targets of each row and whether they are known.

    lat / 90, lon / 180 - 1, sin and cos of the phase of the day, sin and cos of the phase of the year; phases are
    2 pi x (time mod 86,400 s) / 86,400 s and 2 pi x (time mod 365 d) / 365 d.

    Args:
        time: seconds since 0001-01-01 without leap years, int64 (row,); -1 where unknown.
        column: index into the grid, int (row,); -1 where unknown.
        grid: where the columns stand.

    Returns:
        float64 (row, 6), 0 where time or column is unknown, and bool (row,).
    """
    known = (time >= 0) & (column >= 0)
    place = np.where(known, column, 0)
    day, year = tau * (time % DAY) / DAY, tau * (time % YEAR) / YEAR
    values = [
        grid.lat[place] / 90.0,
        grid.lon[place] / 180.0 - 1.0,
        np.sin(day),
        np.cos(day),
        np.sin(year),
        np.cos(year),
    ]
    return np.where(known[:, None], np.stack(values, axis=1), 0.0), known


def prepare(batch: Batch, emulator: Emulator, origins: Sequence[Origin]) -> Prepared:
    """Encode inputs and normalise targets of a batch on the emulator's device; space-time goals if grids are given.

    Nothing here is learnt, and nothing refers to the memory of the batch afterwards.

    Args:
        batch: rows whose ``origin`` is a place in ``origins``.
        emulator: what encodes and normalises.
        origins: the data sets that rows come from; all with a grid, or none.
    """
    with torch.no_grad():
        device = emulator.device
        inputs = emulator.encoder(torch.from_numpy(batch.inputs).to(device))
        stored = torch.from_numpy(batch.targets).to(device)
        targets = emulator.targets.normalise(stored, _clips(batch.origin, origins, device))
        if origins[0].grid is None:
            return Prepared(inputs, Goal(targets))
        values, known = _places(batch, origins)
        goal = Goal(
            targets,
            torch.from_numpy(values).to(device, torch.float32),
            torch.from_numpy(known).to(device, torch.float32),
        )
        return Prepared(inputs, goal)


def _clips(origin: np.ndarray, origins: Sequence[Origin], device: torch.device) -> Tensor | None:
    """r of the soft clip of each row, float32 (row,), 0 for none; None where no data set asks for it."""
    clips = np.array([item.clip for item in origins], dtype=np.float32)
    return torch.from_numpy(clips[origin]).to(device) if clips.any() else None


def _places(batch: Batch, origins: Sequence[Origin]) -> tuple[np.ndarray, np.ndarray]:
    """``space_time`` of a batch, each row on the grid of its own data set."""
    values, known = np.empty((len(batch.row), 6)), np.empty(len(batch.row), dtype=bool)
    for number, item in enumerate(origins):
        rows = batch.origin == number
        assert item.grid is not None
        values[rows], known[rows] = space_time(batch.time[rows], batch.column[rows], item.grid)
    return values, known
