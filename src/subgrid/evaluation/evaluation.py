"""Everything that is asked of a prediction, from one pass over its rows beside the truth.

An evaluation is a set of parts (see ``rows.Part``): the blocks that headline scores and intervals follow from, always;
the others where the rows hold what they need. Evaluations of pieces (chunks, workers, files) merge.
"""

from typing import Any

import numpy as np

from subgrid.evaluation.blocks import BLOCK_DAYS, Blocks
from subgrid.evaluation.budgets import Budgets
from subgrid.evaluation.calibration import Calibration
from subgrid.evaluation.climsim import SURFACE_PRESSURE
from subgrid.evaluation.intervals import FEW_BLOCKS, Interval, intervals
from subgrid.evaluation.places import FEW_SAMPLES, Places
from subgrid.evaluation.precipitation import Precipitation
from subgrid.evaluation.probabilistic import Probabilistic
from subgrid.evaluation.rows import Field, Frame, Part, Rows
from subgrid.evaluation.scorecard import Scorecard
from subgrid.evaluation.scores import defined_mean
from subgrid.evaluation.tables import plain
from subgrid.evaluation.waters import NegativeWater

_DISTRIBUTION = ("crps", "spread", "skill", "spread_skill")


class Evaluation:
    """Accumulates all parts.

    Args:
        frame: of the rows.
        days: length of the blocks that are drawn for intervals.
        scale: physical units of one normalised unit of each target, float64 (target_width,), for rows with confidence.

    Attributes:
        blocks: sums by block of days.
        parts: the others by name.
    """

    def __init__(self, frame: Frame, days: int = BLOCK_DAYS, scale: np.ndarray | None = None) -> None:
        self.frame = frame
        self.blocks = Blocks(frame, days)
        self.parts: dict[str, Part] = {
            "probabilistic": Probabilistic(frame),
            "budgets": Budgets(frame),
            "waters": NegativeWater(frame),
            "precipitation": Precipitation(frame),
        }
        if scale is not None:
            self.parts["calibration"] = Calibration(frame, scale)
        if frame.grid is not None and SURFACE_PRESSURE in frame.variables.input_slices:
            self.parts["places"] = Places(frame)

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows; raises InputError for NaN or infinity (column and count)."""
        self.blocks.add(rows)  # first: it looks at every value
        for part in self.parts.values():
            part.add(rows)

    def merge(self, other: "Evaluation") -> None:
        """Take what another evaluation of the same frame has taken."""
        self.blocks.merge(other.blocks)
        for name, part in self.parts.items():
            part.merge(other.parts[name])

    @property
    def card(self) -> Scorecard:
        """The scorecard of all rows."""
        return self.blocks.card()

    def fields(self) -> dict[str, Field]:
        """The fields of all parts but the blocks."""
        return {name: field for part in self.parts.values() for name, field in part.fields().items()}

    def to_json(self) -> dict[str, Any]:
        """The scores as plain numbers: the scorecard's, the intervals, and ClimSim's by variable."""
        found = intervals(self.blocks)
        blocks = {"days": self.blocks.days, "count": self.blocks.count, "weak": self.blocks.count < FEW_BLOCKS}
        return {
            **self.card.to_json(),
            "intervals": {name: interval_json(interval) for name, interval in found.items()},
            "blocks": blocks,
            "climsim": self._climsim(),
            "ensemble": self._ensemble(),
        }

    def _ensemble(self) -> dict[str, dict[str, float | None]] | None:
        """Scores of an ensemble as a distribution by variable, plain means over levels; None without members."""
        fields = self.parts["probabilistic"].fields()
        names = [item.name for item in self.frame.variables.targets]
        return (
            {
                name: {score: _mean_of_defined(fields[score].values[place]) for score in _DISTRIBUTION}
                for place, name in enumerate(names)
            }
            if fields
            else None
        )

    def _climsim(self) -> dict[str, Any] | None:
        """ClimSim's scores by variable, each the plain mean over levels; None without a grid."""
        if "places" not in self.parts:
            return None
        fields = self.parts["places"].fields()
        names = [item.name for item in self.frame.variables.targets]
        scores = [name for name in fields if name.startswith("climsim_") and name != "climsim_undefined"]
        table: dict[str, dict[str, float | None]] = {name: {} for name in names}
        for score in scores:
            for name, values in zip(names, fields[score].values, strict=True):
                table[name][score.removeprefix("climsim_")] = _mean_of_defined(values)
        samples = fields["column_samples"].values
        few = int((samples < FEW_SAMPLES).sum())
        return {
            "samples_a_column": [int(samples.min()), int(samples.max())],
            "columns_with_few": few,
            "by_variable": table,
        }


def _mean_of_defined(values: np.ndarray) -> float | None:
    return plain(float(defined_mean(values)))


def interval_json(interval: Interval) -> list[float | None]:
    """``[low, high]``, None where there is none."""
    return [plain(interval.low), plain(interval.high)]
