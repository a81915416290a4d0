"""Networks by name: settings refuse what cannot be built, unknown names list the known ones, a new one is a line."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from subgrid.errors import SettingsError
from subgrid.model import ModelSettings, ModelShape, Outputs, build, compile_blocks, known_networks, register
from subgrid.model.registry import _BUILDERS

SHAPE = ModelShape(levels=60, profile_channels=28, scalar_channels=16, profiles=6, scalars=8, auxiliary=6)


def test_shape_counts_channels_and_outputs():
    assert (SHAPE.channels, SHAPE.output_channels, SHAPE.outputs) == (44, 20, 374)


def test_unknown_network_lists_the_known_ones():
    with pytest.raises(ValidationError, match="unknown network 'unet'; known are: squeezeformer, mlp"):
        ModelSettings(name="unet")
    with pytest.raises(SettingsError, match="unknown network 'unet'; known are: squeezeformer, mlp"):
        build(ModelSettings.model_construct(name="unet"), SHAPE)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 30}, "heads must divide model.width, found 4 heads of width 30"),
        ({"kernel": 14}, "kernel must be odd"),
        ({"blocks": 0}, "greater than or equal to 1"),
        ({"layers": ()}, "at least 1 item"),
        ({"scale_init": "two"}, "'glorot' or 'one'"),
        ({"depth": 3}, "Extra inputs"),
    ],
)
def test_settings_refuse(wrong, message):
    with pytest.raises(ValidationError, match=message):
        ModelSettings(**wrong)


def test_the_name_alone_switches_the_network():
    recipe = {"name": "squeezeformer", "width": 128, "blocks": 12, "head": 512}
    torch.manual_seed(0)
    switched = build(ModelSettings(**recipe | {"name": "mlp"}), SHAPE)
    torch.manual_seed(0)
    plain = build(ModelSettings(name="mlp"), SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(switched.parameters(), plain.parameters(), strict=True))


def test_a_new_network_is_a_registered_builder(monkeypatch):
    monkeypatch.setattr("subgrid.model.registry._BUILDERS", dict(_BUILDERS))

    @register("mean")
    class Mean(nn.Module):
        def __init__(self, settings: ModelSettings, shape: ModelShape) -> None:
            super().__init__()
            self.outputs = shape.outputs

        def forward(self, x):
            return Outputs(x.mean(dim=(1, 2))[:, None].expand(-1, self.outputs), None)

    assert known_networks() == ("squeezeformer", "mlp", "mean")
    network = build(ModelSettings(name="mean"), SHAPE)
    assert network(torch.ones(2, 60, 44)).prediction.shape == (2, 374)
    assert not compile_blocks(network)
    with pytest.raises(SettingsError, match="'mean' is registered twice"):
        register("mean")(lambda settings, shape: nn.Identity())


def test_settings_need_no_torch():
    code = "import sys; from subgrid.model import ModelSettings; ModelSettings(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
