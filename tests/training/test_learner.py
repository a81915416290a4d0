"""One step of learning against AdamW written out, and the state that is saved."""

import numpy as np
import pytest
import torch

from subgrid.training import machine
from subgrid.training.batches import Origin, prepare
from subgrid.training.checkpoint import emulator_settings
from subgrid.training.learner import Learner, seed_draws
from subgrid.training.losses import Loss


def learner_of(recipe, data) -> Learner:
    plain = recipe.model_dump(mode="json")
    fabric = machine.open_device(recipe.training)
    climate = (data.table("training"), data.grid)
    return Learner(emulator_settings(plain), recipe.training, climate, fabric, recipe.seed)


def batches(data, learner: Learner, count: int) -> list:
    found = [prepare(batch, learner.emulator, [Origin(data.grid)]) for batch in data.scan("training", 8)]
    return found[:count]


def test_two_steps_are_adamw_with_a_decay_of_four_times_the_rate(data, tiny) -> None:
    recipe = tiny("model.name=mlp", "training.rows=48", "training.betas=[0.8, 0.9]")
    learner, twin = learner_of(recipe, data), learner_of(recipe, data)
    weight = twin.emulator.network.prediction.weight
    expected = weight.detach().double().numpy().copy()
    first = second = np.zeros_like(expected)
    for step, prepared in enumerate(batches(data, learner, 4)):
        twin.emulator.network.load_state_dict(learner.emulator.network.state_dict())
        twin.emulator.network.zero_grad()
        Loss("mae", twin.emulator.targets.trained)(twin.emulator.network(prepared.inputs), prepared.goal)[0].backward()
        gradient = weight.grad.double().numpy()
        learner.step(prepared, step)
        rate = learner.schedule.learning_rate(step)
        first, second = 0.8 * first + 0.2 * gradient, 0.9 * second + 0.1 * gradient**2
        moved = (first / (1 - 0.8 ** (step + 1))) / (np.sqrt(second / (1 - 0.9 ** (step + 1))) + 1e-7)
        expected = expected * (1 - rate * 4 * rate) - rate * moved
        np.testing.assert_allclose(
            learner.emulator.network.prediction.weight.detach().numpy(), expected, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_clipping_limits_the_norm_of_the_whole_gradient(
    optimizer: str, data, tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = learner_of(tiny("training.clip=0.001", f"training.optimizer={optimizer}"), data)
    seen: list[torch.Tensor] = []

    def watching(self: torch.optim.Optimizer, *args: object, **named: object) -> None:
        seen.extend(parameter.grad.flatten() for group in self.param_groups for parameter in group["params"])

    monkeypatch.setattr(torch.optim.AdamW, "step", watching)
    monkeypatch.setattr(torch.optim.Muon, "step", watching)
    learner.step(batches(data, learner, 1)[0], 0)
    gradient = torch.cat(seen)
    assert gradient.numel() == learner.parameters
    assert gradient.norm().item() == pytest.approx(0.001, rel=1e-3)


def test_pieces_of_a_batch_give_the_step_of_the_whole(data, tiny) -> None:
    """In a network without batch moments; rows of unknown place make pieces weigh differently in their own means."""
    whole, pieces = (learner_of(tiny("model.name=mlp", f"training.accumulate={count}"), data) for count in (1, 4))
    for step, prepared in enumerate(batches(data, whole, 3)):
        known = torch.tensor([1, 1, 1, 0, 0, 1, 0, 0], dtype=torch.float32)
        goal = prepared.goal._replace(auxiliary=prepared.goal.auxiliary * known[:, None], known=known)
        one, other = (learner.step(prepared._replace(goal=goal), step) for learner in (whole, pieces))
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    for name, value in whole.weights().items():
        torch.testing.assert_close(pieces.weights()[name], value, rtol=1e-3, atol=1e-5)


def test_first_weights_follow_from_the_seed(data, tiny) -> None:
    one, same, other = (learner_of(tiny(f"seed={seed}"), data).weights() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["embed.weight"], other["embed.weight"])


def test_draws_follow_from_seed_and_step() -> None:
    drawn = []
    for numbers in ((1, 5), (1, 6), (1, 5), (6, 1)):
        seed_draws(*numbers)
        drawn.append(torch.rand(1).item())
    assert drawn[0] == drawn[2]
    assert len(set(drawn)) == 3


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_restored_learner_goes_on_to_the_same_bits(data, tiny, average: float) -> None:
    recipe = tiny(f"training.average={average}")
    one, other = learner_of(recipe, data), learner_of(tiny(f"training.average={average}", "seed=9"), data)
    prepared = batches(data, one, 4)
    for step in (0, 1):
        one.step(prepared[step], step)
    weights = {name: value.clone() for name, value in one.weights().items()}
    tensors = {name: value.clone() for name, value in one.training_tensors().items()}
    other.restore(weights, tensors, "memory")
    for step in (2, 3):
        assert torch.equal(one.step(prepared[step], step), other.step(prepared[step], step))
    for found, expected in ((other.weights(), one.weights()), (other.training_tensors(), one.training_tensors())):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_average_predicts_and_the_own_weights_come_back(data, tiny) -> None:
    learner = learner_of(tiny("training.average=0.9"), data)
    network = learner.emulator.network
    for step, prepared in enumerate(batches(data, learner, 3)):
        learner.step(prepared, step)
    own = {name: value.clone() for name, value in network.state_dict().items()}
    with learner.predicting():
        assert not network.training
        assert all(torch.equal(value, learner.weights()[name]) for name, value in network.state_dict().items())
    assert network.training
    assert all(torch.equal(value, own[name]) for name, value in network.state_dict().items())
    assert not torch.equal(own["embed.weight"], learner.weights()["embed.weight"])


def test_broken_weights_are_named(data, tiny) -> None:
    learner = learner_of(tiny(), data)
    assert learner.broken() == []
    with torch.no_grad():
        learner.emulator.network.embed.weight[0, 0] = float("nan")
    assert learner.broken() == ["embed.weight"]


@pytest.mark.slow
def test_compiled_steps_are_eager_steps_but_for_rounding(data, tiny) -> None:
    eager = learner_of(tiny("model.name=mlp"), data)
    compiled = learner_of(tiny("model.name=mlp", "training.compile=true"), data)
    assert eager.weights().keys() == compiled.weights().keys()
    for step, prepared in enumerate(batches(data, eager, 3)):
        torch.testing.assert_close(eager.step(prepared, step), compiled.step(prepared, step), rtol=1e-4, atol=1e-5)
    with compiled.predicting():  # another size of batch, not compiled for
        found = compiled.emulator.network(prepared.inputs[:3]).prediction
    assert found.shape == (3, 374)
