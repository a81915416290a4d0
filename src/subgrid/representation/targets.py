"""The target transform: physical targets <-> the normalised values that a network predicts.

    normalised = (y - mean) * scale        y = mean + normalised / scale

mean is the training mean of the run's table; scale is 1 / std of the table (``std``) or the competition's first weights
(``old_weights``). A column is *trained* when it varies in the table, has a scale and is not masked; the others are 0
when normalised and the training mean when physical.

Targets of rows from another climate than the table's (another resolution) can be clipped softly beyond what the table
has seen: the network learns them all the same, but no single value drowns the others.
"""

from functools import cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from subgrid.representation.constants import ConstantModule, has_float64
from subgrid.representation.encoder import NARROW_LIMIT
from subgrid.representation.settings import RepresentationSettings
from subgrid.representation.transforms import standardise, unstandardise
from subgrid.schema.variable_sets import VariableSet, scored_columns
from subgrid.statistics.table import Table


class TargetTransform(ConstantModule):
    """Targets of a column between stored, normalised and physical units, (batch, target_width) throughout.

    Args:
        table: moments of raw physical targets, the run's one table.
        settings: the scale, and the levels that are not trained.
        masked: further columns that are not trained, bool (target_width,).
    """

    trained: Tensor  # (target_width,) bool: columns that vary, have a scale and are not masked
    mean: Tensor  # (target_width,), stored units
    scale: Tensor  # (target_width,), of stored units; 0 for columns that are not trained
    low: Tensor  # (target_width,), minimum of the table in normalised units; 0 for columns that are not trained
    high: Tensor  # (target_width,), maximum
    physical_mean: Tensor  # (target_width,)
    physical_std: Tensor  # (target_width,), 1 / scale in physical units; 0 for columns that are not trained

    def __init__(self, table: Table, settings: RepresentationSettings, masked: np.ndarray | None = None) -> None:
        super().__init__()
        moments, exponents = table.targets, table.variables.target_exponents
        own = settings.target_scale == "std"
        scale = moments.inverse_std if own else old_weights(table.variables)
        trained = (scale > 0) & ~moments.constant & ~masked_columns(settings, table.variables)
        if masked is not None:
            trained &= ~np.asarray(masked, dtype=bool)
        scale = np.where(trained, scale, 0.0)
        spread = moments.std if own else np.divide(1.0, scale, out=np.zeros_like(scale), where=trained)
        self.hold("trained", trained)
        self.hold("mean", np.ldexp(moments.mean, exponents))
        self.hold("scale", np.ldexp(scale, -exponents))
        for name, extreme in (("low", moments.minimum), ("high", moments.maximum)):
            self.hold(name, np.where(trained, (np.where(trained, extreme, 0.0) - moments.mean) * scale, 0.0))
        self.hold("physical_mean", moments.mean)
        self.hold("physical_std", np.where(trained, spread, 0.0))

    def normalise(self, targets: Tensor, clip: Tensor | None = None) -> Tensor:
        """Targets in stored units, float32 or float64, to normalised float32; 0 for columns that are not trained.

        Computed in float64 where the device has it. Values are limited to +-1e30, so that one row far outside the
        training data cannot overflow; NaN stays NaN.

        Args:
            targets: (batch, target_width).
            clip: r of each row's soft clip (``soft_clip_targets``) at r times the minimum and maximum of the table,
                (batch,); rows with 0 are not clipped.
        """
        values = standardise(targets.to(self.mean.dtype), self.mean, self.scale)
        if clip is not None:
            ratio = clip.to(values.dtype)[:, None]
            values = torch.where(ratio > 0, soft_clip_targets(values, ratio * self.low, ratio * self.high), values)
        return values.clamp(-NARROW_LIMIT, NARROW_LIMIT).float()

    def physical(self, normalised: Tensor) -> Tensor:
        """Normalised predictions to raw physical units in float64; the training mean for columns that are not trained.

        On a device without float64 the result is computed, and stays, on the CPU: float32 cannot hold cloud-water
        tendencies.
        """
        if has_float64(normalised.device):
            return unstandardise(normalised.double(), self.physical_mean, self.physical_std)
        return unstandardise(normalised.cpu().double(), self.exact["physical_mean"], self.exact["physical_std"])


def soft_clip_targets(y: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """y within [low, high]; low - ln(1 + low - y) below, high + ln(1 + y - high) above; all of broadcastable shape.

    The winner's, for normalised targets of high-resolution rows, with low and high r times the least and largest
    normalised value of the low-resolution rows: increasing, continuous, slope 1 at both ends. NaN stays NaN.
    """
    core = torch.minimum(torch.maximum(y, low), high)
    return core + torch.log1p((y - core).clamp(min=0)) - torch.log1p((core - y).clamp(min=0))


def masked_columns(settings: RepresentationSettings, variables: VariableSet) -> np.ndarray:
    """Target columns that are not trained: levels the competition does not score and ``settings.masked``.

    Returns bool (target_width,); variables that the set lacks mask nothing.
    """
    masked = ~scored_columns(variables)
    for name, (first, last) in settings.masked.items():
        if name in variables.target_slices:
            masked[variables.target_slices[name]][first : last + 1] = True
    return masked


def old_weights(variables: VariableSet) -> np.ndarray:
    """The competition's first weights, about 1 / std of its training targets, capped at 1e15; float64 (target_width,).

    They are 0 at levels 0-11 of ptend_q0001, q0002, q0003, u, v and at levels 12-14 of ptend_q0002.
    """
    weights = _old_weights()
    return np.array([weights[name] for name in variables.target_columns])


@cache
def _old_weights() -> dict[str, float]:
    lines = files("subgrid.representation").joinpath("old_weights.csv").read_text(encoding="utf-8").splitlines()
    rows = (line.split(",") for line in lines if not line.startswith("#"))
    return {name: float(weight) for name, weight in rows if name != "column"}
