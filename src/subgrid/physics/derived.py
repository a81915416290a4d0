"""Inputs that follow from other inputs; written with operators alone, so numpy arrays and torch tensors both pass."""

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Values = TypeVar("Values", np.ndarray, "Tensor")


def wind_speed(u: Values, v: Values) -> Values:
    """Horizontal wind speed sqrt(u2 + v2) in m/s, elementwise, from components in m/s."""
    return (u * u + v * v) ** 0.5
