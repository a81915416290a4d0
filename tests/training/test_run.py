"""A segment of a run: signals, broken losses, what is reported."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from subgrid.errors import SubgridError
from subgrid.training import folder
from subgrid.training.learner import Learner
from subgrid.training.loop import train


def signal_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Send a signal to this process in the middle of a step."""
    original = Learner.step

    def stepping(self: Learner, prepared, at: int) -> torch.Tensor:
        if at == step:
            os.kill(os.getpid(), number)
        return original(self, prepared, at)

    monkeypatch.setattr(Learner, "step", stepping)


ENDINGS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


@pytest.mark.parametrize("case", [(step, number) for step in (0, 2, 3, 11) for number in ENDINGS])
def test_an_interrupted_run_saves_and_goes_on_to_the_same_bits(
    case: tuple[int, signal.Signals], data, tiny, tmp_path: Path, same_end: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, number = case
    train(tiny(), data, tmp_path / "whole")
    with monkeypatch.context() as patched:
        signal_at(patched, step, number)
        with pytest.raises(ENDINGS[number]):
            train(tiny(), data, tmp_path / "broken")
    # Interrupted in the last step of a sub-epoch, the run saves before it is scored.
    assert folder.read_pointer(tmp_path / "broken", "latest") == f"rows-{8 * (step + 1)}"
    train(tiny(), data, tmp_path / "broken")
    same_end(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.parametrize("step", [3, 11])
def test_a_run_interrupted_in_a_validation_saves_its_own_weights_beside_the_average(
    step: int, data, tiny, tmp_path: Path, same_end: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny("training.average=0.9"), data, tmp_path / "whole")
    with monkeypatch.context() as patched:
        signal_at(patched, step, signal.SIGTERM)
        with pytest.raises(SystemExit):
            train(tiny("training.average=0.9"), data, tmp_path / "broken")
    train(tiny("training.average=0.9"), data, tmp_path / "broken")
    same_end(tmp_path / "whole", tmp_path / "broken")


def test_a_loss_that_is_not_finite_names_its_step(data, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Learner.step

    def stepping(self: Learner, prepared, at: int) -> torch.Tensor:
        parts = original(self, prepared, at)
        return parts * float("nan") if at == 6 else parts

    monkeypatch.setattr(Learner, "step", stepping)
    with pytest.raises(SubgridError, match=r"step 7 \(rows 48 to 55\); the checkpoint before it, 1, stands.*clip"):
        train(tiny(), data, tmp_path / "run")
    assert folder.read_pointer(tmp_path / "run", "latest") == "1"


def test_weights_that_are_not_finite_are_not_saved(data, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Learner.step

    def stepping(self: Learner, prepared, at: int) -> torch.Tensor:
        parts = original(self, prepared, at)
        if at == 5:
            with torch.no_grad():
                next(self.emulator.network.parameters()).fill_(float("inf"))
        return parts

    monkeypatch.setattr(Learner, "step", stepping)
    with pytest.raises(SubgridError, match=r"not finite.*embed\.weight.*checkpoint before it, rows-40"):
        train(tiny("training.checkpoint_minutes=1e-9"), data, tmp_path / "run")


def test_progress_goes_from_nothing_to_all(data, tiny, tmp_path: Path, witness) -> None:
    train(tiny(), data, tmp_path / "run", reporter=witness)
    stages = [progress.stage for progress in witness.seen]
    assert {"training", "validation", "checkpoint"} == set(stages)
    assert all(progress.total == 96 and progress.sub_epochs == 3 for progress in witness.seen)
    last = witness.seen[-1]
    assert (last.rows, last.sub_epoch, last.seconds_left) == (96, 3, pytest.approx(0))
    assert isinstance(last.score, float)
    assert witness.notices == []
