"""A build from arrays or a table instead of raw steps: blocks of rows take the place of steps, all else is the same."""

from dataclasses import replace
from pathlib import Path

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.blueprint import Blueprint, BuildSettings
from subgrid.records.build import Prepared
from subgrid.records.plan import make_plan, read_plan
from subgrid.records.splits import parse_split
from subgrid.schema.variable_sets import variable_set
from subgrid.source.arrays import ArrayPair, Normalisation
from subgrid.source.blocks import BlockSource, Report
from subgrid.source.grids import read_grid_file
from subgrid.source.locations import shown
from subgrid.source.table_rows import TableRows

_RULES = ("every", "rows")


def find_blocks(place: str, variables: str, normalised: Path | None = None) -> BlockSource | None:
    """The table or pair of arrays that a path or URL means; None for anything else.

    Args:
        place: path or URL.
        variables: name of the variable set.
        normalised: folder of the tables that a pair was normalised by.
    Raises SettingsError where tables are named and there is no pair, InputError for half a pair.
    """
    table = TableRows.find(place)
    pair = None if table else ArrayPair.find(place)
    if normalised is None:
        return table or pair
    if pair is None:
        raise SettingsError(
            f"--normalised {normalised}: is for arrays, and {shown(place)} is no pair NAME_input.npy, NAME_target.npy"
        )
    return replace(pair, normalisation=Normalisation.read(normalised, variable_set(variables)))


def prepare_blocks(
    source: BlockSource,
    settings: BuildSettings,
    *,
    validation: str | None = None,
    grid: Path | None = None,
    plan: Path | None = None,
    progress: Report | None = None,
) -> Prepared:
    """What ``prepare`` does for raw steps. A block has as many rows as the grid has columns.

    In ClimSim's own pairs and Kaggle's train.csv a block is a step, whole; in others it is no more than that many rows.
    ``progress`` is called with (bytes, bytes) of a csv file, which is read once to find its blocks.

    Raises:
        InputError: files that do not fit the variable set, or hold no whole number of blocks; no grid.
        SettingsError: a validation rule that needs dates.
        DatasetError: the plan file is of other blocks.
    """
    if validation and validation.partition("=")[0] not in _RULES:
        raise SettingsError(f"--validation {validation}: arrays and tables have no dates; expected every=5 or rows=N")
    frozen_grid = read_grid_file(grid or source.grid())
    steps = source.survey(variable_set(settings.variables), frozen_grid.columns, progress)
    made = make_plan(steps, parse_split(validation), frozen_grid.columns)
    if plan is not None and plan.exists() and read_plan(plan).digest != made.digest:
        raise DatasetError(f"{plan}: the plan exists and is another one than these rows make; name another file")
    return Prepared(source, {step.label: step for step in steps}, Blueprint(settings, made, frozen_grid), plan)
