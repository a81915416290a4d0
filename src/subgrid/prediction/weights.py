"""The competition's weights: they multiply the target columns of a submission and of the truth it is scored against.

*Old* (until 18 June 2024): 1 / max(std, 1e-15) of the training targets and 0 for the 60 columns that are not scored;
the published ones are 0 for ptend_q0002_12 ... 14 too. *New*: 1 for the 308 scored columns, 0 for the 60.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from subgrid.errors import InputError, SettingsError
from subgrid.records.files import write_whole
from subgrid.representation.targets import old_weights
from subgrid.schema.variable_sets import VariableSet, scored_columns
from subgrid.source.kaggle import SAMPLE_ID, KaggleTable
from subgrid.source.tables import is_table, open_table
from subgrid.statistics.table import Table

SMALLEST_STD = 1e-15
"""Standard deviations below it count as it, so no old weight is above 1e15."""

CAP = 1 / SMALLEST_STD
_SAME = 1e-6  # relative; samples were printed with all digits or with few
_HEADER = ["column", "weight"]

Kind = Literal["old", "new"]


def new_weights(variables: VariableSet) -> np.ndarray:
    """1 for the columns that the competition scores, else 0; float64 (target_width,)."""
    return scored_columns(variables).astype(np.float64)


def weights_of(table: Table) -> np.ndarray:
    """Weights of the old form from a data set's statistics, float64 (target_width,).

    1 / max(std, 1e-15) with the population standard deviation of each target, 0 for columns that are not scored.
    """
    return new_weights(table.variables) / np.maximum(table.targets.std, SMALLEST_STD)


def make_weights(variables: VariableSet, table: Table | None = None, new: bool = False) -> np.ndarray:
    """New weights, or old ones: of a table of statistics, else the published; float64 (target_width,)."""
    if new:
        return new_weights(variables)
    return old_weights(variables) if table is None else weights_of(table)


def read_weights(path: str, variables: VariableSet) -> np.ndarray:
    """Weights from a sample submission (.csv, .parquet: its first row) or from a file that ``write_weights`` wrote.

    Raises InputError for a file that is neither, or lacks columns of the set.
    """
    if is_table(path) and (path.lower().endswith(".parquet") or SAMPLE_ID in open_table(path).names):
        sample = KaggleTable(path)
        sample.expect(variables.target_columns, variables.target_columns)
        for chunk in sample.chunks(variables.target_columns):
            return chunk.values[0].copy()
        raise InputError(f"{path}: expected a sample submission, found one without rows")
    return _read_list(path, variables)


def _read_list(path: str, variables: VariableSet) -> np.ndarray:
    try:
        lines = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        header, *rows = csv.reader(lines)
        found = {name: float(weight) for name, weight in rows}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(
            f"{path}: expected a sample submission, or lines of a column and its weight ({error})"
        ) from error
    missing = [name for name in variables.target_columns if name not in found]
    foreign = [name for name in found if name not in variables.target_columns]
    if header != _HEADER or missing or foreign or len(found) != len(rows):
        raise InputError(
            f"{path}: expected a first line {','.join(_HEADER)} and one line for each of the {variables.target_width} "
            f"targets, found {len(rows)} lines; {len(missing)} targets are missing, {len(foreign)} names are foreign"
        )
    return np.array([found[name] for name in variables.target_columns])


def write_weights(path: Path, weights: np.ndarray, variables: VariableSet, origin: str) -> None:
    """Write a csv file of columns and weights, every digit kept, whole or not at all; its first line names ``origin``.

    Raises SettingsError where a file is there already that is not of this form.
    """
    if path.exists():
        try:
            _read_list(str(path), variables)
        except InputError as error:
            raise SettingsError(f"{path}: is there and is no file of weights; write to another file") from error
    text = io.StringIO()
    text.write(f"# Weights of the competition's target columns, {origin}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(zip(variables.target_columns, map(repr, weights.tolist()), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda aside: aside.write_text(text.getvalue(), encoding="utf-8"))


def kind_of(weights: np.ndarray, variables: VariableSet, where: str) -> Kind:
    """Which of the competition's two sets of weights these are; raises InputError that says what was found instead."""
    if np.array_equal(weights, new_weights(variables)):
        return "new"
    published = old_weights(variables)
    if np.allclose(weights, published, rtol=_SAME, atol=0):
        return "old"
    far = ~np.isclose(weights, published, rtol=_SAME, atol=0)
    first = int(np.flatnonzero(far)[0])
    raise InputError(
        f"{where}: expected the competition's old weights (about 1 / std, 63 zeros) or its new ones (0 and 1, 60 "
        f"zeros), found {np.unique(weights).size} distinct values with {int((weights == 0).sum())} zeros; {far.sum()} "
        f"columns differ from the old weights, the first is {variables.target_columns[first]} with "
        f"{float(weights[first])!r} for {float(published[first])!r}"
    )


@dataclass(frozen=True)
class WeightComparison:
    """How two sets of weights differ.

    Attributes:
        largest: by variable, the largest of |a - b| / max(|a|, |b|) over its levels; 0 where both are the same.
        columns: where it is, by variable.
        zeros: columns without weight, of each.
        capped: columns at the cap of 1e15, of each.
    """

    largest: dict[str, float]
    columns: dict[str, str]
    zeros: tuple[int, int]
    capped: tuple[int, int]


def compare_weights(one: np.ndarray, other: np.ndarray, variables: VariableSet) -> WeightComparison:
    """Compare two sets of weights, (target_width,) each."""
    size = np.maximum(np.abs(one), np.abs(other))
    relative = np.divide(np.abs(one - other), size, out=np.zeros_like(size), where=size > 0)
    places = {name: place.start + int(relative[place].argmax()) for name, place in variables.target_slices.items()}
    return WeightComparison(
        {name: float(relative[place]) for name, place in places.items()},
        {name: variables.target_columns[place] for name, place in places.items()},
        (int((one == 0).sum()), int((other == 0).sum())),
        (_capped(one), _capped(other)),
    )


def _capped(weights: np.ndarray) -> int:
    return int((weights >= CAP * (1 - _SAME)).sum())
