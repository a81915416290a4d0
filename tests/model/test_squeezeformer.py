"""The Squeezeformer: its parameter counts, equality with stock layers, precision, determinism, compiling."""

import importlib.util
from pathlib import Path

import pytest
import torch

from subgrid.model import ModelSettings, ModelShape, build, compile_blocks

SHAPE = ModelShape(60, 28, 16, 6, 8, 6, True)
SMALL = ModelSettings(width=32, head=48, blocks=2)


def stock_module():
    path = Path(__file__).parents[2] / "benchmarks" / "stock_squeezeformer.py"
    spec = importlib.util.spec_from_file_location("stock_squeezeformer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_network(seed: int = 0):
    """A network with random scales, biases and norms, so that nothing is hidden by a zero or a one."""
    torch.manual_seed(seed)
    network = build(SMALL, SHAPE)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def losses_and_gradients(network, x, y):
    prediction, confidence = network(x)
    loss = (prediction - y).abs().mean() + (confidence - y).square().mean()
    return loss.item(), torch.autograd.grad(loss, list(network.parameters()))


def expected_parameters(width: int, head: int, blocks: int) -> int:
    """Counted by hand from the description of the winner's network, 44 channels in, 20 and 20 out."""
    feed_forward = width * 4 * width + 4 * width + 2 * width * width + width + 2 * width
    convolution = 4 * width * width + 4 * width + 15 * 2 * width + 2 * 2 * width + 5 + 2 * width * width + 3 * width
    attention = 4 * (width * width + width) + 2 * width
    norms = 3 * 2 * width
    wide = (width + 1) * head + (head + 1) * 2 * head + (head + 1) * head
    return (
        44 * width + 2 * width + blocks * (convolution + attention + 2 * feed_forward + norms) + wide + 40 * (head + 1)
    )


@pytest.mark.parametrize(
    ("width", "head", "count"), [(256, 1024, 20_972_132), (384, 2048, 52_714_340), (512, 2048, 83_362_916)]
)
def test_parameter_counts_are_the_winners(width, head, count):
    with torch.device("meta"):
        network = build(ModelSettings(width=width, head=head, blocks=12), SHAPE)
    assert sum(p.numel() for p in network.parameters()) == count == expected_parameters(width, head, 12)


def test_equals_stock_layers_in_values_gradients_and_running_moments():
    stock = stock_module()
    network = small_network()
    other = stock.StockSqueezeformer(SMALL.model_dump(), 44, 20, 6)
    stock.copy_parameters(other, network)
    x, y = torch.randn(4, 60, 44), torch.randn(4, 374)
    for mine, theirs in zip(network(x), other(x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    (loss, mine), (stock_loss, theirs) = losses_and_gradients(network, x, y), losses_and_gradients(other, x, y)
    assert loss == pytest.approx(stock_loss, rel=1e-5)
    for (name, _), a, b in zip(other.named_parameters(), mine, theirs, strict=True):
        a = (a.t() if name.endswith("convolution.weight") else a).reshape(b.shape)
        assert (a - b).norm() <= 1e-4 * b.norm() + 1e-6, name
    network.eval(), other.eval()
    torch.testing.assert_close(network(x).prediction, other(x)[0], rtol=1e-3, atol=1e-3)  # running moments: n or n - 1


def test_columns_do_not_see_each_other_when_scoring():
    network = small_network().eval()
    x = torch.randn(5, 60, 44)
    torch.testing.assert_close(network(x).prediction[3:4], network(x[3:4]).prediction, rtol=1e-4, atol=1e-5)


def test_bfloat16_products_stay_close_and_outputs_are_float32():
    network, x = small_network().eval(), torch.randn(4, 60, 44)
    exact = network(x).prediction
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(x).prediction
    assert rounded.dtype == torch.float32
    assert ((rounded - exact).norm() / exact.norm()).item() < 0.03


@pytest.mark.parametrize("enabled", [False, True])
def test_the_same_seed_gives_the_same_bits(enabled):
    def bits():
        network = small_network(3)
        generator = torch.Generator().manual_seed(4)
        x, y = torch.randn(4, 60, 44, generator=generator), torch.randn(4, 374, generator=generator)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
        for _ in range(3):
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                prediction = network(x).prediction
            (prediction - y).abs().mean().backward()
            optimiser.step()
            optimiser.zero_grad()
        return network.state_dict()

    first, second = bits(), bits()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_names_in_the_state_are_plain_and_unchanged_by_compiling():
    network = small_network()
    names = list(network.state_dict())
    assert "blocks.1.convolution.batch_norm.running_var" in names and "heads.confidence.linear.bias" in names
    assert compile_blocks(network)
    assert list(network.state_dict()) == names


@pytest.mark.slow
def test_compiled_equals_plain():
    network, other = small_network(), small_network()
    assert compile_blocks(other)
    x, y = torch.randn(4, 60, 44), torch.randn(4, 374)
    (loss, mine), (compiled_loss, theirs) = losses_and_gradients(network, x, y), losses_and_gradients(other, x, y)
    assert loss == pytest.approx(compiled_loss, rel=1e-5)
    for (name, _), a, b in zip(network.named_parameters(), mine, theirs, strict=True):
        assert (a - b).norm() <= 1e-4 * a.norm() + 1e-6, name
    first, second = network.state_dict(), other.state_dict()
    assert all(torch.allclose(first[key], second[key], rtol=1e-4, atol=1e-6) for key in first)
