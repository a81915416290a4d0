"""From channels of a level to the outputs of a column."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from subgrid.model.blocks import Dense, OutputDense, swiglu
from subgrid.model.registry import ModelShape, Outputs


class WideHead(nn.Module):
    """The winner's last layers: width -> head with swish, then a gated layer head -> 2 head -> head; no residual.

    (batch, level, width) -> (batch, level, head).
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.widen = Dense(width, head)
        self.expand = Dense(head, 2 * head)
        self.project = Dense(head, head)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(swiglu(self.expand(functional.silu(self.widen(x)))))


class ColumnHead(nn.Module):
    """A linear layer a level, whose first channels are profiles and whose others are averaged over the levels.

    (batch, level, width) -> float32 (batch, profiles * levels + scalars + auxiliary), profiles variable by variable.
    """

    def __init__(self, width: int, shape: ModelShape) -> None:
        super().__init__()
        self.profiles = shape.profiles
        self.linear = OutputDense(width, shape.output_channels)

    def forward(self, x: Tensor) -> Tensor:
        values = self.linear(x).float()  # (batch, level, channel)
        profiles = values[..., : self.profiles].transpose(1, 2).flatten(1)
        return torch.cat([profiles, values[..., self.profiles :].mean(dim=1)], dim=1)


class LevelHeads(nn.Module):
    """Prediction and, if the shape asks for it, confidence (the estimated error of each output) from the same input."""

    def __init__(self, width: int, shape: ModelShape) -> None:
        super().__init__()
        self.prediction = ColumnHead(width, shape)
        self.confidence = ColumnHead(width, shape) if shape.confidence else None

    def forward(self, x: Tensor) -> Outputs:
        return Outputs(self.prediction(x), self.confidence(x) if self.confidence is not None else None)
