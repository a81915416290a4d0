"""Checkpoints: what rebuilds an emulator without its training data, and what lets a run go on to the same bits.

    checkpoints/NAME/   model.safetensors      weights of the network
                        checkpoint.json        recipe, variable set, statistics, grid, scores, data digest, versions
                        training.safetensors   optimiser, weights that are not the model's own (averages)
                        training.json          place in the run, sums of losses, best checkpoint

Nothing is unpickled. checkpoint.json and training.json hold the SHA-256 of the tensors beside them and of their own
text, so a flipped bit or a cut file is an error and not a network.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.model.emulator import Emulator, EmulatorSettings, build_emulator
from subgrid.model.registry import ModelSettings
from subgrid.records.provenance import Provenance
from subgrid.representation.settings import RepresentationSettings
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet
from subgrid.statistics.table import Table
from subgrid.training import folder
from subgrid.training.settings import TrainingSettings

FORMAT = 2
"""Version of the layout of a checkpoint."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A run at one place.

    Attributes:
        weights: of the network, as it is to be used for predictions.
        card: content of checkpoint.json.
        tensors: content of training.safetensors.
        state: content of training.json.
    """

    weights: Mapping[str, Tensor]
    card: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class CheckpointInfo:
    """What a checkpoint says of itself.

    Attributes:
        path: its folder.
        name: its name within the run.
        digest: SHA-256 over everything in it but the training state: its identity.
        card: the whole of checkpoint.json: ``recipe``, ``rows``, ``scores``, ``data_digest``, ``data`` (digests by
            name), ``provenance`` (of the data by name), ``versions`` and more.
        table: statistics that inputs and targets are normalised with.
        grid: the grid of the training data.
    """

    path: Path
    name: str
    digest: str
    card: Mapping[str, Any]
    table: Table
    grid: Grid

    @property
    def variables(self) -> VariableSet:
        """The variable set that the emulator works on."""
        return self.table.variables

    @property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe of the run, as plain values."""
        return dict(self.card["recipe"])

    @property
    def provenance(self) -> tuple[Provenance, ...]:
        """Of the data that were learnt from."""
        return provenance_of(self.card)


def provenance_of(card: Mapping[str, Any]) -> tuple[Provenance, ...]:
    """Of the data that a checkpoint learnt from; none where it was written before checkpoints noted it."""
    return tuple(Provenance(**one) for one in card.get("provenance", {}).values())


def commit(run: Path, name: str, best: str, snapshot: Snapshot, kept: Collection[str] = ()) -> None:
    """Write a checkpoint, point to it, and remove those that nothing points to any more and that are not ``kept``.

    The checkpoint is either complete or not there, and ``latest`` changes last: a process killed anywhere in here
    leaves a run that goes on from the old checkpoint or from the new one.

    Raises:
        SubgridError: it could not be written (a full disk, say); what was there before still stands.
    """
    try:
        with folder.new_checkpoint(run, name) as place:
            _write_pair(place / "model.safetensors", snapshot.weights, place / "checkpoint.json", snapshot.card)
            _write_pair(place / "training.safetensors", snapshot.tensors, place / "training.json", snapshot.state)
        folder.write_pointer(run, "best", best)
        folder.write_pointer(run, "latest", name)
    except (OSError, SafetensorError) as error:
        raise SubgridError(
            f"{run / 'checkpoints' / name}: the checkpoint could not be written ({error}); "
            f"{standing(run)}. Make room and start the same command again"
        ) from error
    folder.keep_only(run, {name, best, *kept})


def standing(run: Path) -> str:
    """One clause on which checkpoint a run would go on from."""
    name = folder.read_pointer(run, "latest")
    return f"the checkpoint before it, {name}, stands" if name else "there is no checkpoint before it"


def _write_pair(tensors_path: Path, tensors: Mapping[str, Tensor], text_path: Path, content: Mapping[str, Any]) -> None:
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, tensors_path)
    body = {"format": FORMAT, **content, "tensors_sha256": _digest(tensors_path)}
    text_path.write_text(json.dumps({**body, "sha256": _text_digest(body)}, allow_nan=False), encoding="utf-8")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _text_digest(body: Mapping[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_card(path: Path) -> dict[str, Any]:
    """Content of the checkpoint.json in a checkpoint's folder; raises DatasetError when it is damaged."""
    return _read_text(path / "checkpoint.json")


def identity(path: Path) -> str:
    """The digest of the checkpoint in a folder, as ``CheckpointInfo.digest``, without its tensors being read."""
    return _text_digest(read_card(path))


def read_state(path: Path) -> dict[str, Any]:
    """Content of the training.json in a checkpoint's folder; raises DatasetError when it is damaged."""
    return _read_text(path / "training.json")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights of the network in a checkpoint's folder; raises DatasetError when they are damaged."""
    return _read_tensors(path / "model.safetensors", read_card(path))


def read_training_tensors(path: Path) -> dict[str, Tensor]:
    """The training state in a checkpoint's folder; raises DatasetError when it is damaged."""
    return _read_tensors(path / "training.safetensors", read_state(path))


def _read_text(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        found = body.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(path, f"it cannot be read ({type(error).__name__}: {error})") from error
    if body.get("format") != FORMAT:
        raise DatasetError(
            f"{path}: expected format {FORMAT}, found {body.get('format')!r}; it was written by another version of "
            "subgrid, which can read it. Train into another folder, or remove this one"
        )
    if found != _text_digest(body):
        raise _damaged(path, "its content does not have the SHA-256 that it names")
    return dict(body)


def _read_tensors(path: Path, text: Mapping[str, Any]) -> dict[str, Tensor]:
    try:
        if (found := _digest(path)) != text["tensors_sha256"]:
            raise _damaged(path, f"expected SHA-256 {text['tensors_sha256'][:16]}..., found {found[:16]}...")
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise _damaged(path, f"it cannot be read ({error})") from error


def _damaged(path: Path, what: str) -> DatasetError:
    run = path.parent.parent.parent
    others = [name for name in folder.checkpoint_names(run) if name != path.parent.name]
    advice = f"{run}@{others[-1]} is another checkpoint" if others else "there is no other checkpoint of this run"
    return DatasetError(f"{path}: this file is damaged: {what}; {advice}")


def grid_to_json(grid: Grid) -> dict[str, Any]:
    """All numbers of a grid as plain lists, and its digest."""
    numbers = {item.name: np.asarray(getattr(grid, item.name)).tolist() for item in fields(grid)}
    return {**numbers, "digest": grid.digest}


def grid_from_json(data: Mapping[str, Any]) -> Grid:
    """The inverse of ``grid_to_json``, to the bit."""
    numbers: dict[str, Any] = {item.name: np.asarray(data[item.name]) for item in fields(Grid)}
    return Grid(**numbers)


def emulator_settings(recipe: Mapping[str, Any]) -> EmulatorSettings:
    """What a resolved recipe, as plain values, says about the emulator; raises SettingsError if this version cannot."""
    try:
        training = TrainingSettings.model_validate(recipe["training"])
        return EmulatorSettings(
            representation=RepresentationSettings.model_validate(recipe["representation"]),
            model=ModelSettings.model_validate(recipe["model"]),
            space_time=training.space_time,
            confidence=training.confidence,
        )
    except (KeyError, ValidationError) as error:
        raise SettingsError(f"the recipe in a checkpoint does not fit this version of subgrid: {error}") from error


def load_weights(network: torch.nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Give a network its weights; raises SettingsError that names the tensors that do not fit."""
    expected = network.state_dict()
    wrong = [f"{name} is missing" for name in expected if name not in weights]
    wrong += [f"{name} is not in this network" for name in weights if name not in expected]
    wrong += [
        f"{name} is {tuple(weights[name].shape)} where this network has {tuple(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise SettingsError(
            f"{where}: its weights do not fit the network of this recipe: {'; '.join(wrong[:5])}{more}. Use the recipe "
            "of that run (model, training.confidence, training.space_time, representation)"
        )
    network.load_state_dict(dict(weights))


def read_network(path: Path) -> tuple[Path, dict[str, Any], dict[str, Tensor]]:
    """A checkpoint's folder, card and weights; raises DatasetError when they are damaged."""
    card = read_card(path)
    return path, card, _read_tensors(path / "model.safetensors", card)


def load_emulator(run: str | Path, device: str | torch.device = "cpu") -> tuple[Emulator, CheckpointInfo]:
    """The emulator of ``RUN`` (its latest checkpoint), ``RUN@best`` or ``RUN@NAME``, ready to predict.

    Raises:
        DatasetError: there is no such checkpoint, or it is damaged.
        SettingsError: a name that is no name.
    """
    path, card, weights = folder.followed(run, read_network)
    table = Table.from_json(card["statistics"])
    grid = grid_from_json(card["grid"])
    emulator = build_emulator(emulator_settings(card["recipe"]), table, grid)
    load_weights(emulator.network, weights, str(path))
    digest = _text_digest(card)
    info = CheckpointInfo(path, path.name, digest, card, table, grid)
    return emulator.to(device).eval(), info
