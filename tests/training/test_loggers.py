"""Who gets which points: once each, over kills and failures; and what the real libraries have in the end."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from subgrid.errors import MissingExtraError
from subgrid.training import loggers
from subgrid.training.loggers import Loggers
from subgrid.training.loop import train


class Library:
    """A library that remembers its runs, and fails when it is told to."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self.closed: list[bool] = []
        self.failing: set[str] = set()

    def __call__(self, out: Path, about: Any, identity: str | None) -> "Library":
        self._meet("open")
        self.identity = identity or f"run-{len(self.points)}"
        self.points.setdefault(self.identity, [])
        return self

    def log(self, rows: int, figures: dict[str, float]) -> None:
        self._meet("log")
        self.points[self.identity].append((rows, figures))

    def close(self, complete: bool) -> None:
        self._meet("close")
        self.closed.append(complete)

    def _meet(self, what: str) -> None:
        if what in self.failing:
            raise ConnectionError(f"{what}: no route to host")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setitem(loggers._LIBRARIES, "wandb", made)
    return made


def line(rows: int, **more: Any) -> dict[str, Any]:
    return {"event": "sub_epoch", "sub_epoch": rows // 10, "rows": rows, **more}


def segment(out: Path, lines: list, *points: dict, notices: list | None = None) -> None:
    """Open with the lines that stand, add points, close."""
    made = Loggers(["wandb"], out, {}, (notices if notices is not None else []).append)
    made.open(lines)
    for point in points:
        made.log(point)
    made.close(False)


def test_a_point_is_flat_numbers_at_its_rows(library: Library, tmp_path: Path) -> None:
    segment(tmp_path, [], line(10, loss={"total": 0.5}, r2_294=None, clean=True, seconds=2))
    assert library.points == {"run-0": [(10, {"sub_epoch": 1.0, "loss/total": 0.5, "seconds": 2.0})]}


def test_nothing_is_missing_and_nothing_twice_after_a_kill(library: Library, tmp_path: Path) -> None:
    segment(tmp_path, [], line(10), line(20))
    segment(tmp_path, [line(10), line(20), line(30)], line(40))  # killed between the line of 30 and its point
    assert [rows for rows, _ in library.points["run-0"]] == [10, 20, 30, 40]


def test_a_run_that_begins_anew_in_a_folder_is_another_run(library: Library, tmp_path: Path) -> None:
    segment(tmp_path, [], line(10), line(20))
    segment(tmp_path, [], line(10))
    assert {name: [rows for rows, _ in points] for name, points in library.points.items()} == {
        "run-0": [10, 20],
        "run-1": [10],
    }


@pytest.mark.parametrize("what", ["open", "log", "close"])
def test_a_failure_is_said_once_and_stops_nothing(what: str, library: Library, tmp_path: Path) -> None:
    library.failing, notices = {what}, []
    segment(tmp_path, [], line(10), line(20), notices=notices)
    assert len(notices) == 1
    assert f"wandb is left alone from here on, the run goes on (ConnectionError: {what}: no route" in notices[0]
    library.failing = set()
    segment(tmp_path, [line(10), line(20)], line(30))
    assert [rows for rows, _ in library.points["run-0"]] == [10, 20, 30]


def test_a_missing_library_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'subgrid\[mlflow\]'"):
        Loggers(["mlflow"], tmp_path, {}, print).open([])


def test_a_run_hands_on_its_lines(library: Library, data, tiny, tmp_path: Path) -> None:
    train(tiny("training.loggers=[wandb]"), data, tmp_path / "run")
    (points,) = library.points.values()
    lines = [json.loads(text) for text in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(rows, figures["loss/total"]) for rows, figures in points] == [
        (found["rows"], found["loss"]["total"]) for found in lines[:-1]
    ]
    assert library.closed == [True]


def test_runs_of_a_study_that_begin_together_share_an_experiment() -> None:
    """MLflow refuses to make an experiment that another run has made since it was looked for."""

    class Client:
        def __init__(self) -> None:
            self.looked = 0

        def get_experiment_by_name(self, name: str) -> Any:
            self.looked += 1
            return SimpleNamespace(experiment_id="7") if self.looked > 1 else None

        def create_experiment(self, name: str) -> str:
            raise RuntimeError("RESOURCE_ALREADY_EXISTS")

    run = loggers.MLflow.__new__(loggers.MLflow)
    run._client = Client()
    assert run._experiment("subgrid") == "7"
    run._client.get_experiment_by_name = lambda name: None
    with pytest.raises(RuntimeError, match="ALREADY_EXISTS"):
        run._experiment("subgrid")


@pytest.mark.slow
def test_mlflow_has_each_point_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'subgrid[mlflow]'")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setitem(loggers._LIBRARIES, "wandb", loggers.MLflow)
    about = {"recipe": {"training": {"rows": 30}}, **{f"key{number}": number for number in range(150)}}
    notices: list[str] = []
    for lines, point in (([], line(10, loss={"total": 3.0})), ([line(10)], line(20, loss={"total": 2.0}))):
        made = Loggers(["wandb"], tmp_path / "run", about, notices.append)
        (tmp_path / "run").mkdir(exist_ok=True)
        made.open(lines)
        made.log(point)
        made._open["wandb"].log(point["rows"], {"loss/total": point["loss"]["total"]})  # killed before it was noted
        made.close(point["rows"] == 20)
    assert notices == []
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("subgrid").experiment_id])
    assert [(item.step, item.value) for item in client.get_metric_history(run.info.run_id, "loss/total")] == [
        (10, 3.0),
        (20, 2.0),
    ]
    assert run.data.params["recipe.training.rows"] == "30" and len(run.data.params) == 151
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")


@pytest.mark.slow
def test_wandb_writes_offline_under_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'subgrid[wandb]'")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    notices: list[str] = []
    segment(tmp_path, [], line(10, loss={"total": 3.0}), notices=notices)
    segment(tmp_path, [line(10)], line(20, loss={"total": 2.0}), notices=notices)
    assert notices == []
    identity = json.loads((tmp_path / "loggers.json").read_text())["wandb"]["run"]
    written = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert written and {path.name for path in written} == {f"run-{identity}.wandb"}
    assert b"loss/total" in b"".join(path.read_bytes() for path in written)
