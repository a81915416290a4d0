"""What a running training tells whoever watches: a place in the run, how fast it goes, notices in words."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        stage: what is being done.
        rows, total: rows trained on so far, over all segments of the run, and the length of the run.
        sub_epoch, sub_epochs: sub-epochs finished, and all.
        rate: columns trained on per second in this segment, validation and checkpoints left out.
        loss: mean loss of the sub-epoch so far, None at its start.
        score: ``r2_294`` of the latest validation, None without one.
        seconds_left: estimate for what remains, validation included; None before anything is known.
    """

    stage: Literal["training", "validation", "checkpoint"]
    rows: int
    total: int
    sub_epoch: int
    sub_epochs: int
    rate: float
    loss: float | None
    score: float | None
    seconds_left: float | None


class Reporter(Protocol):
    """Somebody who watches a run; called from the training thread, so both must be quick."""

    def progress(self, progress: Progress) -> None:
        """Called about twice a second, and at every change of stage."""

    def notice(self, text: str) -> None:
        """Something to be said once: a resumed run, bits that may differ, nothing left to do."""


class Silence:
    """A reporter that says nothing."""

    def progress(self, progress: Progress) -> None:
        """Says nothing."""

    def notice(self, text: str) -> None:
        """Says nothing."""


_FIRST_CHECKPOINT = 5.0  # seconds, taken for the time that one takes until it is known
_MARGIN = 1.25  # what lies ahead may take longer than what was measured


class Meter:
    """Clock of one segment of a run; what happens inside ``aside`` is not training time.

    Attributes:
        before: wall time of earlier segments, seconds.
    """

    def __init__(self) -> None:
        self.before = 0.0
        self._started = self._lap_start = time.monotonic()
        self._aside = self._lap_aside = 0.0
        self._rows = self._lap_rows = 0
        self._validation, self._checkpoint = 0.0, _FIRST_CHECKPOINT

    @property
    def seconds(self) -> float:
        """Wall time of the run, all segments."""
        return self.before + time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Columns trained on per second in this segment."""
        return self._rows / max(time.monotonic() - self._started - self._aside, 1e-9)

    def count(self, rows: int) -> None:
        """Rows of one more step."""
        self._rows += rows
        self._lap_rows += rows

    def lap(self) -> float:
        """Columns per second since the last lap (or the start), and start a new one."""
        now = time.monotonic()
        rate = self._lap_rows / max(now - self._lap_start - self._lap_aside, 1e-9)
        self._lap_start, self._lap_aside, self._lap_rows = now, 0.0, 0
        return rate

    @contextmanager
    def aside(self, validation: bool = False, checkpoint: bool = False) -> Iterator[None]:
        """Time that is not spent on training, but on a validation, a checkpoint or something else."""
        start = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - start
            self._aside += spent
            self._lap_aside += spent
            if validation:
                self._validation = spent
            if checkpoint:
                self._checkpoint = spent

    def seconds_left(self, rows: int, validations: int) -> float | None:
        """Time for so many more rows and validations, None before the first step."""
        return rows / self.rate + validations * self._validation if self._rows else None

    def seconds_to_end(self, rows: int, validation_rows: int) -> float:
        """Time for so many more rows, a validation of so many if any, and the checkpoints after them, generously.

        A validation that was not measured yet is taken to be as slow by the row as training, which it never is.
        """
        per_row = 1.0 / self.rate if self._rows else 0.0
        validation = (self._validation or per_row * validation_rows) + self._checkpoint if validation_rows else 0.0
        return _MARGIN * (per_row * rows + validation + self._checkpoint)
