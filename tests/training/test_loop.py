"""A run as a whole: interrupted = uninterrupted, refusals, other starts."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.training import checkpoint, folder
from subgrid.training.loop import train

VARIANTS = {
    "squeezeformer": [],
    "averaged": ["training.average=0.9", "training.clip=0.5"],
    "mlp by step": ["model.name=mlp", "training.schedule=step", "training.loss=huber"],
    "muon": [
        "training.optimizer=muon",
        "training.mirror=true",
        "representation.derived=[humidity,buoyancy,shear]",
        "representation.symmetric=true",
        "training.clip=0.5",
    ],
    "bare": ["training.confidence=false", "training.space_time=false", "training.loss=mse"],
}


class CrashError(Exception):
    """What ends a process in these tests."""


class Crashing:
    """A data set whose stream breaks after some batches."""

    def __init__(self, data, batches: int) -> None:
        self._data, self._left = data, batches

    def __getattr__(self, name: str):
        return getattr(self._data, name)

    def stream(self, *args, **named):
        outer = self
        inner = self._data.stream(*args, **named)

        class Stream:
            def __enter__(self):
                return self

            def __exit__(self, *_: object) -> None:
                inner.close()

            def __next__(self):
                outer._left -= 1
                if outer._left < 0:
                    raise CrashError
                return next(inner)

        return Stream()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_that_crashed_ends_with_the_same_bits(
    variant: str, data, tiny, tmp_path: Path, same_end: Callable
) -> None:
    draw = random.Random(variant)
    train(tiny(*VARIANTS[variant]), data, tmp_path / "whole")
    broken = tmp_path / "broken"
    # A checkpoint after every step in some segments, only at the end of sub-epochs in the others.
    for minutes in (1e-9, 60, 1e-9, 60, 60):
        with pytest.raises(CrashError):
            recipe = tiny(*VARIANTS[variant], f"training.checkpoint_minutes={minutes}")
            train(recipe, Crashing(data, draw.randrange(0, 3)), broken)
    summary = train(tiny(*VARIANTS[variant]), data, broken)
    same_end(tmp_path / "whole", broken)
    assert (summary.rows, summary.latest) == (96, "3")
    assert sorted(path.name for path in (broken / "checkpoints").iterdir()) == sorted({"3", summary.best})


def test_the_folder_of_a_run(data, tiny, tmp_path: Path) -> None:
    recipe = tiny()
    summary = train(recipe, data, tmp_path / "run")
    found = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith(".")}
    assert found == {"recipe.yaml", "data", "metrics.jsonl", "checkpoints", "latest", "best"}
    assert Path((tmp_path / "run" / "data").read_text().strip()) == data.folder.resolve()
    assert (tmp_path / "run" / "recipe.yaml").read_text() == recipe.to_yaml()
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["sub_epoch"] * 3 + ["finished"]
    assert [line["rows"] for line in lines] == [32, 64, 96, 96]
    assert [line["learning_rate"] for line in lines[:3]] == pytest.approx([0.01, 0.0075, 0.0025])
    assert set(lines[0]["loss"]) == {"total", "targets", "space_time", "confidence"}
    assert all(set(summary.scores) == {"competition", "r2_308", "r2_294"} <= set(line) for line in lines)
    best = max(lines[:3], key=lambda line: line["r2_294"])
    assert summary.best == str(best["sub_epoch"])
    assert lines[-1]["seconds"] >= lines[2]["seconds"]


def test_learning_lowers_the_loss(data, tiny, tmp_path: Path) -> None:
    train(tiny("training.rows=800", "model.name=mlp", "model.layers=[64]"), data, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[2]["loss"]["targets"] < 0.98 * lines[0]["loss"]["targets"]


def test_without_validation_there_are_no_scores_and_the_latest_is_the_best(unvalidated, tiny, tmp_path: Path) -> None:
    summary = train(tiny(), unvalidated, tmp_path / "run")
    assert summary.scores is None
    assert summary.latest == summary.best == "3"
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["3"]
    assert "r2_294" not in (tmp_path / "run" / "metrics.jsonl").read_text()
    assert checkpoint.load_emulator(f"{tmp_path / 'run'}@best")[1].card["scores"] is None


def test_a_complete_run_says_so_and_stays_as_it_is(data, tiny, tmp_path: Path, witness) -> None:
    run = tmp_path / "run"
    train(tiny(), data, run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    summary = train(tiny(), data, run, reporter=witness)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert ["complete" in notice for notice in witness.notices] == [True]
    assert summary.rows == 96


def test_the_last_line_is_written_when_only_it_is_missing(data, tiny, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny(), data, run)
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:7])
    train(tiny(), data, run)
    found = path.read_text().splitlines(keepends=True)
    assert found[:-1] == lines[:-1]
    assert json.loads(found[-1])["event"] == "finished"


def test_another_recipe_is_refused_by_the_names_of_its_keys(data, tiny, tmp_path: Path) -> None:
    train(tiny(), data, tmp_path / "run")
    with pytest.raises(SettingsError) as error:
        train(tiny("model.width=8", "training.rows=200", "training.threads=0"), data, tmp_path / "run")
    assert "model.width: 4 -> 8" in str(error.value)
    assert "training.rows: 96 -> 200" in str(error.value)
    assert "threads" not in str(error.value)


def test_other_data_are_refused(data, unvalidated, tiny, tmp_path: Path) -> None:
    train(tiny(), data, tmp_path / "run")
    with pytest.raises(DatasetError, match=data.digest):
        train(tiny(), unvalidated, tmp_path / "run")


def test_other_conditions_are_told(data, tiny, tmp_path: Path, witness) -> None:
    with pytest.raises(CrashError):
        train(tiny(), Crashing(data, 6), tmp_path / "run")
    recipe = tiny("training.precision=bf16-mixed", "training.threads=2")
    train(recipe, data, tmp_path / "run", reporter=witness)
    assert "going on from checkpoint 1 at row 32" in witness.notices[0]
    assert "bits may differ" in witness.notices[1]
    assert "precision 32-true -> bf16-mixed" in witness.notices[1]
    assert "threads 1 -> 2" in witness.notices[1]


def test_a_folder_of_something_else_is_refused(data, tiny, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(SettingsError, match=r"thesis\.tex"):
        train(tiny(), data, tmp_path)
    with pytest.raises(SettingsError, match="found a file"):
        train(tiny(), data, tmp_path / "thesis.tex")


def test_a_folder_that_cannot_be_written_is_named(data, tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_text", full)
    with pytest.raises(SubgridError, match="No space left on device.*start the same command again"):
        train(tiny(), data, tmp_path / "run")


def test_a_damaged_checkpoint_stops_a_resume(data, tiny, tmp_path: Path) -> None:
    with pytest.raises(CrashError):
        train(tiny(), Crashing(data, 6), tmp_path / "run")
    path = folder.find_checkpoint(tmp_path / "run") / "training.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"training\.safetensors.*damaged"):
        train(tiny(), data, tmp_path / "run")


def test_a_run_may_start_from_the_weights_of_another(data, tiny, tmp_path: Path) -> None:
    train(tiny("seed=1"), data, tmp_path / "first")
    train(tiny("training.learning_rate=1e-30"), data, tmp_path / "second", init=str(tmp_path / "first"))
    first, _ = checkpoint.load_emulator(tmp_path / "first")
    second, info = checkpoint.load_emulator(tmp_path / "second")
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name, rtol=0, atol=1e-20)
    assert info.card["init"] == str(tmp_path / "first")


@pytest.mark.parametrize("told", [True, False])
def test_a_run_that_starts_from_another_tells_of_its_data_too(
    data, tiny, tmp_path: Path, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing at all where the other does not say, as that is taken for real data; also after it was interrupted."""
    train(tiny("seed=1"), data, tmp_path / "first")
    read = checkpoint.read_card
    real = {"data": {"source": "ClimSim_low-res", "licence": "CC-BY-4.0 (ClimSim, LEAP)"}} if told else {}
    monkeypatch.setattr(
        checkpoint, "read_card", lambda path: read(path) | ({"provenance": real} if "first" in str(path) else {})
    )
    with pytest.raises(CrashError):
        recipe = tiny("training.checkpoint_minutes=1e-9")
        train(recipe, Crashing(data, 2), tmp_path / "second", init=str(tmp_path / "first"))
    train(tiny(), data, tmp_path / "second")
    found = checkpoint.load_emulator(tmp_path / "second")[1].provenance
    licences = [one.licence for one in found]
    assert len(licences) == (2 if told else 0) and ("CC-BY-4.0 (ClimSim, LEAP)" in licences) == told


def test_weights_of_another_shape_are_no_start(data, tiny, tmp_path: Path) -> None:
    train(tiny(), data, tmp_path / "first")
    with pytest.raises(SettingsError, match=r"embed\.weight is \(4, 44\) where this network has \(8, 44\)"):
        train(tiny("model.width=8"), data, tmp_path / "second", init=str(tmp_path / "first"))


def test_callers_random_numbers_are_left_alone(data, tiny, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(tiny(), data, tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_segments_end_before_their_deadline_and_the_run_ends_as_without(
    data, tiny, tmp_path: Path, same_end: Callable
) -> None:
    assert train(tiny(), data, tmp_path / "whole", deadline=time.monotonic() + 1000).complete
    rows = []
    for _ in range(20):
        found = train(tiny(), data, tmp_path / "cut", deadline=time.monotonic() - 1)  # one step a segment
        rows.append(found.rows)
        if found.complete:
            break
    assert rows == [8 * (step + 1) for step in range(12)]
    same_end(tmp_path / "whole", tmp_path / "cut")
