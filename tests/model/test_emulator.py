"""The emulator: encoder, network and target transform put together, and the way back to physical units."""

import numpy as np
import pytest
import torch

from subgrid.model import ModelSettings
from subgrid.model.emulator import EmulatorSettings, build_emulator
from subgrid.representation import RepresentationSettings
from subgrid.schema.variable_sets import variable_set
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

ROWS = 40
SMALL = ModelSettings(width=4, blocks=1, head=8, heads=2, kernel=3, layers=(8,))


def rows_of(name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Physical inputs and targets of a set, float64; the first target is constant."""
    variables, rng = variable_set(name), np.random.default_rng(seed)
    inputs = rng.normal(size=(ROWS, variables.input_width))
    targets = rng.normal(2.0, 1e-6, size=(ROWS, variables.target_width))
    targets[:, 0] = 3.5
    return inputs, targets


def table_of(name: str) -> Table:
    inputs, targets = rows_of(name)
    return Table(variable_set(name), Moments.of(inputs.T.copy()), Moments.of(targets.T.copy()))


def settings(**shape: bool) -> EmulatorSettings:
    return EmulatorSettings(RepresentationSettings(), SMALL, **shape)


@pytest.mark.parametrize("name", ["kaggle", "v1", "v2"])
@pytest.mark.parametrize("network", ["squeezeformer", "mlp"])
def test_every_set_goes_through_every_network(name: str, network: str) -> None:
    chosen = EmulatorSettings(RepresentationSettings(), SMALL.model_copy(update={"name": network}), True, True)
    emulator = build_emulator(chosen, table_of(name)).eval()
    inputs = torch.from_numpy(rows_of(name)[0])
    width = variable_set(name).target_width
    outputs = emulator(inputs, stored=False)
    assert outputs.prediction.shape == outputs.confidence.shape == (ROWS, width + 6)
    found = emulator.predict(inputs, stored=False)
    assert found.targets.shape == found.confidence.shape == (ROWS, width)
    assert found.targets.dtype == torch.float64
    assert found.confidence.dtype == torch.float32


def test_heads_follow_the_settings() -> None:
    emulator = build_emulator(settings(), table_of("v1")).eval()
    outputs = emulator(torch.from_numpy(rows_of("v1")[0]), stored=False)
    assert outputs.prediction.shape == (ROWS, 128)
    assert outputs.confidence is None
    assert emulator.predict(torch.from_numpy(rows_of("v1")[0]), stored=False).confidence is None


def test_predictions_are_means_plus_outputs_times_deviations() -> None:
    emulator, table = build_emulator(settings(space_time=True), table_of("v1")).eval(), table_of("v1")
    inputs = torch.from_numpy(rows_of("v1")[0])
    with torch.no_grad():
        outputs = emulator(inputs, stored=False).prediction[:, :128].double().numpy()
    expected = table.targets.mean + outputs * table.targets.std
    trained = emulator.targets.trained.numpy()
    expected[:, ~trained] = table.targets.mean[~trained]
    np.testing.assert_allclose(emulator.predict(inputs, stored=False).targets.numpy(), expected, rtol=1e-13)
    assert not trained[0]  # the constant one


def test_stored_and_raw_inputs_give_the_same_bits() -> None:
    emulator = build_emulator(settings(), table_of("v1")).eval()
    inputs = rows_of("v1")[0]
    stored = np.ldexp(inputs, variable_set("v1").input_exponents)
    one = emulator.predict(torch.from_numpy(inputs), stored=False).targets
    assert torch.equal(one, emulator.predict(torch.from_numpy(stored)).targets)


def test_only_the_network_learns() -> None:
    emulator = build_emulator(settings(), table_of("v1"))
    assert {name.split(".")[0] for name, _ in emulator.named_parameters()} == {"network"}
    emulator(torch.from_numpy(rows_of("v1")[0]), stored=False).prediction.sum().backward()
    assert all(parameter.grad is not None for parameter in emulator.parameters())
