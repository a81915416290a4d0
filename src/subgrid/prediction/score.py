"""Scoring a prediction: one pass over its rows beside the truth."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import SettingsError, UsageError
from subgrid.evaluation.blocks import BLOCK_DAYS
from subgrid.evaluation.dataset import as_dataset, fields_json, write_dataset
from subgrid.evaluation.evaluation import Evaluation, interval_json
from subgrid.evaluation.intervals import differences
from subgrid.evaluation.scorecard import Scorecard
from subgrid.evaluation.tables import plain
from subgrid.netcdf import opened
from subgrid.prediction.columns import Columns
from subgrid.prediction.join import Joined
from subgrid.prediction.store import PredictionManifest
from subgrid.records.files import write_json, write_whole
from subgrid.statistics.table import Table

_ENDINGS = (".nc", ".json")


@dataclass(frozen=True)
class Scored:
    """What scoring found.

    Attributes:
        evaluation: all scores.
        manifest: of the prediction.
        rows: rows that were scored.
        without_truth: predicted rows of raw steps that have no ``mlo``, left out.
        no_members: why an ensemble is not scored as a distribution; empty where it is, or is none.
    """

    evaluation: Evaluation
    manifest: PredictionManifest
    rows: int
    without_truth: int
    no_members: str = ""

    @property
    def card(self) -> Scorecard:
        """The scorecard of all rows."""
        return self.evaluation.card


@dataclass(frozen=True)
class ScoreSettings:
    """How a prediction is scored.

    Attributes:
        split: of a data set, where the predicted rows are known to be of one.
        rule: whether the cloud-water rule stands in ``competition`` and ``r2_308``.
        block_days: length of the blocks that are drawn for intervals.
    """

    split: str | None = None
    rule: bool = True
    block_days: int = BLOCK_DAYS


PLAIN = ScoreSettings()


def score(
    prediction: str | Path,
    truth: str,
    settings: ScoreSettings = PLAIN,
    progress: Callable[[int, int], None] | None = None,
) -> Scored:
    """Score a prediction against a data set or a folder of raw steps.

    Args:
        prediction: its folder.
        truth: may hold more rows than were predicted.
        settings: what is left to choose.
        progress: called with (rows done, rows).

    Raises:
        DatasetError: the truth is of another variable set, or lacks predicted rows (the first is named).
        InputError: NaN or infinity (column and count).
    """
    joined = Joined(prediction, truth, settings.split, rule=settings.rule, members=True)
    scale = joined.stored.manifest.scale
    evaluation = Evaluation(joined.frame, settings.block_days, np.array(scale) if scale else None)
    done = 0
    for rows in joined:
        evaluation.add(rows)
        done += rows.row.size
        if progress:
            progress(done, joined.rows)
    return Scored(evaluation, joined.stored.manifest, done, joined.without_truth, joined.no_members)


def compare(one: Scored, other: Scored) -> dict[str, Any]:
    """By how much ``one`` is better than ``other``, with intervals of the difference, as plain numbers.

    Raises SettingsError when they are not of the same rows.
    """
    found = differences(other.evaluation.blocks, one.evaluation.blocks)
    return {
        "prediction": other.manifest.network,
        "differences": {
            name: {
                "difference": plain(interval.value),
                "interval": interval_json(interval),
                "share_of_draws_better": plain(interval.above),
            }
            for name, interval in found.items()
        },
    }


def refuse_other_file(path: Path) -> None:
    """Raise UsageError for a name that ``save`` cannot write, SettingsError for a file that holds no scores."""
    if path.suffix not in _ENDINGS:
        raise UsageError(f"--out {path}: expected a name that ends in {' or '.join(_ENDINGS)}")
    if path.exists() and not _holds_scores(path):
        raise SettingsError(f"--out {path}: is there and holds no scores; choose another name")


def _holds_scores(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            found = json.loads(path.read_text(encoding="utf-8"))
            return isinstance(found, dict) and {"by_variable", "intervals"} <= found.keys()
        with opened(path) as file:
            return {"r2", "rmse", "scored"} <= file.variables.keys()
    except (OSError, ValueError):
        return False


def save(path: Path, scored: Scored, content: dict[str, Any]) -> None:
    """Write all scores as NetCDF (``.nc``, see ``evaluation.dataset``) or JSON (``.json``, ``content`` on top)."""
    refuse_other_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        write_json(path, {**content, "fields": fields_json(scored.evaluation)})
    else:
        dataset = as_dataset(scored.evaluation, provenance(scored.manifest))
        write_whole(path, lambda aside: write_dataset(aside, dataset))


def provenance(manifest: PredictionManifest) -> dict[str, str]:
    """What was scored, as text attributes."""
    names = ("network", "checkpoint_digest", "input", "input_digest", "program")
    return {name: str(getattr(manifest, name)) for name in names}


def climatology(columns: Columns, table: Table) -> Scorecard:
    """The scorecard of predicting the training mean of every column: the ground that a network must rise from."""
    card = Scorecard.zero(table.variables)
    for truth in columns.truth(columns.row_numbers()):
        card = card.update(np.broadcast_to(table.targets.mean, truth.targets.shape), truth.targets)
    return card
