"""Checkpoints: all that rebuilds an emulator, nothing that is damaged, nothing half-written."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.training import checkpoint, folder
from subgrid.training.loop import train

FILES = ("model.safetensors", "checkpoint.json", "training.safetensors", "training.json")


@pytest.fixture(scope="module")
def run(data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from subgrid.recipe import parse_recipe

    text = """
    model: {width: 4, blocks: 1, head: 8, heads: 2, kernel: 3}
    training: {rows: 16, sub_epochs: 2, batch: 8, precision: 32-true, threads: 1, device: cpu, average: 0.5}
    """
    out = tmp_path_factory.mktemp("checkpoint") / "run"
    train(parse_recipe(text), data, out)
    return out


def test_an_emulator_is_rebuilt_without_its_data(run: Path, data) -> None:
    emulator, info = checkpoint.load_emulator(run)
    assert not emulator.training
    assert info.variables.name == "kaggle"
    assert info.grid.digest == data.grid.digest
    assert info.card["data_digest"] == data.digest
    assert checkpoint.identity(info.path) == info.digest
    assert (info.name, info.card["rows"], info.card["sub_epoch"]) == ("2", 16, 2)
    assert set(info.card["scores"]) == {"competition", "r2_308", "r2_294"}
    assert info.recipe["model"]["width"] == 4
    assert set(info.card["versions"]) == {"subgrid", "torch", "numpy", "python"}
    for one, other in (
        (info.table.inputs, data.table("training").inputs),
        (info.table.targets, data.table("training").targets),
    ):
        np.testing.assert_array_equal(one.to_array(), other.to_array())
    batch = next(iter(data.scan("validation", 4)))
    assert torch.isfinite(emulator.predict(torch.from_numpy(batch.inputs)).targets).all()


def test_nothing_is_pickled(run: Path) -> None:
    found = folder.find_checkpoint(run)
    assert {path.name for path in found.iterdir()} == set(FILES)
    for path in found.glob("*.json"):
        json.loads(path.read_text())


def damaged(run: Path, place: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    copy = place / "run"
    shutil.copytree(run, copy)
    path = folder.find_checkpoint(copy) / name
    path.write_bytes(change(path.read_bytes()))
    return copy


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.02, 0.5, 0.999])
def test_a_flipped_bit_is_found(run: Path, tmp_path: Path, name: str, where: float) -> None:
    def flip(content: bytes) -> bytes:
        place = int(where * len(content))
        return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]

    copy = damaged(run, tmp_path, name, flip)
    with pytest.raises(DatasetError, match=name.replace(".", r"\.")):
        read_everything(copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1, -1])
def test_a_cut_file_is_found(run: Path, tmp_path: Path, name: str, left: int) -> None:
    copy = damaged(run, tmp_path, name, lambda content: content[:left])
    with pytest.raises(DatasetError, match=name.replace(".", r"\.")):
        read_everything(copy)


def test_a_missing_file_is_found(run: Path, tmp_path: Path) -> None:
    for name in FILES:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(run, tmp_path / "run")
        (folder.find_checkpoint(tmp_path / "run") / name).unlink()
        with pytest.raises(DatasetError, match="damaged"):
            read_everything(tmp_path / "run")


def read_everything(run: Path) -> None:
    path = folder.find_checkpoint(run)
    checkpoint.read_state(path)
    checkpoint.read_training_tensors(path)
    checkpoint.load_emulator(run)


def test_another_format_is_not_guessed_at(run: Path, tmp_path: Path) -> None:
    copy = damaged(run, tmp_path, "checkpoint.json", lambda content: content.replace(b'"format": 2', b'"format": 3'))
    with pytest.raises(DatasetError, match="expected format 2, found 3"):
        checkpoint.load_emulator(copy)


def test_numbers_of_grid_and_table_keep_their_bits(data) -> None:
    text = json.dumps(checkpoint.grid_to_json(data.grid))
    assert checkpoint.grid_from_json(json.loads(text)).digest == data.grid.digest


def test_weights_that_do_not_fit_are_named(run: Path) -> None:
    emulator, _ = checkpoint.load_emulator(run)
    weights = checkpoint.read_weights(folder.find_checkpoint(run))
    weights["embed.weight"] = weights["embed.weight"][:, :-1]
    weights["stranger"] = weights.pop("embed_norm.bias")
    with pytest.raises(SettingsError) as error:
        checkpoint.load_weights(emulator.network, weights, "there")
    for part in ("embed.weight is (4, 43)", "(4, 44)", "stranger is not in", "embed_norm.bias is missing", "there"):
        assert part in str(error.value)


@pytest.mark.parametrize("call", range(12))
def test_a_full_disk_leaves_the_checkpoint_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = {path: path.read_bytes() for path in folder.find_checkpoint(copy).iterdir()}
    path = folder.find_checkpoint(copy)
    snapshot = checkpoint.Snapshot(
        checkpoint.read_weights(path), checkpoint.read_card(path), checkpoint.read_training_tensors(path), {"rows": 3}
    )
    calls, fsync = [], os.fsync

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == call + 1:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    if call == 10:  # four files, two folders, two pointers with their folder
        checkpoint.commit(copy, "3", "3", snapshot)
        assert len(calls) == 10
        return
    if call < 10:
        with pytest.raises(SubgridError, match="could not be written.*No space left.*Make room"):
            checkpoint.commit(copy, "3", "3", snapshot)
        assert folder.read_pointer(copy, "latest") in ("2", "3")
        assert all(path.read_bytes() == content for path, content in before.items())
        checkpoint.load_emulator(copy)


def test_a_real_full_disk_is_an_error_of_ours(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors writes by itself; what it raises on a full device is not an OSError."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    weights = {"a": torch.zeros(100_000)}
    mkdir = Path.mkdir

    def with_full_file(self: Path, *args: object, **named: object) -> None:
        mkdir(self, *args, **named)
        if self.name.startswith(".writing"):
            (self / "model.safetensors").symlink_to("/dev/full")

    monkeypatch.setattr(Path, "mkdir", with_full_file)
    with pytest.raises(SubgridError, match="could not be written.*there is no checkpoint before it"):
        checkpoint.commit(tmp_path, "1", "1", checkpoint.Snapshot(weights, {}, weights, {}))
    assert folder.checkpoint_names(tmp_path) == []
