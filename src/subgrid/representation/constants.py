"""Constants of a module that follow it from device to device and never lose a digit."""

from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn


def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64: all but Apple's (mps) and some of Intel's (xpu)."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type != "mps"


class ConstantModule(nn.Module):
    """A module whose buffers are constants: float64, or float32 on a device that has nothing better.

    ``.half()``, ``.to(torch.bfloat16)`` and the like leave them alone, and a stay on a device without float64 costs no
    digit: the exact values are kept on the CPU. They are not in the state dict, because the statistics they come from
    are kept beside it: there is one place to read them from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exact: dict[str, Tensor] = {}

    def hold(self, name: str, values: np.ndarray) -> None:
        """Keep an array (float64, int64 or bool) as the buffer ``name``."""
        self.exact[name] = torch.from_numpy(np.array(values))
        self.register_buffer(name, self.exact[name], persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        here = next(iter(self._buffers.values()))
        device = fn(torch.empty(0, dtype=torch.bool, device=None if here is None else here.device)).device
        for name, exact in self.exact.items():
            narrow = exact.is_floating_point() and not has_float64(device)
            self._buffers[name] = exact.to(device, torch.float32 if narrow else exact.dtype)
        for child in self.children() if recurse else ():
            child._apply(fn)
        return self
