"""The plain multilayer perceptron: the honest baseline that every other network has to beat."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from subgrid.model.blocks import Dense, OutputDense
from subgrid.model.registry import ModelSettings, ModelShape, Outputs, register


@register("mlp")
class MultilayerPerceptron(nn.Module):
    """Hidden layers with swish between a column's values, each taken once, and all outputs.

    In: (batch, level, channel), of which profile channels give ``levels`` values each and scalars, repeated on all
    levels, one each; out: as every network of this room, float32.
    """

    def __init__(self, settings: ModelSettings, shape: ModelShape) -> None:
        super().__init__()
        self.profile_channels = shape.profile_channels
        values = shape.levels * shape.profile_channels + shape.scalar_channels
        sizes = (values, *settings.layers)
        self.hidden = nn.ModuleList(Dense(into, out) for into, out in pairwise(sizes))
        self.prediction = OutputDense(sizes[-1], shape.outputs)
        self.confidence = OutputDense(sizes[-1], shape.outputs) if shape.confidence else None

    def forward(self, x: Tensor) -> Outputs:
        """(batch, level, channel) -> Outputs, each (batch, targets + auxiliary)."""
        profiles, scalars = x[..., : self.profile_channels], x[:, 0, self.profile_channels :]
        h = torch.cat([profiles.flatten(1), scalars], dim=1)
        for layer in self.hidden:
            h = functional.silu(layer(h))
        confidence = self.confidence(h).float() if self.confidence is not None else None
        return Outputs(self.prediction(h).float(), confidence)
