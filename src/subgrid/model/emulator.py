"""The emulator: encoder, network and target transform as one module, from stored inputs to physical targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from subgrid.model.registry import ModelSettings, ModelShape, Outputs, build
from subgrid.representation import Encoder, RepresentationSettings, TargetTransform
from subgrid.representation.symmetry import Signs, as_it_is, four_images
from subgrid.schema.grid import Grid
from subgrid.schema.variables import LEVELS
from subgrid.statistics.table import Table

SPACE_TIME_OUTPUTS = 6
"""Auxiliary outputs on where and when a column is."""


@dataclass(frozen=True)
class EmulatorSettings:
    """All that, with a table of statistics, decides the shape of an emulator.

    Attributes:
        representation: what the network sees.
        model: the network.
        space_time: six auxiliary outputs after the targets.
        confidence: a second head that estimates absolute errors.
    """

    representation: RepresentationSettings
    model: ModelSettings
    space_time: bool = False
    confidence: bool = False


class Prediction(NamedTuple):
    """Targets of a batch of columns.

    Attributes:
        targets: physical units, float64 (batch, target_width).
        confidence: estimated absolute error of each target in *normalised* units, float32 (batch, target_width), or
            None. It stays normalised because it compares columns of any scale; times the scale of a column (its
            standard deviation, by default) it is an error in physical units.
    """

    targets: Tensor
    confidence: Tensor | None


class Emulator(nn.Module):
    """Encoder (buffers only), network (the parameters), target transform (buffers only).

    A prediction is the mean over images of a column, each turned back; as a rule there is one, the column as it is.

    Attributes:
        encoder: stored or raw inputs (batch, input_width) -> float32 (batch, level, channel).
        network: float32 (batch, level, channel) -> ``Outputs``.
        targets: between stored, normalised and physical targets.
    """

    _input_signs: Tensor
    _target_signs: Tensor

    def __init__(self, encoder: Encoder, network: nn.Module, targets: TargetTransform, images: Signs) -> None:
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.targets = targets
        self.target_width = images.targets.shape[1]
        self.register_buffer("_input_signs", torch.from_numpy(images.inputs), persistent=False)
        self.register_buffer("_target_signs", torch.from_numpy(images.targets), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.network.parameters()).device

    def forward(self, inputs: Tensor, stored: bool = True) -> Outputs:
        """Normalised outputs, (batch, targets + auxiliary), of inputs (batch, input_width) in stored or raw units."""
        with torch.no_grad():
            encoded = self.encoder(inputs, stored)
        return self.network(encoded)

    @torch.no_grad()
    def predict(self, inputs: Tensor, stored: bool = True) -> Prediction:
        """Targets in physical units from inputs in stored (or raw) units, (batch, input_width), on any device.

        Columns that were not trained (masked or constant) get the mean of the training split; those of ``ptend_u`` and
        ``ptend_v`` get 0 where predictions are symmetric.
        """
        inputs = inputs.to(self.device)
        found = [
            self._predict(inputs * turned, turned_back, stored)
            for turned, turned_back in zip(self._input_signs, self._target_signs, strict=True)
        ]
        targets, confidence = zip(*found, strict=True)
        return Prediction(_mean(targets), None if confidence[0] is None else _mean(confidence))

    def _predict(self, inputs: Tensor, turned_back: Tensor, stored: bool) -> tuple[Tensor, Tensor | None]:
        outputs = self(inputs, stored)
        confidence = outputs.confidence
        return (
            self.targets.physical(outputs.prediction[:, : self.target_width]) * turned_back,
            None if confidence is None else confidence[:, : self.target_width].float(),
        )


def _mean(values: Sequence[Tensor]) -> Tensor:
    """Of one, that one to the last bit; of four, the same in whichever order mirrors bring them."""
    return values[0] if len(values) == 1 else (values[0] + values[3] + (values[1] + values[2])) / len(values)


def build_emulator(settings: EmulatorSettings, table: Table, grid: Grid | None = None) -> Emulator:
    """An emulator with fresh weights, drawn from torch's global generator, in float32 on the CPU.

    The grid is needed where channels are derived from pressure (``representation.derived``).
    """
    encoder = Encoder(table, settings.representation, grid)
    shape = ModelShape(
        levels=LEVELS,
        profile_channels=encoder.shape.profile_channels,
        scalar_channels=encoder.shape.scalar_channels,
        profiles=sum(item.levels == LEVELS for item in table.variables.targets),
        scalars=sum(item.levels == 1 for item in table.variables.targets),
        auxiliary=SPACE_TIME_OUTPUTS if settings.space_time else 0,
        confidence=settings.confidence,
    )
    network = build(settings.model, shape)
    transform = TargetTransform(table, settings.representation)
    symmetric = settings.representation.symmetric
    images = four_images(table.variables, "representation.symmetric") if symmetric else as_it_is(table.variables)
    return Emulator(encoder, network, transform, images)
