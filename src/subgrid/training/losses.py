"""What a step minimises.

With e the error of a prediction in normalised units, over the T trained target columns of all B rows and, for rows
whose time and place are known, the 6 space-time columns,

    loss = sum d(e) / (B T + 6 K) + sum |c - |e|| / (B T + 6 K)

d is |e| (``mae``), e**2 (``mse``) or Huber's distance with delta 1 (``huber``), K the number of known rows. Every
column has the same weight. The second sum is there with a confidence head: c estimates |e|, which is held fixed there,
so that no error grows to please its estimate. (Winner of the LEAP competition: MAE on 293 + 6 columns, both sums.)

B and K are of the whole batch, also where a call sees a piece of it: losses and parts of its pieces add up to its own.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from subgrid.model import Outputs

Distance = Callable[[Tensor], Tensor]

_DISTANCES: dict[str, Distance] = {
    "mae": torch.abs,
    "mse": torch.square,
    "huber": lambda error: F.huber_loss(error, torch.zeros_like(error), reduction="none"),
}


class Goal(NamedTuple):
    """What the outputs of a batch should have been.

    Attributes:
        targets: normalised targets, float32 (batch, target_width).
        auxiliary: space-time values, float32 (batch, 6), or None when they are not trained.
        known: 1 for rows whose time and place are known, else 0, float32 (batch,); None as ``auxiliary``.
    """

    targets: Tensor
    auxiliary: Tensor | None = None
    known: Tensor | None = None


PARTS = ("total", "targets", "space_time", "confidence")
"""Names of the numbers that ``Loss`` returns beside the loss."""


class Loss:
    """The loss of a batch and its parts.

    Args:
        name: ``mae``, ``huber`` or ``mse``.
        trained: 1 for target columns that take part, else 0, (target_width,).
    """

    def __init__(self, name: str, trained: Tensor) -> None:
        self.distance = _DISTANCES[name]
        self.trained = trained.to(torch.float32)
        self.columns = int(self.trained.sum())

    def counts(self, goal: Goal) -> Tensor:
        """How many numbers of a goal are compared, (2,): target columns x rows, space-time columns x known rows."""
        places = 0.0 if goal.auxiliary is None or goal.known is None else goal.known.sum() * goal.auxiliary.shape[1]
        counts = goal.targets.new_tensor([goal.targets.shape[0] * self.columns, 0.0])
        counts[1] = places
        return counts

    def __call__(self, outputs: Outputs, goal: Goal, counts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What a batch or a piece of one gives to the loss, a scalar, and to its parts, without a gradient.

        Args:
            outputs: of the network for these rows.
            goal: what they should have been.
            counts: of the whole batch; left out, these rows are the whole.

        Returns:
            the loss, and its parts, (4,) in the order of ``PARTS``: ``targets`` and ``space_time`` are means over their
            own columns, ``total`` is the loss itself; a part that is not trained is 0.
        """
        counts = self.counts(goal) if counts is None else counts
        width = goal.targets.shape[1]
        error = outputs.prediction[:, :width].float() - goal.targets
        sums = torch.stack([_weighted(self.distance(error), self.trained), error.new_zeros(())])
        absolute = [error.detach().abs()]
        if goal.auxiliary is not None and goal.known is not None:
            place_error = outputs.prediction[:, width:].float() - goal.auxiliary
            sums = torch.stack([sums[0], _by_row(self.distance(place_error), goal.known)])
            absolute.append(place_error.detach().abs())
        total = sums.sum() / counts.sum()
        confidence = self._confidence(outputs.confidence, absolute, goal.known) / counts.sum()
        loss = total + confidence
        means = sums.detach() / counts.clamp(min=1)
        return loss, torch.stack([loss.detach(), means[0], means[1], confidence.detach()])

    def _confidence(self, confidence: Tensor | None, absolute: list[Tensor], known: Tensor | None) -> Tensor:
        if confidence is None:
            return absolute[0].new_zeros(())
        width = absolute[0].shape[1]
        total = _weighted((confidence[:, :width].float() - absolute[0]).abs(), self.trained)
        if known is not None and len(absolute) > 1:
            total = total + _by_row((confidence[:, width:].float() - absolute[1]).abs(), known)
        return total


def _weighted(values: Tensor, columns: Tensor) -> Tensor:
    return (values * columns).sum()


def _by_row(values: Tensor, rows: Tensor) -> Tensor:
    return (values * rows[:, None]).sum()
