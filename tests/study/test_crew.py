"""Processes side by side: real ones, which fail, are killed, and are ended together."""

import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from subgrid.errors import SettingsError
from subgrid.study.crew import Crew, share

WAITS = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)"
MEETS = """
import os, sys, time
mine, other = sys.argv[1:]
open(mine, "w").close()
end = time.monotonic() + 30
while not os.path.exists(other) and time.monotonic() < end:
    time.sleep(0.01)
sys.exit(0 if os.path.exists(other) else 1)
"""


def python(code: str, *words: object) -> list[str]:
    return [sys.executable, "-c", code, *map(str, words)]


def silent(text: str) -> None:
    """Told, and says nothing."""


def test_an_error_of_a_process_is_its_own_words() -> None:
    said: list[str] = []
    code = "import sys; print('working', file=sys.stderr); print('error: no space', file=sys.stderr); sys.exit(1)"
    assert Crew().run(python(code), said.append) == (1, "no space")
    assert said == ["working"]
    killed = python("import os; os.kill(os.getpid(), 9)")
    assert Crew().run(killed, said.append) == (-9, "it ended with exit code -9 (out of memory?)")


def test_two_at_a_time_meet_and_one_at_a_time_does_not(tmp_path: Path) -> None:
    crew, (one, other) = Crew(2), (tmp_path / "one", tmp_path / "other")
    commands = [python(MEETS, one, other), python(MEETS, other, one)]
    assert [code for code, _ in crew.each(partial(crew.run, say=silent), commands)] == [0, 0]
    alone, order = Crew(), []
    list(alone.each(order.append, [3, 1, 2]))
    assert order == [3, 1, 2]


def test_an_error_of_one_ends_the_others_at_once_and_starts_no_more(tmp_path: Path) -> None:
    crew, waiting, never = Crew(2), tmp_path / "waiting", tmp_path / "never"
    ends: list[int] = []

    def work(name: Path | None) -> int:
        if name is None:
            while not waiting.exists():
                time.sleep(0.01)
            raise SettingsError("it broke")
        ends.append(crew.run(python(WAITS, name), silent)[0])
        return 0

    begun = time.monotonic()
    with pytest.raises(SettingsError, match="it broke"):
        list(crew.each(work, [waiting, None, never]))
    assert ends == [-15] and not never.exists() and time.monotonic() - begun < 30
    with pytest.raises(SystemExit):
        crew.run(python(WAITS, never), silent)


def test_cores_are_shared_and_gpus_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(7)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert share(0, 1) == {}
    assert share(1, 2) == {"OMP_NUM_THREADS": "3"}
    assert share(8, 9)["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [share(place, 3)["CUDA_VISIBLE_DEVICES"] for place in range(3)] == ["4", "6", "4"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert share(1, 2)["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize("size", [0, -1])
def test_no_processes_are_refused(size: int) -> None:
    with pytest.raises(SettingsError, match=f"from 1 on, found {size}"):
        Crew(size)
