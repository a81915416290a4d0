"""The clock of a run, with time standing still or moving as the test says."""

import time

import pytest

from subgrid.training.progress import Meter, Silence


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def test_validation_is_no_training_time(clock: Clock) -> None:
    meter = Meter()
    clock.now += 10
    meter.count(500)
    assert meter.rate == pytest.approx(50)
    with meter.aside(validation=True):
        clock.now += 5
    assert meter.rate == pytest.approx(50)
    assert meter.seconds == pytest.approx(15)


def test_a_first_step_that_waits_for_a_compiler_is_no_measure_of_the_others(clock: Clock) -> None:
    meter = Meter()
    clock.now += 60
    assert meter.seconds_left(1000, 1, 300) is None
    meter.count(100)
    assert meter.rate == pytest.approx(100 / 60)
    assert meter.seconds_left(1000, 1, 300) is None
    clock.now += 1
    meter.count(100)
    assert meter.rate == pytest.approx(100)
    assert meter.seconds_left(1000, 1, 300) is None  # a second behind the first step is not yet enough
    clock.now += 1
    meter.count(100)
    assert meter.seconds_left(1000, 2, 300) == pytest.approx(10 + 2 * 1)  # scoring: a third of training, by the row
    with meter.aside(validation=True):
        clock.now += 7
    assert meter.seconds_left(1000, 2, 300) == pytest.approx(10 + 2 * 7)
    assert meter.seconds_left(0, 0, 300) == Meter().seconds_left(0, 0, 300) == 0


def test_a_lap_starts_anew(clock: Clock) -> None:
    meter = Meter()
    clock.now += 10
    meter.count(100)
    assert meter.lap() == pytest.approx(10)
    with meter.aside():
        clock.now += 100
    clock.now += 2
    meter.count(100)
    assert meter.lap() == pytest.approx(50)


def test_the_end_of_a_segment_is_reckoned_from_what_was_measured(clock: Clock) -> None:
    meter = Meter()
    assert meter.seconds_to_end(10, 0) == pytest.approx(1.25 * 5 + 2)  # nothing known yet but a guess at a checkpoint
    clock.now += 10
    meter.count(1000)
    assert meter.seconds_to_end(100, 0) == pytest.approx(1.25 * (1 + 5) + 2)
    assert meter.seconds_to_end(100, 500) == pytest.approx(1.25 * (1 + 5 + 5 + 5) + 2)  # as slow by the row as training
    for spent, kind in ((20, "checkpoint"), (7, "validation"), (100, ""), (1, "checkpoint")):
        with meter.aside(validation=kind == "validation", checkpoint=kind == "checkpoint"):
            clock.now += spent
    assert meter.seconds_to_end(100, 500) == pytest.approx(1.25 * (1 + 7 + 20 + 20) + 2)


def test_earlier_segments_count(clock: Clock) -> None:
    meter = Meter()
    meter.before = 60.0
    clock.now += 1
    assert meter.seconds == pytest.approx(61)


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Silence().notice("something")
    assert capsys.readouterr() == ("", "")
