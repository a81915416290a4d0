"""One segment of a run: from its first row or a checkpoint to its end, an interruption or an error."""

import math
import time
from pathlib import Path
from typing import Literal, NoReturn

import torch

from subgrid.errors import SubgridError
from subgrid.training import checkpoint, machine, metrics
from subgrid.training.batches import prepare
from subgrid.training.interruption import Interruption, interruption
from subgrid.training.keeper import BEST_BY, METRICS, Keeper, Place
from subgrid.training.learner import Learner
from subgrid.training.losses import PARTS
from subgrid.training.progress import Meter, Progress, Reporter
from subgrid.training.schedule import Schedule
from subgrid.training.settings import RunRecipe
from subgrid.training.sources import Sources
from subgrid.training.validation import validate, validation_sets

_REPORT_SECONDS = 0.5


class Run:
    """A run on one device; ``start`` it, then let it ``go``.

    Args:
        recipe: resolved, its length in rows.
        sources: open data sets.
        out: the run's folder, locked by the caller.
        reporter: who is told.
    """

    def __init__(self, recipe: RunRecipe, sources: Sources, out: Path, reporter: Reporter) -> None:
        self.settings, self.seed, self.sources = recipe.training, recipe.seed, sources
        self.out, self.reporter = out, reporter
        self.schedule, self.place, self.meter = Schedule(recipe.training), Place(), Meter()
        self.fabric = machine.open_device(recipe.training)
        plain, table = recipe.model_dump(mode="json"), sources.table
        self.learner = Learner(checkpoint.emulator_settings(plain), recipe.training, table, self.fabric, recipe.seed)
        self.validation = validation_sets(recipe.training, sources)
        card = {
            "recipe": plain,
            "data_digest": sources.digest,
            "data": sources.digests,
            "variables": table.variables.name,
            "statistics": table.to_json(),
            "grid": checkpoint.grid_to_json(sources.first.grid),
            "parameters": self.learner.parameters,
            "conditions": machine.conditions(recipe.training, self.fabric),
        }
        self.keeper = Keeper(out, self.learner, card, recipe.training.keep)
        wide = torch.float32 if self.fabric.device.type == "mps" else torch.float64
        self.sums = torch.zeros(len(PARTS), dtype=wide, device=self.fabric.device)
        self.saved, self.reported = time.monotonic(), 0.0

    @property
    def complete(self) -> bool:
        """Whether every sub-epoch is closed."""
        return self.place.closed == self.settings.sub_epochs

    def start(self, latest: str | None, init: str | None) -> None:
        """Go on from the checkpoint ``latest``; without one, start from fresh weights or from those of ``init``."""
        if latest is None:
            self.place = self.keeper.begin(init)
            return
        self.place, differing = self.keeper.restore(latest)
        self.meter.before = self.place.seconds
        self.sums.copy_(torch.tensor(self.place.sums, dtype=self.sums.dtype))
        if gone := self.keeper.gone(self.place):
            self.reporter.notice(f"{self.out}: training.keep comes too late for the checkpoints {', '.join(gone)}")
        if self.complete:
            self.reporter.notice(f"{self.out}: this run is complete ({self.place.rows} rows); nothing to do")
            return
        self.reporter.notice(f"{self.out}: going on from checkpoint {latest} at row {self.place.rows}")
        if differing:
            self.reporter.notice(f"the last bits may differ from an uninterrupted run: {', '.join(differing)}")

    def go(self) -> None:
        """Train to the end of the run; ends with the line ``finished`` in its metrics."""
        with interruption() as wish:
            self._close_when_due(wish)
            if not self.complete:
                self._learn(wish)
        self.keeper.finish(self.place, self.meter.seconds)

    def _learn(self, wish: Interruption) -> None:
        settings, learner = self.settings, self.learner
        origins = self.sources.origins(settings.space_time)
        with self.sources.stream(settings, self.seed, self.place.rows) as stream:
            while not self.complete:
                prepared = prepare(next(stream), learner.emulator, origins)
                self.sums += learner.step(prepared, self.place.rows // settings.batch)
                self.place.rows += settings.batch
                self.meter.count(settings.batch)
                self._watch()
                self._close_when_due(wish)
                if wish:
                    self._stop(wish)
                late = time.monotonic() - self.saved > 60 * settings.checkpoint_minutes
                if late and self.schedule.open_steps(self.place.rows, self.place.closed):
                    self._save()

    def _watch(self) -> None:
        """Look at the loss after a step: at once where that costs nothing, else about twice a second."""
        due = time.monotonic() - self.reported > _REPORT_SECONDS
        if due or self.fabric.device.type == "cpu":
            self._check_loss()
        if due:
            self._report("training")

    def _check_loss(self) -> None:
        if math.isfinite(float(self.sums[0])):
            return
        rows, batch = self.place.rows, self.settings.batch
        raise SubgridError(
            f"{self.out}: the loss is not finite at step {rows // batch} (rows {rows - batch} to {rows - 1}); "
            f"{checkpoint.standing(self.out)}. Lower training.learning_rate, set training.clip (1.0, say) or "
            "training.precision=32-true in a new --out; subgrid verify DATASET tells whether the data are whole"
        )

    def _report(self, stage: Literal["training", "validation", "checkpoint"]) -> None:
        place, schedule, total = self.place, self.schedule, self.settings.sub_epochs
        steps = schedule.open_steps(place.rows, place.closed)
        left = self.meter.seconds_left(schedule.rows - place.rows, total - place.closed)
        loss = float(self.sums[0]) / steps if steps else None
        score = place.scores.get(BEST_BY) if place.scores else None
        self.reporter.progress(
            Progress(stage, place.rows, schedule.rows, place.closed, total, self.meter.rate, loss, score, left)
        )
        self.reported = time.monotonic()

    def _close_when_due(self, wish: Interruption) -> None:
        """At the end of a sub-epoch: score, write the line of metrics, save; in this order."""
        place = self.place
        steps = self.schedule.open_steps(place.rows, place.closed)
        if self.complete or place.rows != self.schedule.end(place.closed) * self.settings.batch:
            return
        self._check_loss()
        self._report("validation")
        rate = self.meter.lap()
        with self.meter.aside(validation=True):
            found = self._validate(wish)
        place.closed, place.validation = place.closed + 1, found
        place.scores = next(iter(found.values()), None)
        line = {
            "event": "sub_epoch",
            "sub_epoch": place.closed,
            "rows": place.rows,
            "learning_rate": self.schedule.learning_rate(place.rows // self.settings.batch - 1),
            "loss": {name: value / steps for name, value in zip(PARTS, self.sums.tolist(), strict=True)},
            **(place.scores or {}),
            "validation": found,
            "seconds": round(self.meter.seconds, 3),
            "columns_per_second": round(rate, 1),
        }
        metrics.append(self.out / METRICS, line)
        self.sums.zero_()
        self._save(closing=True)
        self._report("training")

    def _validate(self, wish: Interruption) -> dict[str, dict[str, float | None]]:
        """The three figures of each validation set by its name, in their order."""
        found = {}
        with self.learner.predicting():
            for chosen in self.validation:
                batch = self.settings.validation_batch
                card = validate(self.learner.emulator, chosen, batch, lambda: bool(wish))
                if card is None:
                    self._stop(wish)
                found[chosen.name] = card.headline()
        return found

    def _stop(self, wish: Interruption) -> NoReturn:
        place = self.place
        if place.latest != f"rows-{place.rows}" and (
            self.schedule.open_steps(place.rows, place.closed) or not place.latest
        ):
            self._save()
        raise wish.end()

    def _save(self, closing: bool = False) -> None:
        self._check_loss()
        self._report("checkpoint")
        self.place.seconds, self.place.sums = self.meter.seconds, self.sums.tolist()
        with self.meter.aside():
            self.keeper.save(self.place, closing)
        self.saved = time.monotonic()
