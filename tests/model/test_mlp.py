"""The baseline sees each value of a column once and answers in the same form as every network."""

import pytest
import torch

from subgrid.model import ModelSettings, ModelShape, build

LAYERS = (32, 24)


@pytest.mark.parametrize(("auxiliary", "confidence"), [(0, False), (6, True)])
def test_parameters_count_each_value_once(auxiliary, confidence):
    shape = ModelShape(60, 28, 16, 6, 8, auxiliary, confidence)
    network = build(ModelSettings(name="mlp", layers=LAYERS), shape)
    sizes = [28 * 60 + 16, *LAYERS]
    expected = sum((into + 1) * out for into, out in zip(sizes, sizes[1:], strict=False))
    expected += (1 + confidence) * (LAYERS[-1] + 1) * (368 + auxiliary)
    assert sum(p.numel() for p in network.parameters()) == expected
    outputs = network(torch.randn(3, 60, 44))
    assert outputs.prediction.shape == (3, 368 + auxiliary)
    assert (outputs.confidence is not None) == confidence


def test_equals_numpy():
    torch.manual_seed(1)
    shape = ModelShape(60, 2, 3, 6, 8, 6, True)
    network = build(ModelSettings(name="mlp", layers=LAYERS), shape).double()
    x = torch.randn(4, 60, 5, dtype=torch.float64)
    h = torch.cat([x[:, :, :2].reshape(4, 120), x[:, 17, 2:]], dim=1).numpy()  # any level serves for scalars ...
    x[:, :, 2:] = x[:, 17:18, 2:]  # ... since they are the same on all
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    for index in range(len(LAYERS)):
        h = h @ weights[f"hidden.{index}.weight"].T + weights[f"hidden.{index}.bias"]
        h = h / (1 + torch.exp(-torch.from_numpy(h)).numpy())
    prediction, confidence = network(x)
    for name, found in (("prediction", prediction), ("confidence", confidence)):
        expected = torch.from_numpy(h @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
