"""Both forms of the convolution over levels against torch's convolution, values and derivatives."""

import pytest
import torch
from torch.nn import functional

from subgrid.model.convolution import TapConvolution, banded_convolution


@pytest.mark.parametrize("form", [banded_convolution, TapConvolution.apply])
@pytest.mark.parametrize(("levels", "kernel"), [(60, 15), (60, 1), (7, 15), (5, 3)])
def test_equals_torch(form, levels, kernel):
    torch.manual_seed(0)
    x = torch.randn(3, levels, 10, requires_grad=True)
    weight = torch.randn(kernel, 10, requires_grad=True)
    grad = torch.randn(3, levels, 10)
    expected = functional.conv1d(x.transpose(1, 2), weight.t().unsqueeze(1), padding=kernel // 2, groups=10)
    expected = expected.transpose(1, 2)
    found = form(x, weight)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(
        torch.autograd.grad(found, (x, weight), grad), torch.autograd.grad(expected, (x, weight), grad), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("form", [banded_convolution, TapConvolution.apply])
def test_bfloat16_keeps_type_and_float32_sums(form):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 60, 16).bfloat16(), torch.randn(15, 16)
    exact = banded_convolution(x.double(), weight.double())
    found = form(x, weight)
    assert found.dtype == torch.bfloat16
    assert ((found.double() - exact).norm() / exact.norm()).item() < 5e-3  # one rounding of weight and of result
