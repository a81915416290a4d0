"""How the command ends: 0 done, 1 refused, 2 wrong usage, 75 in time, 130 Ctrl-C, 143 SIGTERM; an error is plain."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import subgrid as package
from subgrid import chain, cli

INTERRUPTED = "interrupted; what is finished is kept: run the same command again\n"


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["--version"]])
def test_help_and_version_are_0_on_standard_output(subgrid, arguments: list[str]) -> None:
    answer = subgrid(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out


def test_the_version_is_the_package_s(subgrid) -> None:
    assert subgrid("--version").out == f"subgrid {package.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["score"],
        ["score", "one", "two", "three"],
        ["score", "one", "two", "--jsn"],
        ["build", "one", "two", "--stride", "0"],
        ["build", "one", "two", "--workers", "many"],
        ["sample", "out", "--seed", "9999999999"],
        ["predict", "one", "two", "three", "--batch", "-1"],
        ["train", "recipe.yaml"],
    ],
)
def test_wrong_usage_is_2(subgrid, arguments: list[str]) -> None:
    answer = subgrid(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "Error: " in answer.err


def test_an_error_is_one_plain_line_however_long(subgrid, tmp_path: Path) -> None:
    path = tmp_path / ("long name [bold]with[/bold] " * 9)
    answer = subgrid("verify", path)
    assert answer.code == 1
    assert answer.err.splitlines() == [f"error: {path}: expected a data set with a dataset.json, found no data set"]


def test_what_the_system_refuses_is_no_traceback(subgrid, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(chain, "run", full)
    answer = subgrid("run", work / "recipe.yaml")
    assert (answer.code, answer.err) == (1, "error: somewhere: No space left on device\n")


def test_too_little_memory_is_no_traceback(subgrid, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(chain, "run", greedy)
    answer = subgrid("run", work / "recipe.yaml")
    assert (answer.code, answer.err) == (1, "error: there is not enough memory\n")


def test_a_fault_of_ours_is_not_hidden(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(chain, "run", faulty)
    monkeypatch.setattr(cli.sys, "argv", ["subgrid", "run", str(work / "recipe.yaml")])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_ctrl_c_inside_a_command_is_130(subgrid, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(chain, "run", interrupted)
    answer = subgrid("run", work / "recipe.yaml")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == INTERRUPTED


def test_sigterm_inside_a_command_is_143(subgrid, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(*_: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(chain, "run", terminated)
    answer = subgrid("run", work / "recipe.yaml")
    assert (answer.code, answer.out) == (143, "")
    assert answer.err == INTERRUPTED.replace("interrupted", "terminated")


def test_a_segment_that_its_time_limit_ended_is_75_and_goes_on(subgrid, work: Path, tmp_path: Path) -> None:
    command = ("train", work / "recipe.yaml", "--data", work / "data", "--out", tmp_path / "run")
    answer = subgrid(*command, "--time-limit", "1s")
    assert answer.code == 75
    assert "run: not finished: the time limit of 1s has come; the same command goes on" in answer.err
    assert "8 rows" in answer.out
    answer = subgrid(*command, "--time-limit", "1:00:00")
    assert answer.code == 0 and "96 rows" in answer.out
    assert "expected a time" in subgrid(*command, "--time-limit", "soon").err


@pytest.mark.parametrize(
    "words",
    [
        ("build", "raw", "out", "--part", "a/b"),
        ("build", "raw", "out", "--shard-size", "much"),
        ("build", "raw", "out", "--validation", "some"),
        ("build", "raw", "out", "--start", "yesterday"),
        ("build", "raw", "out", "--draw", "44x5"),
        ("build", "raw", "out", "--variables", "v9"),
        ("download", "out", "--part", "2/1"),
        ("download", "out", "--end", "0001-13"),
        ("merge", "out", "part", "--part", "0/2"),
        ("sample", "out", "--columns", 3, "--grid", "grid.nc"),
        ("ensemble", "out", "one", "--weights", "a=b"),
        ("ensemble", "out", "one", "--by", "kind"),
        ("weights", "--new", "--from", "data"),
        ("build", "one", "two", "--plan-only"),
        ("build", "one", "two", "--plan", "plan.json", "--plan-only", "--dry-run"),
        ("run", "WORK/recipe.yaml", "--set", "seed"),
        ("score", "WORK/prediction", "WORK/data", "--out", "scores.txt"),
        ("publish", "WORK/data", "out", "--licence", "mine"),
        ("publish", "WORK/data", "out", "--kaggle", "me"),
    ],
)
def test_words_that_mean_nothing_are_wrong_usage(
    subgrid, words: tuple[object, ...], work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = subgrid(*(str(word).replace("WORK", str(work)) for word in words))
    assert (answer.code, answer.out) == (2, "") and answer.err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def wait_for(condition, process) -> None:
    for _ in range(600):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("nothing happened within 30 s")


def test_an_interrupted_sample_goes_on_to_the_same_bytes(subgrid, process, tmp_path: Path) -> None:
    command = ("sample", tmp_path / "broken", "--columns", 24, "--steps", 24)
    running = process(*command)
    wait_for(lambda: len(list((tmp_path / "broken").rglob("*.mlo.*.nc"))) > 1, running)
    os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does: the command and its workers
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (
        130,
        "",
        INTERRUPTED,
    )
    assert len(list((tmp_path / "broken").rglob("*.mli.*.nc"))) < 24
    assert subgrid("build", tmp_path / "broken", tmp_path / "data").code == 0
    assert subgrid(*command).code == 0
    assert subgrid("sample", tmp_path / "whole", "--columns", 24, "--steps", 24).code == 0
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.nc")]
    assert len(files) == 49
    assert all((tmp_path / "whole" / one).read_bytes() == (tmp_path / "broken" / one).read_bytes() for one in files)


@pytest.mark.slow
def test_an_interrupted_training_is_130_and_goes_on(process, subgrid, work: Path, tmp_path: Path) -> None:
    command = ("train", work / "recipe.yaml", "--data", work / "data", "--out", tmp_path / "run")
    settings = ("--set", "training.rows=200000", "--set", "training.checkpoint_minutes=1e-4")
    running = process(*command, *settings)
    wait_for(lambda: (tmp_path / "run" / "latest").exists(), running)
    os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does: the command and its workers
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert "Traceback" not in err and err.endswith(INTERRUPTED)
    found = subgrid("inspect", tmp_path / "run", "--json").data
    assert 0 < found["rows"] < 200_000 and not found["finished"]


@pytest.mark.slow
def test_an_interrupted_build_of_workers_is_quiet_and_goes_on(process, subgrid, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "data"
    assert subgrid("sample", source, "--columns", 24, "--steps", 64).code == 0
    command = ("build", source, out, "--shard-size", "1KB", "--workers", 2)
    running = process(*command)
    wait_for(lambda: len(list((out / "parts").glob("*"))) > 3, running)
    os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does: the command and its workers
    stdout, err = running.communicate(timeout=60)
    assert (running.returncode, stdout) == (130, "")
    assert "Traceback" not in err
    assert subgrid(*command).code == 0
    assert subgrid("verify", out).code == 0


def test_ctrl_c_before_the_command_is_read_in_is_130_without_a_word() -> None:
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'subgrid.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from subgrid.__main__ import main\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
