"""Moments of shares put together, against those of the whole batch; the derivative against one of the whole batch."""

import pytest
import torch
import torch.distributed as dist

from subgrid.model import sharing
from subgrid.model.blocks import BatchNorm, share_batches
from subgrid.model.sharing import shared_moments

RANKS = 3


def moments(x: torch.Tensor) -> torch.Tensor:
    """Mean and population variance of every channel of (row, channel)."""
    return torch.stack([x.mean(dim=0), x.var(dim=0, correction=0)])


def test_one_process_has_the_moments_already() -> None:
    mean, variance = torch.zeros(3), torch.ones(3)
    assert shared_moments(mean, variance, 1) == (mean, variance)


def test_moments_of_shares_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(30, 4, dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.1, 1e-3]) + torch.tensor([0, 1e3, 1, 1e4])
    shares = torch.stack([moments(share) for share in x.chunk(RANKS)])
    monkeypatch.setattr(sharing, "gather", lambda own, ranks: shares)
    found = shared_moments(*shares[1], RANKS)
    torch.testing.assert_close(torch.stack(found), moments(x), rtol=1e-9, atol=0)


class Others:
    """torch.distributed, if two other processes held the other shares of a batch."""

    def __init__(self, patch: pytest.MonkeyPatch, rank: int, shares: torch.Tensor, gradients: torch.Tensor) -> None:
        self.rank, self.shares, self.gradients = rank, shares, gradients
        for name in ("all_gather", "all_reduce", "get_rank"):
            patch.setattr(dist, name, getattr(self, name))

    def all_gather(self, found: list[torch.Tensor], own: torch.Tensor) -> None:
        assert torch.equal(own, self.shares[self.rank])
        for place, share in enumerate(self.shares):
            found[place].copy_(share)

    def all_reduce(self, gradients: torch.Tensor) -> None:
        gradients += sum(other for rank, other in enumerate(self.gradients) if rank != self.rank)

    def get_rank(self) -> int:
        return self.rank


@pytest.mark.parametrize("rank", range(RANKS))
def test_the_derivative_is_that_of_the_loss_of_all(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(RANKS, 5, dtype=torch.float64).requires_grad_()
    weights = torch.randn(RANKS, RANKS, 5, dtype=torch.float64)  # how each process uses what all have sent
    sum((weights[user] * x.square()).sum() for user in range(RANKS)).backward()
    own = x.detach()[rank].clone().requires_grad_()
    gathered = x.detach()
    Others(monkeypatch, rank, gathered, weights * 2 * gathered)
    (weights[rank] * sharing.gather(own, RANKS).square()).sum().backward()
    torch.testing.assert_close(own.grad, x.grad[rank])


def test_layers_are_told_how_many_share() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(BatchNorm(2)))
    share_batches(network, 4)
    assert network[1][0].ranks == 4 and BatchNorm(2).ranks == 1
