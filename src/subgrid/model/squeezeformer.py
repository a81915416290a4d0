"""The winner's Squeezeformer: twelve times convolution and attention over the levels of a column, and a wide head.

No level is dropped or merged, there is no positional code and no dropout: a level is told from another by its own
normalisation in the encoder and by the zero padding of the convolutions.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from subgrid.model.blocks import AttentionBlock, BlockSettings, ConvBlock, Dense, float32_products, layer_norm
from subgrid.model.heads import LevelHeads, WideHead
from subgrid.model.registry import ModelSettings, ModelShape, Outputs, register


class Block(nn.Module):
    """A convolution block and an attention block, (batch, level, width) -> the same."""

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        self.convolution = ConvBlock(settings)
        self.attention = AttentionBlock(settings)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.convolution(x))


def _apply(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)


@register("squeezeformer")
class Squeezeformer(nn.Module):
    """Linear without bias and LayerNorm, ``blocks`` pairs of blocks, wide head, linear heads."""

    def __init__(self, settings: ModelSettings, shape: ModelShape) -> None:
        super().__init__()
        inner = BlockSettings(settings.width, settings.heads, settings.kernel, settings.scale_init)
        self.embed = Dense(shape.channels, settings.width, bias=False)
        self.embed_norm = layer_norm(settings.width)
        self.blocks = nn.ModuleList(Block(inner) for _ in range(settings.blocks))
        self.wide = WideHead(settings.width, settings.head)
        self.heads = LevelHeads(settings.head, shape)
        self._run: Callable[[nn.Module, Tensor], Tensor] = _apply

    def forward(self, x: Tensor) -> Outputs:
        """(batch, level, channel) -> Outputs, each (batch, targets + auxiliary)."""
        run = self._run if self.training else _apply  # scoring comes in other shapes: not worth compiling again
        with float32_products(x.device):  # inputs differ in digits that bfloat16 does not have
            h = self.embed_norm(self.embed(x.float()))
        for block in self.blocks:
            h = run(block, h)
        return self.heads(run(self.wide, h))

    def compile_blocks(self) -> None:
        """Compile one block and the wide head for training; all blocks share the code, parameters are its arguments."""
        self._run = torch.compile(_apply, dynamic=False)
