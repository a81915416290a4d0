"""Scores by place: of every column of the grid, of bands of latitude, and ClimSim's means over columns.

Sums are kept for every column of the grid and target, in physical units and in ClimSim's W/m2 (2 x 7 x 8 bytes each:
16 MB for 384 columns, 890 MB for 21,600). Bands and the pooled form follow from them by weights of area.
"""

import numpy as np

from subgrid.evaluation import scores
from subgrid.evaluation.climsim import SURFACE_PRESSURE, EnergyUnits
from subgrid.evaluation.groups import GroupedSums
from subgrid.evaluation.rows import Field, Frame, Rows, by_variable
from subgrid.evaluation.sums import Sums

BAND = 10
"""Width of a band of latitude in degrees, as in the figures of the ClimSim paper."""
FEW_SAMPLES = 30
"""With fewer samples in time the R2 of a column says little."""


class Places:
    """Sums by column of the grid; rows whose column is unknown are left out and counted.

    Args:
        frame: with a grid and the surface pressure among its inputs (see ``EnergyUnits``).
    """

    def __init__(self, frame: Frame) -> None:
        self.frame, self._units = frame, EnergyUnits(frame)
        assert frame.grid is not None
        self._grid = frame.grid
        self.physical = GroupedSums(frame.grid.columns, frame.variables.target_width)
        self.energy = GroupedSums(frame.grid.columns, frame.variables.target_width)
        self.unplaced = 0

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""
        placed = rows.column >= 0
        self.unplaced += int((~placed).sum())
        pressure = rows.input(self.frame.variables, SURFACE_PRESSURE)
        prediction, truth, column = rows.prediction, rows.truth, rows.column
        if not placed.all():
            prediction, truth, column, pressure = (x[placed] for x in (prediction, truth, column, pressure))
        self.physical.add(prediction, truth, column)
        weights = self._units.weights(pressure, column)
        self.energy.add(self._units.energy(prediction, weights), self._units.energy(truth, weights), column)

    def merge(self, other: "Places") -> None:
        """Take what another accumulator of the same grid has taken."""
        self.physical.join(slice(None), other.physical.sums)
        self.energy.join(slice(None), other.energy.sums)
        self.unplaced += other.unplaced

    def fields(self) -> dict[str, Field]:
        """Scores by column, by band and ClimSim's, as ``evaluation.dataset`` lists them."""
        return self._column_fields() | self._band_fields() | self._climsim_fields()

    def _column_fields(self) -> dict[str, Field]:
        axes, sums, variables = ("variable", "column"), self.energy.sums, self.frame.variables
        found = {}
        for name, score, unit, meaning in (
            ("r2", scores.r2, "1", "R2 over time of a column, plain mean over the levels where it is defined"),
            ("rmse", scores.rmse, "W/m2", "RMSE over time of a column in ClimSim's units, plain mean over levels"),
            ("bias", scores.bias, "W/m2", "mean of prediction - truth in ClimSim's units, summed over levels"),
        ):
            values = by_variable(variables, score(sums))
            pooled = (
                np.where(np.isnan(values).all(-1), np.nan, np.nansum(values, -1))
                if name == "bias"
                else (scores.defined_mean(values))
            )
            found[f"column_{name}"] = Field(axes, pooled.T, unit, meaning)
        samples = sums.rows.max(axis=1, initial=0).astype(np.int64)
        found["column_samples"] = Field(("column",), samples, "1", "samples in time of a column")
        return found

    def _band_fields(self) -> dict[str, Field]:
        edges = np.arange(-90.0, 90.0 + BAND, BAND)
        band = np.clip(np.digitize(self._grid.lat, edges) - 1, 0, edges.size - 2)
        inside = band[None, :] == np.arange(edges.size - 1)[:, None]
        sums = self.physical.sums.fold(inside * self._grid.area)
        axes = ("variable", "level", "band")
        text = f"of all samples in a band of {BAND} degrees of latitude, weighted by area"
        found = {
            f"band_{name}": Field(
                axes, np.moveaxis(by_variable(self.frame.variables, score(sums)), 0, -1), unit, meaning
            )
            for name, score, unit, meaning in (
                ("r2", scores.r2, "1", f"R2 {text}"),
                ("rmse", scores.rmse, "", f"RMSE {text}"),
                ("bias", scores.bias, "", f"mean of prediction - truth {text}"),
            )
        }
        bounds = np.stack([edges[:-1], edges[1:]], axis=1)
        return found | {"band_edges": Field(("band", "bound"), bounds, "degrees_north", "southern and northern edge")}

    def _climsim_fields(self) -> dict[str, Field]:
        """The mean over columns of per-column scores as the paper has it, and the pooled form beside it."""
        axes, sums = ("variable", "level"), self.energy.sums
        pooled = sums.fold()
        found = {}
        for name, score, unit in (
            ("mae", scores.mae, "W/m2"),
            ("rmse", scores.rmse, "W/m2"),
            ("r2", scores.r2, "1"),
            ("bias", scores.bias, "W/m2"),
        ):
            each = score(sums)
            mean = by_variable(self.frame.variables, scores.defined_mean(each.T))
            found[f"climsim_{name}"] = Field(
                axes, mean, unit, f"{name} over time of each column in ClimSim's units, plain mean over columns"
            )
            found[f"climsim_pooled_{name}"] = Field(
                axes, by_variable(self.frame.variables, score(pooled)), unit,
                f"{name} of all samples together in ClimSim's units",
            )  # fmt: skip
        seen = sums.weight > 0
        undefined = (seen & ~(sums.m2 > 0)).sum(axis=0).astype(np.float64)
        found["climsim_undefined"] = Field(
            axes, by_variable(self.frame.variables, undefined), "1",
            "columns left out of climsim_r2: their truth does not vary over the samples",
        )  # fmt: skip
        return found

    def folded(self, weights: np.ndarray | None = None) -> Sums:
        """Sums in ClimSim's units over all columns, (target_width,)."""
        return self.energy.sums.fold(weights)
