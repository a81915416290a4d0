"""Elementwise transforms between physical values and what a network sees, each with its inverse.

All are written in torch without data-dependent control flow and keep the dtype of what they are given; the encoder
calls them in float64. The soft clips and the signed log are those of the winning LEAP solution: odd about their centre,
continuous and strictly increasing, so that nothing is lost, only compressed.
"""

import math

import torch
from torch import Tensor

ROOT_CLIP = 30.0
"""Beyond this many standard deviations the first soft clip grows like a square root (winner's write-up)."""

LOG_CLIP = 86.0
"""Beyond this the second soft clip grows like a logarithm; only high-resolution rows come so far (write-up)."""


def standardise(x: Tensor, mean: Tensor, inverse_std: Tensor) -> Tensor:
    """(x - mean) * inverse_std, elementwise with broadcasting; 0 everywhere for an ``inverse_std`` of 0."""
    return (x - mean) * inverse_std


def unstandardise(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The inverse of ``standardise``: z * std + mean; the mean everywhere for a ``std`` of 0."""
    return torch.addcmul(mean, z, std)


def signed_log(t: Tensor) -> Tensor:
    """Sign-symmetric logarithm about 0: ln(1 + t) for t >= 0, -ln(1 - t) below.

    With t = z - m, the distance in standard deviations from the known minimum m, this is the winner's third form: ln(s)
    for s = z - m + 1 >= 1, else -ln(2 - s).
    """
    return torch.copysign(torch.log1p(t.abs()), t)


def inverse_signed_log(y: Tensor) -> Tensor:
    """The inverse of ``signed_log``: sign(y) * (exp(|y|) - 1)."""
    return torch.copysign(torch.expm1(y.abs()), y)


def soft_clip_1(z: Tensor) -> Tensor:
    """z within +-30; beyond, sign(z) * (sqrt(|z|) + 30 - sqrt(30)). soft_clip_1(100) = 34.52277."""
    tail = z.abs().clamp(min=ROOT_CLIP).sqrt() - math.sqrt(ROOT_CLIP)  # exactly 0 within
    return z.clamp(-ROOT_CLIP, ROOT_CLIP) + torch.copysign(tail, z)


def inverse_soft_clip_1(y: Tensor) -> Tensor:
    """The inverse of ``soft_clip_1``: y within +-30; beyond, sign(y) * (|y| - 30 + sqrt(30))**2."""
    size = y.abs()
    tail = (size.clamp(min=ROOT_CLIP) - ROOT_CLIP + math.sqrt(ROOT_CLIP)) ** 2
    return torch.where(size > ROOT_CLIP, torch.copysign(tail, y), y)


def soft_clip_2(z: Tensor) -> Tensor:
    """z within +-86; beyond, sign(z) * (ln(|z|) + 86 - ln(86)). soft_clip_2(100) = 86.15082."""
    core = z.clamp(-LOG_CLIP, LOG_CLIP)
    excess = z - core  # signed, exactly 0 within; ln(|z|) - ln(86) = ln(1 + |excess| / 86)
    return core + torch.copysign(torch.log1p(excess.abs() * (1 / LOG_CLIP)), z)


def inverse_soft_clip_2(y: Tensor) -> Tensor:
    """The inverse of ``soft_clip_2``: y within +-86; beyond, sign(y) * 86 * exp(|y| - 86)."""
    core = y.clamp(-LOG_CLIP, LOG_CLIP)
    return core + torch.copysign(torch.expm1((y - core).abs()) * LOG_CLIP, y)
