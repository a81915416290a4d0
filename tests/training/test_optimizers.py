"""Muon's step against a singular value decomposition, which parameters it moves, the state that is saved."""

import copy

import numpy as np
import torch

from subgrid.model import ModelSettings, ModelShape, build
from subgrid.training.optimizers import Optimizers, moments_of
from subgrid.training.settings import TrainingSettings

SHAPE = ModelShape(
    levels=60, profile_channels=9, scalar_channels=16, profiles=6, scalars=8, auxiliary=6, confidence=True
)
SMALL = ModelSettings(width=16, blocks=1, head=32, heads=2)


def settings(**given: object) -> TrainingSettings:
    return TrainingSettings.model_validate({"optimizer": "muon", "learning_rate": 1e-2, "momentum": 0.9} | given)


def learn(network: torch.nn.Module, optimizers: Optimizers, seed: int) -> dict[str, np.ndarray]:
    """One step on made-up rows; the gradients that it was made from."""
    torch.manual_seed(seed)
    outputs = network(torch.randn(8, SHAPE.levels, SHAPE.channels))
    (outputs.prediction - torch.randn_like(outputs.prediction)).abs().mean().backward()
    gradients = {
        name: np.zeros(0) if parameter.grad is None else parameter.grad.double().numpy().copy()
        for name, parameter in network.named_parameters()
    }
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return gradients


def test_matrices_move_along_the_singular_vectors_of_their_momentum_at_one_speed() -> None:
    network = build(SMALL, SHAPE)
    optimizers = Optimizers(network, settings())
    momentum: dict[str, np.ndarray] = {}
    inside = [name for name, value in network.named_parameters() if value.ndim == 2 and "heads" not in name]
    inside = [name for name in inside if not name.endswith("convolution.weight")]
    for step, rate in enumerate((1e-2, 5e-3)):
        optimizers.set(rate, 0.5)
        before = {name: value.detach().double().numpy().copy() for name, value in network.named_parameters()}
        gradients = learn(network, optimizers, step)
        for name in inside:
            gradient = gradients[name]
            momentum[name] = 0.9 * momentum.get(name, 0.0) + 0.1 * gradient
            left, sizes, right = np.linalg.svd(0.1 * gradient + 0.9 * momentum[name], full_matrices=False)
            after = network.get_parameter(name).detach().double().numpy()
            moved = (before[name] * (1 - rate * 0.5) - after) / (rate * 0.2 * np.sqrt(max(after.shape)))
            speeds = left.T @ moved @ right.T  # diagonal where the step has the same singular vectors
            strong = sizes > 0.1 * sizes[0]
            assert np.all((np.diag(speeds)[strong] > 0.6) & (np.diag(speeds)[strong] < 1.3)), name
            np.testing.assert_allclose(speeds[strong][:, strong] - np.diag(np.diag(speeds)[strong]), 0, atol=0.03)
    assert len(inside) == 1 + 8 + 3  # embedding, a pair of blocks, wide head


def test_all_other_parameters_move_as_with_adamw_alone() -> None:
    one = build(SMALL, SHAPE)
    other = copy.deepcopy(one)
    muon, adamw = Optimizers(one, settings()), Optimizers(other, settings(optimizer="adamw"))
    assert list(adamw.by_name) == ["optimizer"]
    for optimizers, network in ((muon, one), (adamw, other)):
        optimizers.set(1e-2, 0.5)
        learn(network, optimizers, 0)
    for name in ("blocks.0.convolution.convolution.weight", "heads.prediction.linear.weight", "embed_norm.weight"):
        assert torch.equal(one.get_parameter(name), other.get_parameter(name)), name
    assert not torch.equal(one.get_parameter("embed.weight"), other.get_parameter("embed.weight"))


def test_restored_optimisers_take_the_same_step() -> None:
    one = build(SMALL, SHAPE)
    optimizers = Optimizers(one, settings())
    learn(one, optimizers, 0)
    other = copy.deepcopy(one)
    restored = Optimizers(other, settings())
    restored.load({name: value.clone() for name, value in optimizers.tensors().items()} | {"own.x": torch.zeros(1)})
    assert restored.tensors().keys() == optimizers.tensors().keys()
    for network, ours in ((one, optimizers), (other, restored)):
        ours.set(1e-3, 0.1)
        learn(network, ours, 1)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_moments_are_counted_as_they_are_kept() -> None:
    network = build(SMALL, SHAPE)
    for name in ("muon", "adamw"):
        optimizers = Optimizers(network, settings(optimizer=name))
        learn(network, optimizers, 0)
        kept = sum(value.numel() for key, value in optimizers.tensors().items() if not key.endswith(".step"))
        untouched = sum(value.numel() for key, value in network.named_parameters() if "confidence" in key)
        assert moments_of(network, settings(optimizer=name)) == kept + 2 * untouched
