"""The encoder: columns in stored or raw units -> what a network sees, (batch, level, channel) in float32.

For a profile value x at level l of variable v (mean, std and minimum from the run's table):

    per_level   z1 = (x - mean_vl) / std_vl                      soft clips 1 and 2
    pooled      z2 = (x - mean_v) / std_v                        soft clip 2; mean and std over rows and levels
    signed_log  z3 = signed_log(z1 - m), m = (min_vl - mean_vl) / std_vl       soft clip 2
    wind        (w - mean(mean_u, mean_v)) / (std_u + std_v) per level, w = sqrt(u2 + v2)       soft clips 1 and 2

and for a scalar z1 with soft clip 2. What follows from the state by the laws of moist air is in ``derived``. What the
winner's write-up leaves open is decided here:

- z3 starts from z1 *before* any clip, and m comes from the training table;
- a std of 0 (a constant column, or one that held fill alone) gives z1 = z3 = 0, while z2, whose std spans all levels,
  goes on telling levels apart; the wind of a level where both components are constant is 0;
- a fill value (>= 1e29 in a scalar that has them) is encoded as the mean, 0.

Everything up to the clips is float64, because |state_q0002| spans 180 powers of two; a device without float64 computes
in float32 with each |z| limited to 1e30.
"""

import numpy as np
import torch
from torch import Tensor

from subgrid.errors import SettingsError
from subgrid.physics.derived import wind_speed
from subgrid.representation.constants import ConstantModule
from subgrid.representation.derived import Derivation
from subgrid.representation.layout import WIND, EncodedShape, Layout
from subgrid.representation.settings import RepresentationSettings
from subgrid.representation.transforms import signed_log, soft_clip_1, soft_clip_2, standardise
from subgrid.schema.grid import Grid
from subgrid.schema.variables import FILL_LIMIT, Variable
from subgrid.statistics.table import Table

NARROW_LIMIT = 1e30
"""Largest |z| where the device has no float64: keeps every later step inside float32."""


class Encoder(ConstantModule):
    """Inputs of a column, (batch, input_width), to (batch, 60, channels) float32; ``layout`` names the channels.

    Args:
        table: moments of raw physical inputs, the run's one table.
        settings: which representation.
        grid: whose hybrid levels give pressures; needed for derived channels alone.

    Raises:
        SettingsError: a variable set without profiles, with wind components stored at different exponents, or without
            what derived channels need; these without a grid.
    """

    level_mean: Tensor  # (profile, level), stored units; so are all means, minima and inverse deviations below
    level_inverse: Tensor
    level_minimum: Tensor
    pooled_mean: Tensor  # (profile, 1)
    pooled_inverse: Tensor
    wind_mean: Tensor  # (level,)
    wind_inverse: Tensor
    scalar_mean: Tensor  # (scalar,)
    scalar_inverse: Tensor
    fill_limit: Tensor  # (scalar,), NaN for a scalar that has no fill values
    power: Tensor  # (input_width,), 2**exponent
    constant: Tensor  # (input_width,) bool
    constant_value: Tensor  # (input_width,)

    def __init__(self, table: Table, settings: RepresentationSettings, grid: Grid | None = None) -> None:
        super().__init__()
        self.layout = Layout(table.variables, settings)
        if not self.layout.profiles:
            raise SettingsError(
                f"variable set {table.variables.name!r} holds no profile; an encoder needs at least one"
            )
        self._profile_runs = self._runs(self.layout.profiles)
        self._scalar_runs = self._runs(self.layout.scalars)
        self._fills = any(item.fill for item in self.layout.scalars)
        self._hold_columns(table)
        self._hold_pooled(table)
        if self.layout.has_wind:
            self._hold_wind(table)
        self._derivation = Derivation(table, self.layout.derived, grid) if self.layout.derived else None

    @property
    def shape(self) -> EncodedShape:
        """(levels, profile_channels, scalar_channels): profile channels first, scalars last."""
        return self.layout.shape

    def forward(self, inputs: Tensor, stored: bool = True) -> Tensor:
        """Encode columns.

        Args:
            inputs: (batch, input_width), float32 or float64, on the module's device.
            stored: whether they are in stored units, x * 2**exponent; False for raw physical values (float64: a cast of
                raw values to float32 flushes cloud water aloft to zero).

        Returns:
            float32 (batch, 60, channels); NaN in gives NaN out.
        """
        dtype = self.level_mean.dtype
        if not stored:
            inputs = inputs.to(dtype) * self.power
        profiles = self._gather(inputs, self._profile_runs).to(dtype).unflatten(1, (-1, self.shape.levels))
        blocks = [block.transpose(1, 2) for block in self._encode_profiles(profiles)]
        if self._derivation is not None:
            blocks.append(self._derivation(inputs.to(dtype)).float().transpose(1, 2))
        if self._scalar_runs:
            scalars = self._encode_scalars(self._gather(inputs, self._scalar_runs).to(dtype))
            blocks.append(scalars.unsqueeze(1).expand(-1, self.shape.levels, -1))
        return torch.cat(blocks, dim=2)

    def differing(self, inputs: Tensor, stored: bool = True) -> Tensor:
        """In how many rows each column that was constant in training holds another value; fill does not count.

        ``inputs`` as for ``forward``; returns int64 (input_width,), 0 for columns that varied in training. Rows kept in
        float32 are compared with the constant as float32 keeps it.
        """
        if not stored:
            inputs = inputs.to(self.power.dtype) * self.power
        other = (inputs != self.constant_value.to(inputs.dtype)) & (inputs < FILL_LIMIT * self.power)
        return (other & self.constant).sum(dim=0)

    def _encode_profiles(self, x: Tensor) -> list[Tensor]:
        """Profiles (batch, profile, level) to float32 blocks in the layout's order, (batch, channel, level)."""
        z = self._limited(standardise(x, self.level_mean, self.level_inverse))
        channels = [soft_clip_2(soft_clip_1(z)).float()]
        if self.layout.settings.name == "per_level":
            return channels
        if self.layout.has_wind:
            u, v = (self.layout.index(name) for name in WIND)
            wind = wind_speed(x[:, u], x[:, v])
            z = self._limited(standardise(wind, self.wind_mean, self.wind_inverse))
            channels.append(soft_clip_2(soft_clip_1(z)).float().unsqueeze(1))
        channels.append(soft_clip_2(self._limited(standardise(x, self.pooled_mean, self.pooled_inverse))).float())
        above = self._limited(standardise(x, self.level_minimum, self.level_inverse))  # z1 - m without its rounding
        channels.append(soft_clip_2(signed_log(above)).float())
        return channels

    def _encode_scalars(self, x: Tensor) -> Tensor:
        """Scalars (batch, scalar) to float32 of the same shape."""
        if self._fills:
            x = torch.where(x >= self.fill_limit, self.scalar_mean, x)
        return soft_clip_2(self._limited(standardise(x, self.scalar_mean, self.scalar_inverse))).float()

    def _limited(self, z: Tensor) -> Tensor:
        return z if z.dtype == torch.float64 else z.clamp(-NARROW_LIMIT, NARROW_LIMIT)

    @staticmethod
    def _gather(inputs: Tensor, runs: list[slice]) -> Tensor:
        return torch.cat([inputs[:, run] for run in runs], dim=1)

    def _runs(self, variables: tuple[Variable, ...]) -> list[slice]:
        """Where variables stand among the inputs, neighbours joined."""
        runs: list[slice] = []
        for item in variables:
            place = self.layout.variables.input_slices[item.name]
            if runs and runs[-1].stop == place.start:
                runs[-1] = slice(runs[-1].start, place.stop)
            else:
                runs.append(place)
        return runs

    def _hold_columns(self, table: Table) -> None:
        exponents = table.variables.input_exponents
        mean = np.ldexp(table.inputs.mean, exponents)
        minimum = np.ldexp(np.where(np.isfinite(table.inputs.minimum), table.inputs.minimum, 0.0), exponents)
        inverse = np.ldexp(table.inputs.inverse_std, -exponents)
        profile = np.concatenate([np.r_[run] for run in self._profile_runs])
        grid = (len(self.layout.profiles), self.shape.levels)
        self.hold("level_mean", mean[profile].reshape(grid))
        self.hold("level_inverse", inverse[profile].reshape(grid))
        self.hold("level_minimum", minimum[profile].reshape(grid))
        scalar = np.concatenate([np.r_[run] for run in self._scalar_runs] or [np.zeros(0, dtype=np.intp)])
        self.hold("scalar_mean", mean[scalar])
        self.hold("scalar_inverse", inverse[scalar])
        limits = [FILL_LIMIT * 2.0**item.exponent if item.fill else np.nan for item in self.layout.scalars]
        self.hold("fill_limit", np.array(limits, dtype=np.float64))
        self.hold("power", np.ldexp(1.0, exponents))
        self.hold("constant", table.inputs.constant)
        # A column that held fill alone has no value: whatever else comes differs from it.
        seen = np.where(table.inputs.count > 0, table.inputs.minimum, np.nan)
        self.hold("constant_value", np.ldexp(seen, exponents))

    def _hold_pooled(self, table: Table) -> None:
        pooled, inputs = table.pooled_inputs, table.variables.inputs
        places = [place for place, item in enumerate(inputs) if item.levels > 1]
        exponents = np.array([inputs[place].exponent for place in places])
        self.hold("pooled_mean", np.ldexp(pooled.mean[places], exponents)[:, None])
        self.hold("pooled_inverse", np.ldexp(pooled.inverse_std[places], -exponents)[:, None])

    def _hold_wind(self, table: Table) -> None:
        exponents = {item.exponent for item in self.layout.profiles if item.name in WIND}
        if len(exponents) != 1:
            raise SettingsError(f"{' and '.join(WIND)} must share a storage exponent, found {sorted(exponents)}")
        exponent = exponents.pop()
        u, v = (table.variables.input_slices[name] for name in WIND)
        mean, std = table.inputs.mean, table.inputs.std
        spread = std[u] + std[v]
        inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        self.hold("wind_mean", np.ldexp((mean[u] + mean[v]) / 2, exponent))
        self.hold("wind_inverse", np.ldexp(inverse, -exponent))
