"""The points of a run for MLflow and Weights & Biases, beside the JSON lines that are always written.

A point is one line of metrics.jsonl, at the step = rows. It is handed on once its checkpoint stands, and
OUT/loggers.json notes who has got which: a run that goes on hands on what is missing and nothing twice. What a library
does badly never stops a run: it is said once, and that library is left alone for the rest of the segment.
"""

import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from subgrid.errors import MissingExtraError
from subgrid.training import folder

FILE = "loggers.json"
PROJECT = "subgrid"
"""Experiment of MLflow, project of Weights & Biases, where their own environment variables name no other."""

Notice = Callable[[str], None]


class Logger(Protocol):
    """One library; ``identity`` is what it knows the run by, ``log`` and ``close`` may raise anything."""

    identity: str

    def log(self, rows: int, figures: Mapping[str, float]) -> None:
        """Add a point."""

    def close(self, complete: bool) -> None:
        """No more points in this segment."""


class Loggers:
    """All loggers of a run; none in the processes that do not write.

    Args:
        names: ``mlflow``, ``wandb``.
        out: the run's folder.
        about: what is said of the run once: recipe, digest of the data, and so on.
        notice: who is told of failures.
    """

    def __init__(self, names: Sequence[str], out: Path, about: Mapping[str, Any], notice: Notice) -> None:
        self.names, self.out, self.about, self.notice = names, out, about, notice
        self._open: dict[str, Logger] = {}
        self._state: dict[str, dict[str, Any]] = {}

    def open(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Begin, or go on, and hand on those of the run's lines of metrics that are missing.

        Raises MissingExtraError with the extra that brings a library.
        """
        path, end = self.out / FILE, max((line["rows"] for line in lines), default=0)
        stored = json.loads(path.read_text(encoding="utf-8")) if self.names and path.exists() else {}
        # Points that lie after the run's last belong to a run that was here before.
        self._state = {name: item for name, item in stored.items() if item["rows"] <= end}
        for name in self.names:
            identity = self._state.get(name, {}).get("run")
            try:
                self._open[name] = _LIBRARIES[name](self.out, self.about, identity)
            except ImportError as error:
                raise MissingExtraError(
                    f"training.loggers: {name} is not installed ({error}); install it with: pip install "
                    f"'subgrid[{name}]'"
                ) from error
            except Exception as error:
                self._give_up(name, error)
                continue
            self._state.setdefault(name, {"rows": 0})["run"] = self._open[name].identity
        for line in lines:
            self.log(line)

    def log(self, line: Mapping[str, Any]) -> None:
        """Hand on a line of metrics to those who have not got it."""
        rows = line["rows"]
        waiting = [name for name in self._open if self._state[name]["rows"] < rows]
        for name in waiting:
            try:
                self._open[name].log(rows, dict(_figures(line)))
                self._state[name]["rows"] = rows
            except Exception as error:
                self._give_up(name, error)
        if waiting:
            folder.write_text(self.out / FILE, json.dumps(self._state))

    def close(self, complete: bool) -> None:
        """End the segment; ``complete`` says whether the run has ended too."""
        for name, logger in list(self._open.items()):
            try:
                logger.close(complete)
            except Exception as error:
                self._give_up(name, error)
        self._open.clear()

    def _give_up(self, name: str, error: Exception) -> None:
        self._open.pop(name, None)
        words = (str(error).strip().splitlines() or [""])[0][:300]
        self.notice(f"{name} is left alone from here on, the run goes on ({type(error).__name__}: {words})")


def _figures(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Numbers of a line of metrics, those of a group as ``group/name``."""
    for name, value in line.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and name != "rows":
            yield f"{prefix}{name}", float(value)


def _texts(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _texts(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


class MLflow:
    """A run of MLflow: where MLFLOW_TRACKING_URI says, else in mlflow.db in the folder that holds the run."""

    def __init__(self, out: Path, about: Mapping[str, Any], identity: str | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._metric = Metric
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out.resolve().parent / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=uri)
        if identity:
            self.identity, self._start = identity, self._client.get_run(identity).info.start_time
            self._client.update_run(identity, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        info = self._client.create_run(self._experiment(name), run_name=out.name).info
        self.identity, self._start = info.run_id, info.start_time
        parameters = [Param(name, text) for name, text in _texts(about)]
        for start in range(0, len(parameters), 100):  # the most that MLflow takes at once
            self._client.log_batch(self.identity, params=parameters[start : start + 100])

    def _experiment(self, name: str) -> str:
        """The id of an experiment, which is made where there is none; runs of a study may begin at the same moment."""
        if known := self._client.get_experiment_by_name(name):
            return str(known.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except Exception:
            if known := self._client.get_experiment_by_name(name):
                return str(known.experiment_id)
            raise

    def log(self, rows: int, figures: Mapping[str, float]) -> None:
        """Add a point; its time follows from the run's, so that MLflow takes the same point twice as one."""
        time = self._start + int(1000 * figures.get("seconds", 0.0))
        points = [self._metric(name, value, time, rows) for name, value in figures.items()]
        self._client.log_batch(self.identity, metrics=points)

    def close(self, complete: bool) -> None:
        """Finished, or killed as long as the run has not come to its end."""
        self._client.set_terminated(self.identity, status="FINISHED" if complete else "KILLED")


class WeightsAndBiases:
    """A run of Weights & Biases in OUT/wandb; offline unless WANDB_MODE says otherwise (``wandb sync`` sends it)."""

    def __init__(self, out: Path, about: Mapping[str, Any], identity: str | None) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self.identity = identity or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=out.name,
            id=self.identity,
            resume="allow",
            dir=str(out),
            mode=os.environ.get("WANDB_MODE", "offline"),
            config=dict(about),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, rows: int, figures: Mapping[str, float]) -> None:
        """Add a point; what lies before the last one is ignored there."""
        self._run.log(dict(figures), step=rows)

    def close(self, complete: bool) -> None:
        """Write what is under way; exit code 1 stands for a run that is to go on."""
        self._run.finish(exit_code=0 if complete else 1)


_LIBRARIES: dict[str, Callable[[Path, Mapping[str, Any], str | None], Logger]] = {
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}
