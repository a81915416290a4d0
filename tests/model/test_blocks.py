"""Layers of the level networks against closed forms and torch's stock layers."""

import math

import pytest
import torch
from torch import nn

from subgrid.model.blocks import (
    BatchNorm,
    BlockSettings,
    ChannelGate,
    Dense,
    LevelConvolution,
    ScaleBias,
    SelfAttention,
    share_batches,
    swiglu,
)

SETTINGS = BlockSettings(width=24, heads=4, kernel=15, scale_init="glorot")


def within(values: torch.Tensor, bound: float) -> bool:
    """Uniform in (-bound, bound): inside, and near both ends."""
    return bool(values.abs().max() <= bound and values.max() > 0.9 * bound and values.min() < -0.9 * bound)


def test_initial_values_are_keras():
    torch.manual_seed(0)
    dense = Dense(100, 300)
    assert within(dense.weight, math.sqrt(6 / 400)) and not dense.bias.any()
    assert within(ScaleBias(256, "glorot").scale, math.sqrt(3 / 256)) and not ScaleBias(256, "glorot").bias.any()
    assert (ScaleBias(256, "one").scale == 1).all()
    assert within(LevelConvolution(512, 15).weight, math.sqrt(6 / (15 * 512 + 15)))
    joined = SelfAttention(SETTINGS).project_in.weight
    assert all(within(part, math.sqrt(6 / 48)) for part in joined.chunk(3))
    assert ChannelGate().weight.abs().max() <= math.sqrt(6 / 10)


def test_swiglu_multiplies_first_half_by_swish_of_second():
    x = torch.tensor([[2.0, -3.0, 0.0, math.log(3)]])
    assert swiglu(x)[0].tolist() == pytest.approx([0.0, -3 * math.log(3) * 0.75])


def test_batch_norm_follows_torch_but_for_the_population_variance():
    torch.manual_seed(0)
    mine, theirs = BatchNorm(6), nn.BatchNorm1d(6, eps=1e-3, momentum=0.05)
    for _ in range(3):
        x = 2 * torch.randn(5, 60, 6) + torch.arange(6.0)
        before = theirs.running_var.clone()
        torch.testing.assert_close(mine(x), theirs(x.transpose(1, 2)).transpose(1, 2), rtol=1e-5, atol=1e-5)
        unbiased = (theirs.running_var - 0.95 * before) / 0.05
        theirs.running_var = 0.95 * before + 0.05 * unbiased * 299 / 300  # Keras: variance of the population
        torch.testing.assert_close(mine.running_mean, theirs.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mine.running_var, theirs.running_var, rtol=1e-5, atol=1e-6)
    mine.eval(), theirs.eval()
    torch.testing.assert_close(mine(x), theirs(x.transpose(1, 2)).transpose(1, 2), rtol=1e-5, atol=1e-5)


def test_channel_gate_pools_levels_and_looks_at_neighbouring_channels():
    torch.manual_seed(0)
    gate, x = ChannelGate(), torch.randn(3, 60, 9)
    pooled = x.mean(dim=1)
    for channel in range(9):
        near = range(max(0, channel - 2), min(9, channel + 3))
        score = sum(gate.weight[j - channel + 2] * pooled[:, j] for j in near)
        expected = x[:, :, channel] * torch.sigmoid(score)[:, None]
        torch.testing.assert_close(gate(x)[:, :, channel], expected)


def test_attention_follows_torch():
    torch.manual_seed(0)
    mine, theirs = SelfAttention(SETTINGS), nn.MultiheadAttention(24, 4, batch_first=True)
    with torch.no_grad():
        for a, b in zip(theirs.parameters(), mine.parameters(), strict=True):
            b.uniform_(-0.5, 0.5)
            a.copy_(b)
    x = torch.randn(3, 60, 24)
    torch.testing.assert_close(mine(x), theirs(x, x, x)[0], rtol=1e-5, atol=1e-5)


def test_running_moments_move_as_far_in_pieces_as_in_one() -> None:
    x = torch.randn(12, 60, 4) * 3 + 5
    one, pieces = BatchNorm(4).train(), BatchNorm(4).train()
    share_batches(pieces, ranks=1, pieces=6)
    one(x)
    for _ in range(6):
        pieces(x)  # the same six times: only the way of the running moments differs
    torch.testing.assert_close(pieces.running_mean, one.running_mean)
    torch.testing.assert_close(pieces.running_var, one.running_var)
