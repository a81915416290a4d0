"""What stands on a terminal and what in a log: words for sizes and times, bars or rare lines, all on standard error."""

import json

import pytest

from subgrid.cli import terminal
from subgrid.errors import SettingsError
from subgrid.training.progress import Progress


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (91_400_000, "91.4 MB"), (2.5e9, "2.5 GB"), (7e15, "7e+03 TB")],
)
def test_sizes_in_words(count: float, words: str) -> None:
    assert terminal.size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.9, "0:00"), (123, "2:03"), (3723, "1:02:03"), (360_000, "100:00:00")]
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert terminal.duration(seconds) == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h30m", 5400), ("90m", 5400), ("45s", 45), ("1d2h", 93_600), ("1:30:00", 5400), ("1-12:00:00", 129_600)],
)
def test_a_time_limit_is_read_as_people_and_slurm_write_it(text: str, seconds: float) -> None:
    assert terminal.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "90", "1:30", "soon", "-1h", "1h 30m", "1.5h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected a time such as 1h30m"):
        terminal.seconds_of(text)


def test_one_process_of_several_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.speaks()
    terminal.refuse_several("run")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert not terminal.speaks()
    with pytest.raises(SettingsError, match="subgrid run works in one process, torchrun started 2"):
        terminal.refuse_several("run")


def test_json_is_one_object_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.as_json({"score": 0.1, "none": None})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"score": 0.1, "none": None}
    assert captured.err == ""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is set."""
    now = [1000.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_every_ten_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("build") as report:
        for second in range(25):
            clock[0] += 1
            report(second * 1000, 25_000)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "build: 10,000 of 25,000 columns",
        "build: 21,000 of 25,000 columns",
    ]
    assert captured.out == ""


def progressed(**changes: object) -> Progress:
    values = {"stage": "training", "rows": 500, "total": 2000, "sub_epoch": 1, "sub_epochs": 4, "rate": 1234.0,
              "loss": 0.5, "score": 0.25, "seconds_left": 62.0}  # fmt: skip
    return Progress(**(values | changes))


def test_training_is_told_rarely_in_a_log(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.TrainingDisplay() as display:
        display.progress(progressed())
        display.progress(progressed(rows=600))
        clock[0] += 16
        display.progress(progressed(rows=700, loss=None, score=None, seconds_left=None))
        display.notice("a word")
    assert capsys.readouterr().err.splitlines() == [
        "training: 500 of 2,000 rows, 1,234 columns/s, loss 0.5000, r2_294 0.250, 1:02 left",
        "training: 700 of 2,000 rows, 1,234 columns/s",
        "a word",
    ]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")


def test_bars_stand_on_standard_error(
    capsys: pytest.CaptureFixture[str], screen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal.sys.stderr, "isatty", lambda: True, raising=False)
    with terminal.progress("verify", "bytes") as report:
        report(0, 10)
        report(10, 10)
    with terminal.TrainingDisplay() as display:
        display.progress(progressed())
        display.close()
        display.progress(progressed(rows=2000, stage="validation"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "verify" in captured.err and "validation 1/4" in captured.err and "r2_294 0.250" in captured.err


def test_a_display_that_was_never_used_can_be_closed() -> None:
    with terminal.TrainingDisplay() as display:
        display.close()


def test_nothing_that_is_said_shows_a_secret(capsys: pytest.CaptureFixture) -> None:
    for tell in (terminal.say, terminal.fail):
        tell("gs://me:hunter2@bucket/a and (url: /a?-sig=hunter2) of https://h/b?token=hunter2 are 50 %")
        told = capsys.readouterr().err
        assert told.removeprefix("error: ") == "gs://bucket/a and (url: /a of https://h/b are 50 %\n"


def test_one_is_not_many() -> None:
    assert [terminal.many(count, "step") for count in (0, 1, 2304)] == ["0 steps", "1 step", "2,304 steps"]
