"""What a study has not run yet is run, once: with a stand-in for the training, and with the real one killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from subgrid.disk import locked
from subgrid.errors import SettingsError
from subgrid.records.reader import Dataset
from subgrid.study import ledger
from subgrid.study.crew import Crew
from subgrid.study.runs import Workshop
from subgrid.training import metrics
from subgrid.training.loop import train

STUDY = """
seeds: [0, 1]
keep: [base]
factors: {training.loss: [huber]}
"""


class Trainer:
    """Stands in for the process of a run: writes what a run would leave, or fails, or is stopped."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ends: dict[str, int] = {}

    def __call__(self, crew: Crew, command: list[str], say: Callable[[str], None]) -> tuple[int, str]:
        place = Path(command[command.index("--out") + 1])
        self.started.append(place.name)
        (place / "checkpoints" / "3").mkdir(parents=True, exist_ok=True)
        (place / "latest").write_text("3\n")
        code = self.ends.pop(place.name, 0)
        if not code and not (place / "metrics.jsonl").exists():
            for rows in (32, 64, 96):
                found = {"event": "sub_epoch", "rows": rows, "columns_per_second": 16.0 if rows < 96 else 8.0}
                metrics.append(place / "metrics.jsonl", found)
            metrics.append(place / "metrics.jsonl", {"event": "finished", "rows": 96, "r2_294": 0.5, "seconds": 24.0})
        return code, "it broke"


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(Crew, "run", lambda crew, command, say: made(crew, command, say))
    monkeypatch.setattr("subgrid.training.checkpoint.read_card", lambda path: {"conditions": {"device": "cpu"}})
    return made


@pytest.fixture
def workshop(planned, work: Path, tmp_path: Path) -> Workshop:
    said: list[str] = []
    return Workshop(*planned(STUDY), [Dataset.open(work / "data")], tmp_path / "out", said.append)


ALL = ["base.seed-0", "training.loss=huber.seed-0", "base.seed-1", "training.loss=huber.seed-1"]


def written(out: Path) -> list[dict]:
    return [json.loads(text) for text in (out / "study.jsonl").read_text().splitlines()]


def test_every_run_leaves_one_line_and_is_not_run_again(trainer: Trainer, workshop: Workshop) -> None:
    assert list(workshop.carry_out()) == list(workshop.carry_out()) == trainer.started == ALL
    lines = written(workshop.out)
    assert [line["name"] for line in lines] == ALL
    expected = {"scores": {"r2_294": 0.5}, "rows": 96, "seconds": 24.0, "machine": {"device": "cpu"}, "status": "done"}
    assert expected.items() <= lines[1].items()
    assert (lines[1]["seed"], lines[1]["overrides"]) == (0, {"training.loss": "huber"})
    assert lines[1]["columns_per_second"] == pytest.approx(96 / (2 + 2 + 4))


def test_runs_side_by_side_leave_the_same_lines(trainer: Trainer, workshop: Workshop) -> None:
    assert list(workshop.carry_out(jobs=3)) == ALL
    assert sorted(line["name"] for line in written(workshop.out)) == sorted(trainer.started) == sorted(ALL)


def test_checkpoints_go_unless_they_are_kept(trainer: Trainer, workshop: Workshop) -> None:
    workshop.carry_out()
    kept = {
        run.name: sorted(path.name for path in (workshop.out / "runs" / run.name).iterdir()) for run in workshop.runs
    }
    assert kept["base.seed-1"] == ["checkpoints", "latest", "metrics.jsonl"]
    assert kept["training.loss=huber.seed-1"] == ["metrics.jsonl"]


def test_a_failed_run_is_noted_and_tried_again_when_asked(trainer: Trainer, workshop: Workshop) -> None:
    trainer.ends = {ALL[1]: 1}
    lines = workshop.carry_out()
    assert [line["status"] for line in lines.values()] == ["done", "failed", "done", "done"]
    assert lines[ALL[1]]["error"] == "it broke" and "scores" not in lines[ALL[1]]
    assert workshop.carry_out()[ALL[1]]["status"] == "failed" and len(trainer.started) == 4
    assert workshop.carry_out(retry=True)[ALL[1]]["status"] == "done"
    assert trainer.started[4:] == [ALL[1]]
    assert sorted(line["name"] for line in written(workshop.out)) == sorted(ALL)


@pytest.mark.parametrize(
    ("code", "ending"), [(130, KeyboardInterrupt), (143, SystemExit), (-2, KeyboardInterrupt), (-15, SystemExit)]
)
def test_a_run_that_was_stopped_stops_the_study(
    code: int, ending: type[BaseException], trainer: Trainer, workshop: Workshop
) -> None:
    trainer.ends = {ALL[2]: code}
    with pytest.raises(ending):
        workshop.carry_out()
    assert workshop.states() == dict(zip(ALL, ("done", "done", "begun", "to do"), strict=True))
    workshop.carry_out()
    assert trainer.started == [*ALL[:3], *ALL[2:]]


def test_a_run_that_somebody_still_trains_is_waited_for(
    trainer: Trainer, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, said = [], []

    def pause(crew: Crew, seconds: float) -> None:
        paused.append(seconds)
        if paused.count(1.0) == 2:
            raise TimeoutError

    monkeypatch.setattr(Crew, "pause", pause)
    with locked(workshop.out / "runs" / ALL[0]), pytest.raises(TimeoutError):
        replace(workshop, say=said.append).carry_out()
    assert trainer.started == []
    assert sum("waiting for a process" in text for text in said) == 1


def test_a_folder_of_something_else_is_left_alone(trainer: Trainer, planned, work: Path) -> None:
    for place, message in ((work / "run", "found best, checkpoints, data"), (work / "recipe.yaml", "found a file")):
        made = Workshop(*planned(STUDY), [Dataset.open(work / "data")], place, print)
        with pytest.raises(SettingsError, match=message):
            made.carry_out()


def test_one_study_at_a_time(trainer: Trainer, workshop: Workshop) -> None:
    workshop.out.mkdir()
    with locked(workshop.out), pytest.raises(SettingsError, match="another process"):
        workshop.carry_out()


def test_the_time_left_follows_from_runs_of_the_same_variant(workshop: Workshop) -> None:
    workshop.out.mkdir()
    assert workshop.rows() == dict.fromkeys(ALL, 96)
    assert workshop.seconds_left() is None
    for name, seconds, expected in ((ALL[0], 10, 3 * 10), (ALL[1], 30, 10 + 30)):
        (run,) = [run for run in workshop.runs if run.name == name]
        line = {"name": name, "recipe": run.digest, "data": workshop.digest, "rows": 96, "seconds": seconds}
        ledger.add_line(workshop.out, {**line, "status": "done"})
        assert workshop.seconds_left() == pytest.approx(expected)


def test_a_recipe_of_other_data_is_refused_before_anything_is_run(trainer: Trainer, workshop: Workshop) -> None:
    made = replace(workshop, data=[*workshop.data, *workshop.data])
    with pytest.raises(SettingsError, match="lists 1 data set"):
        made.carry_out()
    assert trainer.started == [] and not workshop.out.exists()


@pytest.mark.slow
def test_a_study_killed_on_the_way_ends_as_its_runs_alone(planned, work: Path, tmp_path: Path) -> None:
    _, (run,) = planned("seeds: [0]\nset: {training.rows: 2400, training.checkpoint_minutes: 1e-3}")
    alone = train(run.recipe, Dataset.open(work / "data"), tmp_path / "alone")
    command = [sys.executable, "-m", "subgrid", "study", tmp_path / "study.yaml", "--data", work / "data", "--json"]
    command = [*map(str, command), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    latest = tmp_path / "out" / "runs" / "base.seed-0" / "latest"
    running = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    deadline = time.monotonic() + 60
    while not latest.exists():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGTERM)  # the study alone, which ends its run
    running.communicate(timeout=60)
    assert running.returncode == 143
    with locked(latest.parent):  # nobody trains there any more
        pass
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "going on from checkpoint rows-" in done.stderr
    (line,) = written(tmp_path / "out")
    assert json.loads(done.stdout)["runs"] == [line]
    assert (line["scores"], line["rows"]) == (alone.scores, 2400)
