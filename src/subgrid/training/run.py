"""One segment of a run: from its first row or a checkpoint to its end, an interruption or an error."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric

from subgrid.errors import SubgridError
from subgrid.evaluation.scorecard import Scorecard
from subgrid.training import checkpoint, machine, metrics
from subgrid.training.batches import prepare
from subgrid.training.interruption import Interruption, SegmentEndsError, Wish, interruption
from subgrid.training.keeper import BEST_BY, METRICS, Keeper, Place
from subgrid.training.learner import Learner
from subgrid.training.loggers import Loggers
from subgrid.training.losses import PARTS
from subgrid.training.mirror import Mirror
from subgrid.training.processes import Processes
from subgrid.training.progress import Meter, Progress, Reporter, Silence
from subgrid.training.schedule import Schedule
from subgrid.training.settings import RunRecipe
from subgrid.training.sources import Sources
from subgrid.training.validation import validate, validation_sets

_REPORT_SECONDS = 0.5
_LOOK_STEPS = 8  # between looks at a device that has to be waited for


@dataclass(frozen=True)
class Segment:
    """What belongs to one segment of a run.

    Attributes:
        fabric: device and processes.
        reporter: who is told.
        deadline: instant of time.monotonic() at which this process may be killed, None if it may run to the end.
    """

    fabric: Fabric
    reporter: Reporter
    deadline: float | None = None


class Run:
    """A run in one process, alone or with its like in others; ``start`` it, then let it ``go``.

    Args:
        recipe: resolved, its length in rows.
        sources: open data sets.
        out: the run's folder, locked by the caller.
        segment: what belongs to this segment alone.
    """

    def __init__(self, recipe: RunRecipe, sources: Sources, out: Path, segment: Segment) -> None:
        self.settings, self.seed, self.sources, self.out = recipe.training, recipe.seed, sources, out
        self.schedule, self.place, self.meter = Schedule(recipe.training), Place(), Meter()
        self.fabric, self.deadline = segment.fabric, segment.deadline
        self.processes = Processes.of(self.fabric)
        self.reporter = segment.reporter if self.processes.rank == 0 else Silence()
        plain, table = recipe.model_dump(mode="json"), sources.table
        settings, climate = checkpoint.emulator_settings(plain), (table, sources.first.grid)
        self.learner = Learner(settings, recipe.training, climate, self.fabric, recipe.seed)
        self.validation = validation_sets(recipe.training, sources)
        card = {
            "recipe": plain,
            "data_digest": sources.digest,
            "data": sources.digests,
            "provenance": {name: one.model_dump() for name, one in sources.provenance.items()},
            "variables": table.variables.name,
            "statistics": table.to_json(),
            "grid": checkpoint.grid_to_json(sources.first.grid),
            "parameters": self.learner.parameters,
            "conditions": machine.conditions(recipe.training, self.fabric),
        }
        self.keeper = Keeper(out, self.learner, card, recipe.training.keep, self.processes)
        names = self.settings.loggers if self.processes.rank == 0 else ()
        about = {name: card[name] for name in ("recipe", "data", "variables", "parameters", "conditions")}
        self.loggers = Loggers(names, out, about, self.reporter.notice)
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
        with interruption(patient=self.processes.ranks > 1) as asked:
            with self.meter.aside():
                self.processes.first(lambda: self.loggers.open(metrics.sub_epochs(self.out / METRICS)))
            try:
                self._close_when_due(asked)
                if not self.complete:
                    self._learn(asked)
                self.keeper.finish(self.place, self.meter.seconds)
            finally:
                self.loggers.close(self.complete)

    def _learn(self, asked: Interruption) -> None:
        settings, learner = self.settings, self.learner
        origins = self.sources.origins(settings.space_time)
        share = (self.processes.rank, self.processes.ranks)
        mirror = Mirror(self.sources.table.variables, self.seed) if settings.mirror else None
        with self.sources.stream(settings, self.seed, self.place.rows, share) as stream:
            while not self.complete:
                batch, step = next(stream), self.place.rows // settings.batch
                prepared = prepare(mirror(batch, step) if mirror else batch, learner.emulator, origins)
                self.sums += learner.step(prepared, step)
                self.place.rows += settings.batch
                self.meter.count(settings.batch)
                looking = self._watch()
                self._close_when_due(asked)
                if looking and not self.complete:
                    self._grant(Wish(self.processes.largest(_wish(self, asked))))

    def _watch(self) -> bool:
        """Look at the loss after a step, where that costs nothing, else now and then; whether this step was one."""
        looking = self.fabric.device.type == "cpu" or self.place.rows // self.settings.batch % _LOOK_STEPS == 0
        if looking:
            self._check_loss()
            if time.monotonic() - self.reported > _REPORT_SECONDS:
                self._report("training")
        return looking

    def _check_loss(self) -> None:
        if math.isfinite(float(self.sums[0])):
            return
        rows, batch = self.place.rows, self.settings.batch
        error = SubgridError(
            f"{self.out}: the loss is not finite at step {rows // batch} (rows {rows - batch} to {rows - 1}); "
            f"{checkpoint.standing(self.out)}. Lower training.learning_rate, set training.clip (1.0, say) or "
            "training.precision=32-true in a new --out; subgrid verify DATASET tells whether the data are whole"
        )
        raise self.processes.told_once(error)

    def _report(self, stage: Literal["training", "validation", "checkpoint"]) -> None:
        place, schedule, total = self.place, self.schedule, self.settings.sub_epochs
        steps = schedule.open_steps(place.rows, place.closed)
        scored = sum(chosen.rows for chosen in self.validation)
        left = self.meter.seconds_left(schedule.rows - place.rows, total - place.closed, scored)
        loss = float(self.sums[0]) / steps if steps else None
        score = place.scores.get(BEST_BY) if place.scores else None
        self.reporter.progress(
            Progress(stage, place.rows, schedule.rows, place.closed, total, self.meter.rate, loss, score, left)
        )
        self.reported = time.monotonic()

    def _close_when_due(self, asked: Interruption) -> None:
        """At the end of a sub-epoch: score, write the line of metrics, save; in this order."""
        place = self.place
        steps = self.schedule.open_steps(place.rows, place.closed)
        if self.complete or place.rows != self.schedule.end(place.closed) * self.settings.batch:
            return
        self._check_loss()
        self._report("validation")
        rate = self.meter.lap()
        with self.meter.aside(validation=True):
            found = self._validate(asked)
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
        self.processes.first(lambda: metrics.append(self.out / METRICS, line))
        self.sums.zero_()
        self._save(closing=True)
        with self.meter.aside():
            self.loggers.log(line)
        self._report("training")

    def _validate(self, asked: Interruption) -> dict[str, dict[str, float | None]]:
        """The three figures of each validation set by its name, in their order."""
        batch, share = self.settings.validation_batch, (self.processes.rank, self.processes.ranks)
        found = {}
        for chosen in self.validation:
            with self.learner.predicting():
                own = validate(self.learner.emulator, chosen, batch, lambda: bool(asked), share)
            states = self.processes.gather(own.state() if own else None)
            if None in states:
                self._grant(Wish(self.processes.largest(_wish(self, asked))))  # somebody was asked to stop
            cards = [Scorecard.from_state(state) for state in states]
            found[chosen.name] = sum(cards, Scorecard.zero(chosen.data.variables)).headline()
        return found

    def _grant(self, wish: Wish) -> None:
        """Save where that is wished and something is new; end the segment where that is wished."""
        place = self.place
        new = self.schedule.open_steps(place.rows, place.closed) > 0 or not place.latest
        if wish and new and place.latest != f"rows-{place.rows}":
            self._save()
        if wish.stops:
            raise SegmentEndsError(wish)

    def _save(self, closing: bool = False) -> None:
        self._check_loss()
        self._report("checkpoint")
        self.place.seconds, self.place.sums = self.meter.seconds, self.sums.tolist()
        with self.meter.aside(checkpoint=True):
            self.keeper.save(self.place, closing)
        self.saved = time.monotonic()


def _wish(run: Run, asked: Interruption) -> Wish:
    """What this process would do now, were it alone."""
    if asked:
        return asked.wish
    now, settings = time.monotonic(), run.settings
    if run.deadline is not None:
        rows = settings.batch * (1 if run.fabric.device.type == "cpu" else _LOOK_STEPS)  # until the next look
        closes = run.schedule.end(run.place.closed) * settings.batch <= run.place.rows + rows
        scored = sum(chosen.rows for chosen in run.validation) if closes else 0
        if now + run.meter.seconds_to_end(rows, scored) > run.deadline:
            return Wish.TIME_IS_UP
    return Wish.SAVE if now - run.saved > 60 * settings.checkpoint_minutes else Wish.GO_ON
