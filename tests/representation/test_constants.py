"""Constants follow the device and never the dtype of the module around them."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from subgrid.representation import constants
from subgrid.representation.constants import ConstantModule


@pytest.fixture
def module() -> nn.Module:
    held = ConstantModule()
    held.hold("third", np.array([1 / 3]))
    held.hold("flags", np.array([True, False]))
    return nn.Sequential(held, nn.Linear(1, 1))


@pytest.mark.parametrize("change", [nn.Module.half, nn.Module.float, lambda module: module.to(torch.bfloat16)])
def test_a_change_of_dtype_leaves_constants_alone(module: nn.Module, change) -> None:  # type: ignore[no-untyped-def]
    changed = change(module)
    assert changed[0].third.dtype == torch.float64
    assert changed[0].third.item() == 1 / 3
    assert changed[0].flags.dtype == torch.bool


def test_float32_where_the_device_has_no_float64_and_exact_again_after(
    module: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "has_float64", lambda device: False)
    module.to("cpu")
    assert module[0].third.dtype == torch.float32
    monkeypatch.undo()
    module.to("cpu")
    assert module[0].third.dtype == torch.float64
    assert module[0].third.item() == 1 / 3


def test_follows_to_another_device(module: nn.Module) -> None:
    assert module.to("meta")[0].third.device.type == "meta"


def test_copies_are_whole_and_the_state_dict_holds_learnt_weights_alone(module: nn.Module) -> None:
    assert copy.deepcopy(module)[0].third.item() == 1 / 3
    assert set(module.state_dict()) == {"1.weight", "1.bias"}


def test_apple_devices_have_no_float64() -> None:
    assert not constants.has_float64(torch.device("mps"))
    assert constants.has_float64(torch.device("cpu"))
    assert constants.has_float64(torch.device("cuda"))
