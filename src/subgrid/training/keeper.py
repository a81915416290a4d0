"""Keeping a run: its place, its checkpoints, and how one segment takes over from the one before."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

import subgrid
from subgrid.errors import SubgridError
from subgrid.training import checkpoint, folder, metrics
from subgrid.training.learner import Learner
from subgrid.training.losses import PARTS
from subgrid.training.processes import Processes

METRICS = "metrics.jsonl"
BEST_BY = "r2_294"
"""The score that makes a checkpoint the best; without it the latest is."""


@dataclass
class Place:
    """Where a run stands; with the tensors of a checkpoint this is all that a resumed run starts from.

    Attributes:
        rows: given out so far.
        closed: sub-epochs that were scored and saved.
        sums: parts of the loss (``losses.PARTS``) summed over the steps of the open sub-epoch.
        seconds: wall time of the run so far.
        latest, best: names of checkpoints, empty before the first.
        best_score: what made it the best, None where nothing was scored.
        scores: of the last validation on its first set, None where nothing is scored.
        validation: of the last validation, by the names of its sets.
    """

    rows: int = 0
    closed: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * len(PARTS))
    seconds: float = 0.0
    latest: str = ""
    best: str = ""
    best_score: float | None = None
    scores: dict[str, float | None] | None = None
    validation: dict[str, dict[str, float | None]] = field(default_factory=dict)


class Keeper:
    """Saves a learner into the folder of a run and takes it up again.

    Of several processes the first writes while the others wait for it; all read.

    Args:
        out: the run's folder, locked by the caller.
        learner: the emulator in training.
        card: what every checkpoint.json of this segment says: recipe, statistics, grid, conditions and so on.
        keep: sub-epochs whose checkpoints stay for good, besides the latest and the best.
        processes: of the run; left out, there is one.
    """

    def __init__(
        self,
        out: Path,
        learner: Learner,
        card: Mapping[str, Any],
        keep: Sequence[int] = (),
        processes: Processes | None = None,
    ) -> None:
        self.keep = keep
        self.out, self.learner, self.card = out, learner, {**card, "versions": _versions(), "init": None}
        self.processes = processes or Processes()

    def begin(self, init: str | None) -> Place:
        """A fresh run, from fresh weights or from those of the run ``init``."""
        self.processes.first(lambda: _undo(self.out, (), 0))
        if init:
            path, card, weights = folder.followed(init, checkpoint.read_network)
            self.learner.start_from(weights, str(path))
            self.card |= {"init": str(init), "provenance": self._with_those_of(card)}
        return Place()

    def _with_those_of(self, earlier: Mapping[str, Any]) -> dict[str, Any]:
        """Where the data of this run and of the one it starts from come from; nothing where the other does not say."""
        theirs = earlier.get("provenance", {})
        return {**self.card["provenance"], **{f"init/{name}": one for name, one in theirs.items()}} if theirs else {}

    def restore(self, name: str) -> tuple[Place, list[str]]:
        """Go on from a checkpoint of this run.

        Whatever a killed process did after that checkpoint is undone: the pointer to the best one, later or
        half-written checkpoints, later lines of metrics.

        Returns:
            the place, and in what this segment's conditions differ from the checkpoint's.
        """
        path = folder.find_checkpoint(f"{self.out}@{name}")
        card, state = checkpoint.read_card(path), checkpoint.read_state(path)
        self.learner.restore(checkpoint.read_weights(path), checkpoint.read_training_tensors(path), str(path))
        place = Place(**{item.name: state[item.name] for item in fields(Place)})
        # What an earlier segment has kept stays, whether or not this one asks for it.
        self.keep = sorted({*self.keep, *map(int, card["kept"])})
        self.processes.first(lambda: _undo(self.out, (name, place.best, *self._kept(place)), place.closed))
        if card["init"]:
            self.card |= {"init": card["init"], "provenance": card.get("provenance", {})}
        before, now = card["conditions"], self.card["conditions"]
        return place, [f"{key} {before.get(key)} -> {now[key]}" for key in now if before.get(key) != now[key]]

    def save(self, place: Place, closing: bool) -> None:
        """Save the learner at a place, as a checkpoint named after the sub-epoch it closes or else after its rows.

        Raises:
            SubgridError: weights that are not finite, or a checkpoint that cannot be written.
        """
        if broken := self.learner.broken():
            message = (
                f"{self.out}: after row {place.rows} these weights are not finite: {', '.join(broken[:5])}; "
                f"{checkpoint.standing(self.out)}. Lower training.learning_rate or set training.clip in a new --out"
            )
            raise self.processes.told_once(SubgridError(message))
        name = str(place.closed) if closing else f"rows-{place.rows}"
        scores, sets = (place.scores, place.validation) if closing else (None, {})
        score = scores.get(BEST_BY) if scores else None
        if place.best_score is None or (score is not None and score > place.best_score):
            place.best, place.best_score = name, score
        place.latest = name
        snapshot = checkpoint.Snapshot(
            weights=self.learner.weights(),
            card={
                "name": name,
                "rows": place.rows,
                "sub_epoch": place.closed,
                "scores": scores,
                "validation": sets,
                "kept": self._kept(place),
                **self.card,
            },
            tensors=self.learner.training_tensors(),
            state={**asdict(place), "generators": {"rule": "the draws of a step follow from (seed, step)"}},
        )
        kept = self._kept(place)
        self.processes.first(lambda: checkpoint.commit(self.out, name, place.best, snapshot, kept))

    def _kept(self, place: Place) -> list[str]:
        """Names of the checkpoints to keep for good at a place: those of sub-epochs that it has behind it."""
        return [str(number) for number in self.keep if number <= place.closed]

    def gone(self, place: Place) -> list[str]:
        """Names of checkpoints that were to be kept and are not there: asked for after their sub-epoch was over."""
        return sorted(set(self._kept(place)) - set(folder.checkpoint_names(self.out)), key=int)

    def finish(self, place: Place, seconds: float) -> None:
        """Write the last line of the metrics, unless it stands there."""
        self.processes.first(lambda: _finish(self.out / METRICS, place, seconds))


def _undo(out: Path, pointed: tuple[str, ...], closed: int) -> None:
    """Remove what came after the latest checkpoint; ``pointed`` names it, the best one and those kept for good."""
    if pointed:
        folder.write_pointer(out, "best", pointed[1])
    folder.keep_only(out, set(pointed))
    metrics.cut(out / METRICS, closed, finished=bool(pointed))


def _finish(path: Path, place: Place, seconds: float) -> None:
    if any(line.get("event") == "finished" for line in metrics.cut(path, place.closed, finished=True)):
        return
    line = {"event": "finished", "rows": place.rows, "latest": place.latest, "best": place.best}
    metrics.append(path, {**line, **(place.scores or {}), "seconds": round(seconds, 3)})


def _versions() -> dict[str, str]:
    return {
        "subgrid": subgrid.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
