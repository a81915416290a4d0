"""How often it rains and snows how much: the distribution of precipitation of the prediction beside the truth's.

Rates are in mm/day, 86,400 x 1,000 times the stored m/s of liquid water, each that of a whole column of the model over
one step. They are counted in bins 2.3 % wide; below 0.1 mm/day a column is *dry*, below 0 its rate cannot be.
"""

from typing import Self

import numpy as np

from subgrid.evaluation.bins import Bins
from subgrid.evaluation.rows import SOURCE, Field, Frame, Rows

VARIABLES = ("cam_out_PRECC", "cam_out_PRECSC")
"""Rain and snow together, and snow alone: the axis ``precipitation`` holds those that a set has."""

MM_PER_DAY = 86_400.0 * 1000.0
"""mm/day for a rate of 1 m/s."""

_DECADES, _FINE, _COARSE = 5, 100, 10  # bins of a decade: of the distribution, of the two rates together
BINS = Bins.logarithmic(0.1, 0.1 * 10**_DECADES, _FINE, below=(0.0,))
"""Bins of rates in mm/day: negative, dry (0 ... 0.1), a hundred a decade from 0.1 to 10,000, above."""

PAIR_BINS = Bins(np.concatenate([BINS.edges[:2], BINS.edges[2 : -1 : _FINE // _COARSE], BINS.edges[-1:]]))
"""Bins for truth against prediction, in mm/day: as ``BINS``, with ten a decade."""

QUANTILES = np.array([0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999])
"""Shares of the area below a quantile of ``precipitation_quantile``."""

_TO_PAIR = np.concatenate([[0, 1], 2 + np.arange(_DECADES * _FINE) // (_FINE // _COARSE), [PAIR_BINS.size - 1]])


class Precipitation:
    """Area-weighted counts of rates of truth and prediction, each and together.

    Rows whose column is unknown have the mean weight; without a grid all have.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.names = [name for name in VARIABLES if name in frame.variables.target_slices]
        shape = (len(self.names), 2)
        self.weight = 0.0
        self.total, self.negative = np.zeros(shape), np.zeros(shape)
        self.least, self.most = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.counts = np.zeros((*shape, BINS.size))
        self.pairs = np.zeros((shape[0], PAIR_BINS.size, PAIR_BINS.size))

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows."""
        if not len(rows.truth):
            return
        weights = self.frame.weights(rows.column)
        self.weight += weights.sum()
        for index, name in enumerate(self.names):
            places = []
            for source, values in enumerate((rows.truth, rows.prediction)):
                rate = rows.target(values, self.frame.variables, name) * MM_PER_DAY
                self.total[index, source] += rate @ weights
                self.negative[index, source] += np.minimum(rate, 0.0) @ weights
                self.least[index, source] = min(self.least[index, source], rate.min())
                self.most[index, source] = max(self.most[index, source], rate.max())
                place = BINS.find(rate)
                self.counts[index, source] += np.bincount(place, weights, BINS.size)
                places.append(_TO_PAIR[place])
            pair = places[0] * PAIR_BINS.size + places[1]
            self.pairs[index] += np.bincount(pair, weights, PAIR_BINS.size**2).reshape(self.pairs.shape[1:])

    def merge(self, other: Self) -> None:
        """Take what another accumulator of the same frame has taken."""
        for name in ("weight", "total", "negative", "counts", "pairs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.least = np.minimum(self.least, other.least)
        self.most = np.maximum(self.most, other.most)

    def fields(self) -> dict[str, Field]:
        """Means, extremes, quantiles, frequencies and joint frequencies of rates."""
        if not self.weight or not self.names:
            return {}
        axes = ("precipitation", "source")
        share = self.counts / self.weight
        names = ("precipitation", "truth_pair_bin", "prediction_pair_bin")
        return {
            **self._coordinates(),
            "precipitation_mean": Field(axes, self.total / self.weight, "mm/day", "mean rate"),
            "precipitation_highest": Field(axes, self.most, "mm/day", "highest rate of a column in a step"),
            "precipitation_lowest": Field(axes, self.least, "mm/day", "lowest rate; negative where it cannot be"),
            "precipitation_negative": Field(axes, share[..., 0], "1", "share of the area with a rate below 0"),
            "precipitation_negative_mean": Field(
                axes, self.negative / self.weight, "mm/day", "what rates below 0 add to the mean"
            ),
            "precipitation_dry": Field(axes, share[..., :2].sum(axis=-1), "1", "share of the area below 0.1 mm/day"),
            "precipitation_quantile": Field(
                (*axes, "quantile"),
                self._quantiles(),
                "mm/day",
                "rate below which that share lies, right to 2.3 %; 0 where dry",
            ),
            "precipitation_histogram": Field((*axes, "precipitation_bin"), share, "1", "share of the area in the bin"),
            "precipitation_exceedance": Field(
                (*axes, "precipitation_threshold"),
                share[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 2:],
                "1",
                "share of the area with at least the threshold",
            ),
            "precipitation_pairs": Field(
                names, self.pairs / self.weight, "1", "share of the area with the truth in one bin and the other"
            ),
        }

    def _quantiles(self) -> np.ndarray:
        """(precipitation, source, quantile) in mm/day; within the dry bin nothing is known but that it is dry: 0."""
        ends = zip(self.least.ravel().tolist(), self.most.ravel().tolist(), strict=True)
        counts = self.counts.reshape(-1, BINS.size)
        values = [BINS.quantiles(item, QUANTILES, *end) for item, end in zip(counts, ends, strict=True)]
        values = [np.where(item < BINS.edges[2], 0.0, item) for item in values]
        return np.reshape(values, (*self.counts.shape[:2], QUANTILES.size))

    def _coordinates(self) -> dict[str, Field]:
        def axis(name: str, values: np.ndarray, unit: str, meaning: str) -> Field:
            return Field((name,), values, unit, meaning)

        names = np.array(self.names)
        bins = {"precipitation_edge": (BINS, "precipitation_bin"), "pair_edge": (PAIR_BINS, "the pair bins")}
        return {
            "source": SOURCE,
            "precipitation": axis("precipitation", names, "", "rain and snow together; snow alone"),
            "quantile": axis("quantile", QUANTILES, "1", "share of the area below a quantile"),
            "precipitation_threshold": axis(
                "precipitation_threshold", BINS.edges[2:-1], "mm/day", "thresholds of precipitation_exceedance"
            ),
        } | {
            name: axis(name, item.edges, "mm/day", f"edges of {of}, one more than bins; negative, dry, wet, above")
            for name, (item, of) in bins.items()
        }
