"""Layers that a level network is made of; every tensor is (batch, level, channel), channels next to each other.

Products (linear layers, attention) run in the precision that autocast says, that of the inputs in float32. What
follows a product is computed in float32 and, where it only feeds the next product, handed on in that product's own
precision; the residual stream, LayerNorm, batch moments and softmax stay in float32.

Initial values are Keras's: kernels Glorot-uniform, U(+-sqrt(6 / (fan in + fan out))), biases 0.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from subgrid.model.convolution import convolve_levels
from subgrid.model.sharing import shared_moments

_LAYER_NORM_EPSILON = 1e-6  # the winner's
_BATCH_NORM_EPSILON = 1e-3  # Keras's default
_BATCH_NORM_MOMENTUM = 0.05  # share of the new batch: 1 - 0.95 of Keras
_GATE_KERNEL = 5  # neighbouring channels that one channel's gate sees
_EXPANSION = 4  # channels of a gated layer before the gate, in widths


@dataclass(frozen=True)
class BlockSettings:
    """Sizes of one pair of blocks: channels, attention heads, levels of the convolution, initial scale of branches."""

    width: int
    heads: int
    kernel: int
    scale_init: Literal["glorot", "one"]


class Dense(nn.Linear):
    """A linear layer with Keras's initial values: Glorot-uniform kernel (in ``parts`` along the outputs), bias 0."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True, parts: int = 1) -> None:
        super().__init__(inputs, outputs, bias=bias)
        for kernel in self.weight.data.chunk(parts):
            nn.init.xavier_uniform_(kernel)
        if bias:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None or not torch.compiler.is_compiling():
            return super().forward(x)
        product = functional.linear(
            x, self.weight
        )  # a bias inside the product costs one more pass over memory than a fused one
        return product + self.bias.to(product.dtype)


class OutputDense(Dense):
    """The last linear layer: what it gives is compared with targets."""


def inner_matrices(network: nn.Module) -> list[Tensor]:
    """Weights of all linear layers but those that give outputs, (outputs, inputs) each, in the network's order."""
    layers = (module for module in network.modules() if isinstance(module, nn.Linear))
    return [layer.weight for layer in layers if not isinstance(layer, OutputDense)]


def float32_products(device: torch.device) -> AbstractContextManager[Any]:
    """Products in float32 while the block runs, whatever autocast says; nothing where there is no autocast."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else nullcontext()


def layer_norm(width: int) -> nn.LayerNorm:
    """LayerNorm over channels with epsilon 1e-6."""
    return nn.LayerNorm(width, eps=_LAYER_NORM_EPSILON)


def swiglu(x: Tensor) -> Tensor:
    """p * swish(g) of the two halves (p, g) of the channels: (..., 2 n) -> (..., n)."""
    value, gate = x.chunk(2, dim=-1)
    return value * functional.silu(gate)


class ScaleBias(nn.Module):
    """x * scale + bias with one scale and bias a channel; float32 out."""

    def __init__(self, width: int, scale_init: Literal["glorot", "one"]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        if scale_init == "glorot":
            bound = math.sqrt(3 / width)  # fans of a vector are both its length in Keras
            nn.init.uniform_(self.scale, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.bias


class LevelConvolution(nn.Module):
    """Depthwise convolution over levels, odd kernel, zero padding, no bias; weight (kernel, channel)."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kernel, channels))
        bound = math.sqrt(6 / (kernel * (channels + 1)))  # Keras counts fans kernel * channels and kernel
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return convolve_levels(x, self.weight)


class BatchNorm(nn.Module):
    """Normalise each channel by its moments over (batch, level); running moments serve outside training.

    The variance is the population's in both (as in Keras for sequences). ``moments`` is the one place that looks
    across the batch. Processes that share a batch take its moments together, so that the network they train is the one
    that a single process would; of a batch that is learnt in pieces (``training.accumulate``), each piece has its own.

    Attributes:
        ranks: processes that share a batch (``share_batches``).
        momentum: how far the running moments move towards those of a batch, or of a piece of one.
    """

    running_mean: Tensor
    running_var: Tensor
    ranks = 1
    momentum = _BATCH_NORM_MOMENTUM

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel over (batch, level) and the shares of all processes, float32."""
        mean = x.mean(dim=(0, 1))
        return shared_moments(mean, (x - mean).square().mean(dim=(0, 1)), self.ranks)

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        if self.training:
            mean, variance = self.moments(x)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance, self.momentum)
        else:
            mean, variance = self.running_mean, self.running_var
        return (x - mean) * (self.weight * torch.rsqrt(variance + _BATCH_NORM_EPSILON)) + self.bias


def share_batches(network: nn.Module, ranks: int, pieces: int = 1) -> None:
    """From now on, each batch that the network learns from is a piece of the share of one of so many processes.

    Running moments move as far over all pieces of a batch as they would over the whole: (1 - m)**pieces = 1 - 0.05.
    """
    momentum = _BATCH_NORM_MOMENTUM if pieces == 1 else 1.0 - (1.0 - _BATCH_NORM_MOMENTUM) ** (1.0 / pieces)
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.ranks, module.momentum = ranks, momentum


class ChannelGate(nn.Module):
    """Efficient channel attention: a gate a channel from the level means of the channel and its four neighbours.

    x * sigmoid(convolution over channels of (mean over levels of x)), kernel 5, zero padding, no bias.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(_GATE_KERNEL))
        bound = math.sqrt(6 / (2 * _GATE_KERNEL))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[-1]
        pooled = functional.pad(x.mean(dim=1), (_GATE_KERNEL // 2, _GATE_KERNEL // 2))  # (batch, channel + 4)
        gate = torch.stack([self.weight[j] * pooled[:, j : j + channels] for j in range(_GATE_KERNEL)]).sum(dim=0)
        return x * torch.sigmoid(gate).unsqueeze(1)


class FeedForward(nn.Module):
    """width -> 4 width, gated to 2 width, -> width, ScaleBias; float32 out."""

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        self.expand = Dense(settings.width, _EXPANSION * settings.width)
        self.project = Dense(_EXPANSION * settings.width // 2, settings.width)
        self.scale = ScaleBias(settings.width, settings.scale_init)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale(self.project(swiglu(self.expand(x))))


class ConvBlock(nn.Module):
    """Gated expansion, convolution over levels, batch norm, swish, channel gate, projection; then a feed-forward.

    x <- x + branch(x), without a norm; then x <- LayerNorm(x + feed-forward(x)).
    """

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        inner = _EXPANSION * settings.width // 2
        self.expand = Dense(settings.width, 2 * inner)
        self.convolution = LevelConvolution(inner, settings.kernel)
        self.batch_norm = BatchNorm(inner)
        self.gate = ChannelGate()
        self.project = Dense(inner, settings.width)
        self.scale = ScaleBias(settings.width, settings.scale_init)
        self.feed_forward = FeedForward(settings)
        self.norm = layer_norm(settings.width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.convolution(swiglu(self.expand(x)))
        h = self.gate(functional.silu(self.batch_norm(h))).to(h.dtype)
        x = x + self.scale(self.project(h))
        return self.norm(x + self.feed_forward(x))


class SelfAttention(nn.Module):
    """Multi-head attention of all levels to all levels, scale 1/sqrt(width / heads), no mask, no dropout."""

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.project_in = Dense(settings.width, 3 * settings.width, parts=3)  # query, key, value
        self.project_out = Dense(settings.width, settings.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, levels, width = x.shape
        split = self.project_in(x).view(batch, levels, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, head, level, width / heads)
        mixed = _attend(query, key, value).transpose(1, 2).reshape(batch, levels, width)
        return self.project_out(mixed)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query key^T / sqrt(size)) value over (batch, head, level, size).

    On CPUs torch's fused attention has a slow backward pass in bfloat16 for as few levels as a column has.
    """
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value)
    scores = query @ key.transpose(-2, -1)
    weights = torch.softmax(scores.float() / math.sqrt(query.shape[-1]), dim=-1)
    return weights.to(value.dtype) @ value


class AttentionBlock(nn.Module):
    """x <- LayerNorm(x + ScaleBias(attention(x))), then x <- LayerNorm(x + feed-forward(x))."""

    def __init__(self, settings: BlockSettings) -> None:
        super().__init__()
        self.attention = SelfAttention(settings)
        self.scale = ScaleBias(settings.width, settings.scale_init)
        self.attention_norm = layer_norm(settings.width)
        self.feed_forward = FeedForward(settings)
        self.norm = layer_norm(settings.width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention_norm(x + self.scale(self.attention(x)))
        return self.norm(x + self.feed_forward(x))
