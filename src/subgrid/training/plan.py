"""What a run would do, worked out without doing any of it: length, rows taken, schedule, memory.

Memory is that of one process that takes whole batches of ``training.batch`` rows, on top of the program itself (Python,
libraries, compiled code), and is reckoned as

    weights + gradients + moments (two with AdamW, one with Muon) + an average of the weights   4 bytes each
    activations   what autograd keeps of a forward pass for the backward pass: counted, tensor by tensor, in passes of
                  2 and of 4 rows in the run's precision and taken as linear in the rows
    passing       twice the largest kept tensor in float32: a gradient of it and what that is computed from
    batches       the stored rows that the loader holds (7 batches)

A compiled run keeps less, because fused kernels keep fewer of their intermediate values.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from subgrid.model.emulator import Emulator, build_emulator
from subgrid.model.registry import ModelSettings
from subgrid.training import checkpoint, machine
from subgrid.training.optimizers import moments_of
from subgrid.training.schedule import Schedule
from subgrid.training.settings import RunRecipe, TrainingSettings
from subgrid.training.sources import SPLIT, Sources
from subgrid.training.validation import ValidationSet, validation_sets

_NUMBER = 4  # bytes of a float32
_BATCHES_HELD = 7  # four under way, two being gathered, one in use


class ModelRecipe(RunRecipe, Protocol):
    """A recipe whose network can be asked which of its settings were said."""

    @property
    def model(self) -> ModelSettings: ...


def plan(recipe: ModelRecipe, sources: Sources) -> dict[str, Any]:
    """A run as plain values: ``rows``, ``steps``, ``data``, ``validation``, ``schedule``, ``memory`` and so on.

    ``unused`` are the keys of the network that the recipe or ``--set`` says and that this network does not look at.

    Args:
        recipe: as it was read; in rows or in epochs.
        sources: its open data sets.

    Raises:
        SettingsError, DatasetError: as the run itself would.
    """
    said = [name for name in ModelSettings.model_fields if name in recipe.model.model_fields_set]
    resolved = sources.resolve(recipe)
    training, schedule = resolved.training, Schedule(resolved.training)
    sets = validation_sets(training, sources)
    stride, epoch = sources.first.layout.stride, sources.rows_of(1)
    plain = resolved.model_dump(mode="json")
    settings = checkpoint.emulator_settings(plain)
    watched = _Watched(settings.model)
    with torch.random.fork_rng():
        emulator = build_emulator(
            replace(settings, model=cast(ModelSettings, watched)), sources.table, sources.first.grid
        )
    memory = _memory(emulator, training, stride)
    return {
        "model": plain["model"]["name"],
        "unused": [f"model.{name}" for name in said if name not in watched.seen],
        "parameters": sum(parameter.numel() for parameter in emulator.network.parameters()),
        "rows": schedule.rows,
        "batch": training.batch,
        "steps": schedule.steps,
        "epochs": schedule.rows / epoch,
        "rows_per_epoch": epoch,
        "steps_per_epoch": epoch / training.batch,
        "data": _data(sources, schedule.rows),
        "validation": [_scored(item) for item in sets],
        "bytes_read": {
            "training": schedule.rows * stride,
            "validation": sum(item.rows for item in sets) * stride * training.sub_epochs,
        },
        "schedule": _course(schedule),
        "kept": list(training.keep),
        "memory": asdict(memory) | {"total": memory.total},
    }


class _Watched:
    """Settings of a network that note which of them are looked at: the others do not matter to it."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings, self.seen = settings, {"name"}

    def __getattr__(self, name: str) -> Any:
        self.seen.add(name)
        return getattr(self._settings, name)


def _data(sources: Sources, rows: int) -> list[dict[str, Any]]:
    found = zip(sources.settings, sources.datasets, sources.pattern.taken(rows), strict=True)
    return [
        {
            "name": item.name,
            "path": str(data.folder),
            "digest": data.digest,
            "rows": data.rows(SPLIT),
            "taken": taken,
            "passes": taken / data.rows(SPLIT),
            "share": item.share,
            "once": item.once,
            "clip": item.clip,
            "bytes_read": taken * data.layout.stride,
        }
        for item, data, taken in found
    ]


def _scored(item: ValidationSet) -> dict[str, Any]:
    return {
        "name": item.name,
        "path": str(item.data.folder),
        "split": item.split,
        "skip": item.skip,
        "rows": item.rows,
    }


def _course(schedule: Schedule) -> dict[str, Any]:
    """Learning rates of the first step, of the step with the largest, of the last; where sub-epochs end."""
    total, settings = schedule.settings.sub_epochs, schedule.settings
    ends = [schedule.end(sub_epoch) for sub_epoch in range(total)]
    warm = -int(-settings.warm_up * schedule.steps // total)  # the first step after the warm-up
    candidates = {0, min(warm, schedule.steps - 1), *(end - 1 for end in ends), *ends[:-1]}
    return {
        "name": settings.schedule,
        "sub_epochs": total,
        "steps_per_sub_epoch": schedule.steps / total,
        "learning_rate": {
            "start": schedule.learning_rate(0),
            "peak": max(schedule.learning_rate(step) for step in candidates),
            "end": schedule.learning_rate(schedule.steps - 1),
        },
        "decay_ratio": settings.decay_ratio,
    }


@dataclass(frozen=True)
class Memory:
    """Bytes of one process on its device, by what they hold (see the module's docstring)."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    activations: int
    passing: int
    batches: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())


def _memory(emulator: Emulator, training: TrainingSettings, stride: int) -> Memory:
    network = emulator.network
    state = sum(value.numel() for value in network.state_dict().values()) * _NUMBER
    learnt = sum(parameter.numel() for parameter in network.parameters()) * _NUMBER
    few, more = (_kept(emulator, rows, training) for rows in (2, 4))
    least = sum(value.bytes for value in few)
    row = (sum(value.bytes for value in more) - least) // 2
    largest = max(value.numbers for value in more) // 4 * _NUMBER
    return Memory(
        weights=state,
        gradients=learnt,
        optimizer=moments_of(network, training) * _NUMBER,
        average=state if training.average else 0,
        activations=least + (training.batch - 2) * row,
        passing=2 * largest * training.batch,
        batches=_BATCHES_HELD * training.batch * stride,
    )


class _Kept(NamedTuple):
    """A piece of memory: how large, and how many numbers it holds."""

    bytes: int
    numbers: int


def _kept(emulator: Emulator, rows: int, training: TrainingSettings) -> list[_Kept]:
    """What autograd keeps of a forward pass of so many rows beside the parameters."""
    network, shape = emulator.network, emulator.encoder.shape
    own = {value.untyped_storage().data_ptr() for value in network.state_dict().values()}
    kept: dict[int, _Kept] = {}

    def keep(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = _Kept(storage.nbytes(), storage.nbytes() // value.element_size())
        return value

    device = "cuda" if torch.cuda.is_available() else "cpu"
    narrow = machine.resolve_precision(training.precision, device if training.device == "auto" else training.device)
    inputs = torch.zeros(rows, shape.levels, shape.profile_channels + shape.scalar_channels)
    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value),
        torch.autocast("cpu", torch.bfloat16, enabled=narrow == "bf16-mixed"),
    ):
        network.train()
        outputs = network(inputs)  # held while it is counted, so that no address is given out twice
    del outputs
    return list(kept.values())
