"""The average of weights against its recursion in float64."""

import numpy as np
import torch
from torch import nn

from subgrid.training.averaging import Average


def drift(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.randn(value.shape, generator=generator))


def test_the_average_follows_its_recursion_and_forgets_the_first_weights_fast() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = Average(network, 0.5)
    expected = {name: value.double().numpy().copy() for name, value in network.state_dict().items()}
    for step in range(12):
        drift(network, step)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value.double().numpy()
    assert "1.num_batches_tracked" not in average.tensors
    for name, value in average.tensors.items():
        np.testing.assert_allclose(value.numpy(), expected[name], rtol=1e-5, atol=1e-6)


def test_the_network_gets_its_own_weights_back() -> None:
    network = nn.Linear(3, 2)
    average = Average(network, 0.9)
    drift(network, 1)
    own = network.weight.detach().clone()
    with average.applied():
        assert torch.equal(network.weight, average.tensors["weight"])
        assert not torch.equal(network.weight, own)
    assert torch.equal(network.weight, own)


def test_saved_averages_are_taken_up() -> None:
    network = nn.Linear(3, 2)
    first, second = Average(network, 0.9), Average(network, 0.9)
    drift(network, 2)
    first.update(0)
    second.load(first.tensors)
    assert torch.equal(second.tensors["weight"], first.tensors["weight"])
