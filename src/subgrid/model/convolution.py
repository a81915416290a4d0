"""Depthwise convolution over the levels of a column, without a convolution kernel.

y[b, l, c] = sum over j of weight[j, c] * x[b, l + j - (kernel - 1) / 2, c], zero beyond top and bottom. Convolution
kernels want levels next to each other in memory and are slow at one input channel a group; on two cores both forms
below beat them several times over. They give the same result up to rounding.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def convolve_levels(x: Tensor, weight: Tensor) -> Tensor:
    """x (batch, level, channel) with weight float32 (kernel, channel), kernel odd; result in x's shape and type.

    Compiled for a CPU the taps become one loop over channels that nothing leaves; elsewhere a product with banded
    matrices needs the fewest passes over memory.
    """
    if torch.compiler.is_compiling() and x.device.type == "cpu":
        return TapConvolution.apply(x, weight)
    return banded_convolution(x, weight)


def banded_convolution(x: Tensor, weight: Tensor) -> Tensor:
    """The convolution as one (level, level) matrix a channel: y[:, l, c] = sum over m of band[c, l, m] * x[:, m, c]."""
    kernel, levels = weight.shape[0], x.shape[1]
    row = functional.pad(weight.t(), (0, levels))  # (channel, kernel + level): one row of the band and what follows it
    rows = row.unsqueeze(1).expand(-1, levels, -1).reshape(row.shape[0], -1)
    skewed = rows[:, : levels * (kernel + levels - 1)].view(-1, levels, kernel + levels - 1)  # each row one further
    band = skewed[:, :, kernel // 2 : kernel // 2 + levels].to(x.dtype)
    return torch.bmm(x.permute(2, 0, 1), band.transpose(1, 2)).permute(1, 2, 0).to(x.dtype)


class TapConvolution(torch.autograd.Function):
    """The convolution as a sum of shifted products, and its derivatives as more of the same; sums are in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        padded = _pad_levels(x, weight.shape[0] // 2)
        ctx.save_for_backward(padded, weight)
        return _sum_taps(padded, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        padded, weight = ctx.saved_tensors
        grad, (kernel, channels) = grads[0], weight.shape
        shifted = [padded[:, j : j + grad.shape[1]].float() * grad.float() for j in range(kernel)]
        taps = torch.cat([product.sum(dim=1) for product in shifted], dim=1).sum(dim=0)  # a batch row fits the cache
        return _sum_taps(_pad_levels(grad, kernel // 2), weight.flip(0)), taps.view(kernel, channels)


def _pad_levels(x: Tensor, rows: int) -> Tensor:
    zeros = x.new_zeros(x.shape[0], rows, x.shape[2])
    return torch.cat([zeros, x, zeros], dim=1)


def _sum_taps(padded: Tensor, weight: Tensor) -> Tensor:
    levels = padded.shape[1] - weight.shape[0] + 1
    total = padded[:, :levels].float() * weight[0]
    for j in range(1, weight.shape[0]):
        total = total + padded[:, j : j + levels].float() * weight[j]
    return total.to(padded.dtype)
