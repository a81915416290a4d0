"""A build from a pair of arrays instead of raw steps: blocks of rows take the place of steps, all else is the same."""

from pathlib import Path

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.records.blueprint import Blueprint, BuildSettings
from subgrid.records.build import Prepared
from subgrid.records.plan import make_plan, read_plan
from subgrid.records.splits import parse_split
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.arrays import ArrayPair, blocks

_RULES = ("every", "rows")


def prepare_arrays(
    pair: ArrayPair,
    settings: BuildSettings,
    *,
    validation: str | None = None,
    grid: Path | None = None,
    plan: Path | None = None,
) -> Prepared:
    """What ``prepare`` does for raw steps. A block has as many rows as the grid has columns.

    In ClimSim's own pairs a block is a step, whole; in others it is no more than that many rows.

    Raises:
        InputError: arrays that do not fit the variable set, or are no whole number of blocks; no grid.
        SettingsError: a validation rule that needs dates.
        DatasetError: the plan file is of other blocks.
    """
    if validation and validation.partition("=")[0] not in _RULES:
        raise SettingsError(f"--validation {validation}: arrays have no dates; expected every=5 or rows=N")
    frozen_grid = Grid.read(grid or pair.grid())
    rows, columns = pair.rows(variable_set(settings.variables)), frozen_grid.columns
    if not rows or rows % columns:
        raise InputError(
            f"{pair.url}: {rows} rows are no multiple of the {columns} columns of the grid; is it the grid of these "
            "rows?"
        )
    steps = blocks(rows, columns)
    made = make_plan(steps, parse_split(validation), columns)
    if plan is not None and plan.exists() and read_plan(plan).digest != made.digest:
        raise DatasetError(f"{plan}: the plan exists and is another one than these arrays make; name another file")
    return Prepared(pair, {step.label: step for step in steps}, Blueprint(settings, made, frozen_grid), plan)
