"""The command line called in this process, and in one of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from subgrid.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command ended with, wrote to standard output and to standard error."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as the one JSON object that it must be."""
        return json.loads(self.out)


@pytest.fixture
def subgrid(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """``subgrid("score", prediction, truth)`` is that command; no traceback ever, and plain lines of error."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["subgrid", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        captured = capfd.readouterr()
        answer = Answer(int(end.value.code or 0), captured.out, captured.err)
        assert "Traceback" not in answer.err
        assert answer.code == 0 or answer.err
        return answer

    return call


@pytest.fixture
def refused(subgrid: Callable[..., Answer]) -> Callable[..., str]:
    """The message of a command that must be refused: exit code 1 (2 for its own words), nothing printed."""

    def call(*arguments: object) -> str:
        answer = subgrid(*arguments)
        assert answer.code in (1, 2) and answer.out == ""
        return answer.err

    return call


@pytest.fixture
def process() -> Callable[..., subprocess.Popen[str]]:
    """A command in a process of its own that leads a group, as on a terminal; not yet waited for."""

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "subgrid", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, **pipes, env=environment, start_new_session=True)

    return start
