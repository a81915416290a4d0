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
        rate: columns trained on per second in this segment, without validation and checkpoints and, where there
            are more, without the first step, which may wait for a compiler.
        loss: mean loss of the sub-epoch so far, None at its start.
        score: ``r2_294`` of the latest validation, None without one.
        seconds_left: estimate for what remains, validation included; None before enough is known.
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
_ENDING = 2.0  # seconds for what follows the last checkpoint: loggers are closed, memory is given back
_MARGIN = 1.25  # what lies ahead may take longer than what was measured
_WARM = 2.0  # seconds of training behind the first step before an estimate is given
_VALIDATION_ROW = 1 / 3  # of the time of a training row, until it is known: one pass forward, none backward


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
        self._first = (0, 0.0)  # rows and seconds of the first step
        self._validation: float | None = None
        self._checkpoint: float | None = None

    @property
    def seconds(self) -> float:
        """Wall time of the run, all segments."""
        return self.before + time.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Columns trained on per second in this segment; without its first step as soon as there is another."""
        rows, seconds = self._warm()
        return rows / max(seconds, 1e-9) if rows else self._rows / max(self._training(), 1e-9)

    def _training(self) -> float:
        return time.monotonic() - self._started - self._aside

    def _warm(self) -> tuple[int, float]:
        """Rows and seconds of training behind the first step."""
        return self._rows - self._first[0], self._training() - self._first[1]

    def count(self, rows: int) -> None:
        """Rows of one more step."""
        if not self._rows:
            self._first = (rows, self._training())
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
                self._checkpoint = max(spent, self._checkpoint or 0.0)

    def seconds_left(self, rows: int, validations: int, validation_rows: int) -> float | None:
        """Time for so many more rows and for validations of so many each; None until the rate can be trusted."""
        if not rows and not validations:
            return 0.0
        warm_rows, warm_seconds = self._warm()
        if not warm_rows or warm_seconds < _WARM:
            return None
        scoring = self._validation
        if scoring is None:
            scoring = _VALIDATION_ROW * validation_rows / self.rate
        return rows / self.rate + validations * scoring

    def seconds_to_end(self, rows: int, validation_rows: int) -> float:
        """Time for so many more rows, a validation of so many if any, the checkpoints after them and the end.

        It is generous. A validation that was not measured yet is taken to be as slow by the row as training, which it
        never is; a checkpoint to be as slow as the slowest so far.
        """
        per_row = 1.0 / self.rate if self._rows else 0.0
        checkpoint = _FIRST_CHECKPOINT if self._checkpoint is None else self._checkpoint
        ahead = per_row * rows + checkpoint
        if validation_rows:
            ahead += checkpoint + (per_row * validation_rows if self._validation is None else self._validation)
        return _MARGIN * ahead + _ENDING
