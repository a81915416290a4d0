"""The emulator: encoder, network and target transform put together, and the way back to physical units."""

import numpy as np
import pytest
import torch

from subgrid.errors import SettingsError
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


@pytest.mark.parametrize("turned", [("state_u", "pbuf_TAUX"), ("state_v", "pbuf_TAUY")])
def test_a_symmetric_prediction_of_a_mirrored_column_is_the_mirrored_prediction(turned: tuple[str, ...]) -> None:
    """To the last bit; and what is not turned is the plain mean of the plain network's four predictions."""
    variables, table = variable_set("kaggle"), table_of("kaggle")
    symmetric = RepresentationSettings(symmetric=True)
    torch.manual_seed(1)
    emulator = build_emulator(EmulatorSettings(symmetric, SMALL, confidence=True), table).eval()
    torch.manual_seed(1)
    plain = build_emulator(EmulatorSettings(RepresentationSettings(), SMALL, confidence=True), table).eval()
    inputs = torch.from_numpy(rows_of("kaggle")[0])

    def mirrored(values: torch.Tensor, slices: dict[str, slice], *names: str) -> torch.Tensor:
        values = values.clone()
        for name in names:
            values[:, slices[name]] *= -1
        return values

    acceleration = turned[0].replace("state", "ptend")
    found = emulator.predict(inputs, stored=False)
    image = emulator.predict(mirrored(inputs, variables.input_slices, *turned), stored=False)
    assert torch.equal(image.targets, mirrored(found.targets, variables.target_slices, acceleration))
    assert torch.equal(image.confidence, found.confidence)
    zonal, meridional = ("state_u", "pbuf_TAUX"), ("state_v", "pbuf_TAUY")
    four = [
        plain.predict(mirrored(inputs, variables.input_slices, *names), stored=False)
        for names in ((), zonal, meridional, zonal + meridional)
    ]
    heating = variables.target_slices["ptend_t"]
    expected = sum(one.targets[:, heating] for one in four) / 4
    torch.testing.assert_close(found.targets[:, heating], expected, rtol=1e-12, atol=0)
    assert not torch.equal(expected, four[0].targets[:, heating])
    wind = variables.target_slices["ptend_u"]
    expected = (four[0].targets - four[1].targets + four[2].targets - four[3].targets)[:, wind] / 4
    torch.testing.assert_close(found.targets[:, wind], expected, rtol=1e-9, atol=1e-12)


def test_a_symmetric_prediction_needs_winds() -> None:
    with pytest.raises(SettingsError, match="representation.symmetric = true needs state_u"):
        build_emulator(EmulatorSettings(RepresentationSettings(symmetric=True), SMALL), table_of("v1"))
