"""What layers compute over a batch that several processes share, with the derivative that belongs to it.

``gather`` is an operator of its own, so that compiled networks take it as it is. Gradients follow the total loss of all
processes: what a process sends is used by each of them, so its derivative is the sum of theirs.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@torch.library.custom_op("subgrid::gather", mutates_args=())
def gather(x: Tensor, ranks: int) -> Tensor:
    """The tensors ``x`` of all processes in the order of their ranks: (...) -> (ranks, ...), differentiable."""
    found = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(ranks)]
    dist.all_gather(found, x.contiguous())
    return torch.stack(found)


@gather.register_fake
def _(x: Tensor, ranks: int) -> Tensor:
    return x.new_empty((ranks, *x.shape))


@torch.library.custom_op("subgrid::own_gradient", mutates_args=())
def _own_gradient(gradients: Tensor) -> Tensor:
    total = gradients.contiguous().clone()
    dist.all_reduce(total)
    return total[dist.get_rank()].clone()


@_own_gradient.register_fake
def _(gradients: Tensor) -> Tensor:
    return gradients.new_empty(gradients.shape[1:])


def _backward(context: Any, gradients: Tensor) -> tuple[Tensor, None]:
    return _own_gradient(gradients), None


gather.register_autograd(_backward)


def shared_moments(mean: Tensor, variance: Tensor, ranks: int) -> tuple[Tensor, Tensor]:
    """Moments of all processes' shares together, from those of each share; shares are equally large.

    mean = average of m_r, variance = average of (v_r + (m_r - mean)**2) (Chan, Golub and LeVeque 1979): sums of squares
    are taken about each share's own mean, so nothing cancels.

    Args:
        mean, variance: of this process's share, float32 (channel,).
        ranks: number of processes; 1 gives the arguments back.
    """
    if ranks == 1:
        return mean, variance
    means, variances = gather(torch.stack([mean, variance]), ranks).unbind(dim=1)  # (rank, channel) each
    total = means.mean(dim=0)
    return total, (variances + (means - total).square()).mean(dim=0)
