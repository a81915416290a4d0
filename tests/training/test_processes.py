"""Several real processes of one run: the same losses as one process, one error for all, the same end for all."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from subgrid.disk import locked
from subgrid.errors import SubgridError
from subgrid.training import folder
from subgrid.training.processes import Processes

ONE = Processes()


def test_one_process_keeps_what_it_has() -> None:
    numbers = torch.tensor([1.0, 2.0])
    assert ONE.total(numbers) is numbers
    assert (ONE.largest(3), ONE.gather({"a": 1}), ONE.first(lambda: "done")) == (3, [{"a": 1}], "done")


def test_what_all_meet_is_told_by_the_first() -> None:
    error = SubgridError("text")
    assert ONE.told_once(error) is error
    assert Processes(rank=2, ranks=3).told_once(error).args == (0,)


def test_the_error_of_one_process_says_whose_it_is() -> None:
    with pytest.raises(SubgridError, match=r"^process 2 of 3: text$"), Processes(rank=2, ranks=3).named():
        raise SubgridError("text")
    with pytest.raises(SubgridError, match=r"^text$"), ONE.named():
        raise SubgridError("text")


@pytest.mark.parametrize("ranks", [1, 2])
def test_only_a_lost_connection_is_put_into_words(ranks: int) -> None:
    with pytest.raises(RuntimeError, match="^shapes"), Processes(0, ranks).named():
        raise RuntimeError("shapes do not fit")
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:5")
    with pytest.raises(SubgridError if ranks > 1 else RuntimeError), Processes(0, ranks).named():
        raise lost


@pytest.fixture
def train(crew, data, tiny: Callable, tmp_path: Path) -> Callable:
    """``train(2, "name", "training.rows=16")`` trains in two processes into ``tmp_path / name``."""

    def call(ranks: int, name: str, *settings: str, words: tuple[str, ...] = (), **how: str) -> list:
        (tmp_path / "recipe.yaml").write_text(tiny(*settings).to_yaml())
        command = ("train", tmp_path / "recipe.yaml", "--data", data.folder, "--out", tmp_path / name, *words)
        return crew.run(ranks, *command, **how)

    return call


def metrics_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


VARIANTS = {
    "plain": [],
    "mlp": ["model.name=mlp"],
    "averaged, clipped": ["training.average=0.9", "training.clip=0.05"],
    "muon": [
        "training.optimizer=muon",
        "training.mirror=true",
        "representation.derived=[humidity,buoyancy,shear]",
        "training.clip=0.05",
    ],
    "targets only": ["training.confidence=false", "training.space_time=false", "training.loss=mse"],
    "deeper": ["model.blocks=3", "training.batch=16", "training.rows=192"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("by", "variant"), [("srun", "plain"), *(("torchrun", variant) for variant in VARIANTS)])
def test_two_processes_lose_as_one_does(by: str, variant: str, train: Callable, tmp_path: Path) -> None:
    assert [end.code for end in train(1, "one", *VARIANTS[variant])] == [0]
    ends = train(2, "two", *VARIANTS[variant], by=by)
    assert [(end.code, end.err) for end in ends if end.code] == []
    assert ends[1].out == ends[1].err == ""  # the first speaks
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    assert len(one) == 4
    for expected, found in zip(one[:-1], two[:-1], strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5, abs=1e-6)
        assert found["r2_294"] == pytest.approx(expected["r2_294"], abs=1e-5)
        assert (found["rows"], found["sub_epoch"]) == (expected["rows"], expected["sub_epoch"])


@pytest.mark.slow
def test_processes_share_a_mixture_and_several_validation_sets(
    train: Callable, data, unvalidated, tmp_path: Path
) -> None:
    sets = "[{name: a, rows: 30}, {name: b, skip: 30}, {name: c, data: high, split: training, rows: 50}]"
    listed = "[{name: low, share: 2}, {name: high, clip: 1.1, once: true}]"
    settings = ("training.validation_rows=0", f"training.data={listed}", f"training.validation={sets}")
    for ranks, name in ((1, "one"), (2, "two")):
        ends = train(ranks, name, *settings, words=("--data", str(unvalidated.folder)))
        assert {end.code for end in ends} == {0}, ends
    one, two = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "two")
    for expected, found in zip(one[:-1], two[:-1], strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5, abs=1e-6)
        assert list(found["validation"]) == ["a", "b", "c"]
        for name, scores in found["validation"].items():
            assert scores["r2_294"] == pytest.approx(expected["validation"][name]["r2_294"], abs=1e-5)


@pytest.mark.slow
def test_more_processes_in_pieces_learn_what_one_does(train: Callable, tmp_path: Path) -> None:
    """Without batch moments, pieces change nothing."""
    settings = ("model.name=mlp", "training.batch=24", "training.rows=240")
    assert train(1, "one", *settings)[0].code == 0
    assert {end.code for end in train(3, "three", *settings, "training.accumulate=4")} == {0}
    one, three = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "three")
    for expected, found in zip(one[:-1], three[:-1], strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5, abs=1e-6)


NAN = """
from subgrid.training import losses
original, calls = losses.Loss.__call__, []
def broken(self, *arguments):
    loss, parts = original(self, *arguments)
    calls.append(0)
    return (loss, parts * float("nan")) if RANK == 1 and len(calls) == 6 else (loss, parts)
losses.Loss.__call__ = broken
"""


@pytest.mark.slow
def test_one_process_s_loss_that_is_not_finite_ends_all_with_one_error(train: Callable, tmp_path: Path) -> None:
    ends = train(2, "run", before=NAN)
    assert [end.code for end in ends] == [1, 0]
    assert "the loss is not finite at step 6 (rows 40 to 47)" in ends[0].err
    assert ends[0].err.count("error:") == 1 and ends[1].err == ""
    assert folder.read_pointer(tmp_path / "run", "latest") == "1"


SIGNAL = """
import os, signal
from subgrid.training.learner import Learner
original = Learner.step
def stepping(self, prepared, at):
    if at == {step} and RANK == {rank}:
        os.kill(os.getpid(), signal.{name})
    return original(self, prepared, at)
Learner.step = stepping
"""


@pytest.mark.slow
@pytest.mark.parametrize("case", [(1, "SIGTERM", 2, 143), (0, "SIGINT", 3, 130)])
def test_whoever_is_asked_to_stop_all_stop_at_the_same_step(
    case: tuple[int, str, int, int], train: Callable, tmp_path: Path, same_end: Callable
) -> None:
    rank, name, step, code = case
    assert {end.code for end in train(2, "whole")} == {0}
    ends = train(2, "broken", before=SIGNAL.format(step=step, rank=rank, name=name))
    assert [end.code for end in ends] == [code, 0]
    assert "what is finished is kept: run the same command again" in ends[0].err and ends[1].err == ""
    assert folder.read_pointer(tmp_path / "broken", "latest") == f"rows-{8 * (step + 1)}"
    assert {end.code for end in train(2, "broken")} == {0}
    same_end(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.slow
def test_a_time_limit_ends_all_with_75(train: Callable, tmp_path: Path) -> None:
    ends = train(2, "run", words=("--time-limit", "1s"))
    assert [end.code for end in ends] == [75, 0]
    assert "not finished" in ends[0].err and ends[1].err + ends[1].out == ""
    assert folder.read_pointer(tmp_path / "run", "latest") == "rows-8"


KILL = "import os; from subgrid.training import run; run.validate = lambda *_: os.kill(os.getpid(), 9)\n"
FULL = """
from subgrid.training import checkpoint
def full(*_):
    raise OSError(28, "No space left on device")
checkpoint.save_file = full
"""


@pytest.mark.slow
def test_the_others_say_that_a_process_has_gone(train: Callable) -> None:
    ends = train(2, "run", before=f"if RANK == 1:\n    {KILL}")
    assert [end.code for end in ends] == [1, -signal.SIGKILL]
    assert "process 0 of 2: another process of this run has ended" in ends[0].err and "Traceback" not in ends[0].err


@pytest.mark.slow
def test_what_only_the_first_process_does_is_told_by_it_alone(train: Callable, tmp_path: Path) -> None:
    ends = train(2, "run", before=FULL)
    assert [end.code for end in ends] == [1, 0]
    assert "No space left on device" in ends[0].err and ends[1].err == ""
    with locked(tmp_path / "run"):
        ends = train(2, "run")
    assert [end.code for end in ends] == [1, 0]
    assert "another process is at work in this folder" in ends[0].err and ends[1].err == ""


@pytest.mark.slow
def test_torchrun_starts_a_run_and_ctrl_c_saves_it(data, tiny: Callable, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(tiny("training.rows=400000", "training.checkpoint_minutes=1e-4").to_yaml())
    module = ("-m", "subgrid", "train", tmp_path / "recipe.yaml", "--data", data.folder, "--out", tmp_path / "run")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *map(str, module),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "latest").exists():
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: torchrun and all that it started
    _, err = running.communicate(timeout=60)
    assert "interrupted; what is finished is kept: run the same command again" in err
    assert "another process" not in err
    rows = int((folder.read_pointer(tmp_path / "run", "latest") or "").removeprefix("rows-"))
    assert rows % 8 == 0 and rows > 0
