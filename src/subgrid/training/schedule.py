"""The course of a run: how many steps, where sub-epochs end, the learning rate of every step.

With S sub-epochs, W of them warm-up, and u the place in sub-epochs (whole with one value a sub-epoch, u = S x step /
steps with one value a step), the rate is

    u < W:   max x 2**(u - W)  ("exp")      max x 10**(u - W)  ("log")      max x (u + d) / (W + d)  ("linear")
    u >= W:  max x (1 + cos(pi (u - W) / (S - W))) / 2

d being the distance of two places, so that a linear warm-up does not start at zero.
"""

from dataclasses import dataclass
from math import cos, pi

from subgrid.training.settings import TrainingSettings


@dataclass(frozen=True)
class Schedule:
    """Steps, sub-epochs and learning rates of a run; all of it follows from the settings."""

    settings: TrainingSettings

    @property
    def steps(self) -> int:
        """Whole batches in the run."""
        return self.settings.rows // self.settings.batch

    @property
    def rows(self) -> int:
        """Rows that the run trains on."""
        return self.steps * self.settings.batch

    def end(self, sub_epoch: int) -> int:
        """The step at which a sub-epoch (from 0) ends."""
        return (sub_epoch + 1) * self.steps // self.settings.sub_epochs

    def sub_epoch(self, step: int) -> int:
        """The sub-epoch (from 0) that a step belongs to."""
        sub_epochs = self.settings.sub_epochs
        return ((step + 1) * sub_epochs - 1) // self.steps

    def open_steps(self, rows: int, closed: int) -> int:
        """Steps made in the open sub-epoch after so many rows, when so many sub-epochs are closed."""
        return rows // self.settings.batch - self.end(closed - 1)

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step (from 0)."""
        settings, total = self.settings, self.settings.sub_epochs
        smooth = settings.schedule == "step"
        place = total * step / self.steps if smooth else float(self.sub_epoch(step))
        grain = total / self.steps if smooth else 1.0
        return settings.learning_rate * _share(place, settings, grain)

    def weight_decay(self, step: int) -> float:
        """The decay at a step: the ratio times the rate, so that a step takes ratio x rate**2 of every weight."""
        return self.settings.decay_ratio * self.learning_rate(step)


def _share(place: float, settings: TrainingSettings, grain: float) -> float:
    distance = place - settings.warm_up
    if distance >= 0:
        return 0.5 * (1.0 + cos(pi * distance / (settings.sub_epochs - settings.warm_up)))
    if settings.warm_up_shape == "linear":
        return (place + grain) / (settings.warm_up + grain)
    return float((2.0 if settings.warm_up_shape == "exp" else 10.0) ** distance)
