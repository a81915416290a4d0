"""What learns: the emulator, its loss and optimiser, the average of its weights; one call is one step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from lightning_fabric import Fabric
from torch import Tensor

from subgrid.model import compile_blocks
from subgrid.model.blocks import share_batches
from subgrid.model.emulator import EmulatorSettings, build_emulator
from subgrid.records.order import hash_of
from subgrid.schema.grid import Grid
from subgrid.statistics.table import Table
from subgrid.training import machine
from subgrid.training.averaging import Average
from subgrid.training.batches import Prepared
from subgrid.training.checkpoint import load_weights
from subgrid.training.losses import PARTS, Loss
from subgrid.training.optimizers import Optimizers
from subgrid.training.processes import Processes
from subgrid.training.schedule import Schedule
from subgrid.training.settings import TrainingSettings

_POSITIVE = 2**63 - 1


def seed_draws(*numbers: int) -> None:
    """Let torch's random draws follow from some integers alone, such as (seed, step)."""
    torch.manual_seed(hash_of(*numbers) & _POSITIVE)


class Learner:
    """An emulator in training, on one device or, with its like in other processes, on several.

    Processes learn from equal shares of every batch and hold the same weights: the loss is the mean over the whole
    batch, gradients are those of that loss.

    Args:
        settings: of the emulator.
        training: of the run.
        climate: statistics to normalise with, and the grid whose levels give pressures.
        fabric: device and processes.
        seed: of the run; initial weights follow from it alone, the draws of a step from it and the step.
    """

    def __init__(
        self,
        settings: EmulatorSettings,
        training: TrainingSettings,
        climate: tuple[Table, Grid],
        fabric: Fabric,
        seed: int,
    ) -> None:
        seed_draws(seed)
        self.emulator = build_emulator(settings, *climate).to(fabric.device)
        self.schedule = Schedule(training)
        self._training, self._fabric, self._seed = training, fabric, seed
        self._processes = Processes.of(fabric)
        network = self.emulator.network
        share_batches(network, self._processes.ranks, training.accumulate)
        if training.compile and not compile_blocks(network):
            network.compile(dynamic=False)
        self._optimizers = Optimizers(network, training)
        self._module, *self._wrapped = fabric.setup(network, *self._optimizers)
        self._loss = Loss(training.loss, self.emulator.targets.trained)
        self._average = Average(network, training.average) if training.average else None

    @property
    def parameters(self) -> int:
        """How many numbers are learnt."""
        return sum(parameter.numel() for parameter in self.emulator.network.parameters())

    def step(self, prepared: Prepared, step: int) -> Tensor:
        """Learn from a batch, or this process's share of one.

        Returns:
            the parts of the loss of the whole batch, on the device (``losses.PARTS``), the same in all processes.
        """
        seed_draws(self._seed, step)
        self._optimizers.set(self.schedule.learning_rate(step), self.schedule.weight_decay(step))
        parts = self._backward(prepared)
        if self._training.clip:
            # Fabric would clip the gradients of one optimiser alone, and there may be two.
            torch.nn.utils.clip_grad_norm_(self.emulator.network.parameters(), self._training.clip)
        for optimizer in self._wrapped:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(step)
        return parts

    def _backward(self, prepared: Prepared) -> Tensor:
        """Gradients of the mean loss over the whole batch; the parts of that loss."""
        ranks, pieces = self._processes.ranks, prepared.pieces(self._training.accumulate)
        counts = self._processes.total(self._loss.counts(prepared.goal))
        total = counts.new_zeros(len(PARTS))
        for place, piece in enumerate(pieces):
            alone = ranks > 1 and place < len(pieces) - 1  # gradients travel once a step, with the last piece
            with self._fabric.no_backward_sync(self._module, enabled=alone):
                with machine.autocast(self._training, self._fabric.device):
                    outputs = self._module(piece.inputs)
                loss, parts = self._loss(outputs, piece.goal, counts)
                self._fabric.backward(loss * ranks)  # processes average their gradients, and this is a sum
            total += parts
        return self._processes.total(total)

    @contextmanager
    def predicting(self) -> Iterator[None]:
        """The emulator as it would be saved: averaged weights, evaluation mode, the run's precision, not compiled."""
        network = self.emulator.network
        network.eval()
        # Another mode and size of batch would be compiled for again, which takes longer than it gains.
        eager = torch.compiler.set_stance("force_eager") if self._training.compile else nullcontext()
        averaged = self._average.applied() if self._average else nullcontext()
        try:
            with averaged, machine.autocast(self._training, self._fabric.device), eager:
                yield
        finally:
            network.train()

    def broken(self) -> list[str]:
        """Names of the weights that hold NaN or infinity."""
        state = self.emulator.network.state_dict()
        return [name for name, value in state.items() if not bool(torch.isfinite(value).all())]

    def weights(self) -> dict[str, Tensor]:
        """The weights to predict with: the average where there is one."""
        own = dict(self.emulator.network.state_dict())
        return own | self._average.tensors if self._average else own

    def training_tensors(self) -> dict[str, Tensor]:
        """What a resumed run needs besides: the optimisers' moments, the own weights beside an average."""
        tensors = self._optimizers.tensors()
        if self._average:
            tensors |= {f"own.{name}": value for name, value in self.emulator.network.state_dict().items()}
        return tensors

    def start_from(self, weights: Mapping[str, Tensor], where: str) -> None:
        """Take the weights of another run; raises SettingsError when they do not fit."""
        load_weights(self.emulator.network, weights, where)
        if self._average:
            self._average.load(weights)

    def restore(self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], where: str) -> None:
        """Go on exactly where ``weights`` and ``training_tensors`` were taken."""
        own = {name.removeprefix("own."): value for name, value in tensors.items() if name.startswith("own.")}
        load_weights(self.emulator.network, own or weights, where)
        if self._average:
            self._average.load(weights)
        self._optimizers.load(tensors)
