"""Whether a network knows where it errs: its confidence head against the errors found, and scores of what it trusts.

A confidence is the absolute error that the network expects of one of its outputs, in normalised units: the physical
error over the ``scale`` of its column, as in training. All errors here are in these units; every row counts the same.

*Reliability*: outputs are binned by their expected error. In a calibrated network, the mean error found in a bin
is the mean expected one.

*The score against the share of rows kept*: rows are ranked by their mean expected error, and the score is that of the
rows that expect least. R2 is against the variance of the rows kept, which are often the calm ones; *skill* is against
that of all rows.

Both are over the trained columns of ``r2_294``: elsewhere a network says nothing, or next to nothing varies.
"""

from typing import Self

import numpy as np

from subgrid.errors import SettingsError
from subgrid.evaluation import scores
from subgrid.evaluation.bins import BinarySteps
from subgrid.evaluation.groups import GroupedSums
from subgrid.evaluation.rows import Field, Frame, Rows
from subgrid.evaluation.scorecard import compared_columns
from subgrid.evaluation.sums import Sums

RELIABILITY_BINS = BinarySteps(low=-10, high=6, per_octave=4)
"""Bins of an output's expected error: four an octave from 2**-10 to 2**6, an open one on each side."""

RANKING_BINS = BinarySteps(low=-10, high=4, per_octave=32)
"""Bins of a row's mean expected error, at most 3.1 % wide; within one, rows are not ranked."""

SHARES = np.arange(20, 1, -1) / 20
"""Shares of rows kept, 100 %, 95 %, ... 10 %: the axis ``kept``."""

_BLOCK = 128  # rows worked on at once: a block of all columns stays in a core's cache


class Calibration:
    """Sums of expected and found errors by bins of the expected ones; no field without a confidence head.

    Args:
        frame: what the rows share.
        scale: physical units of one normalised unit of each target column, float64 (target_width,); 0 where the
            network is not trained. That of the run's checkpoint (``TargetTransform.physical_std``): in a small sample,
            columns whose truth all but never varies have next to no standard deviation of their own.

    Raises:
        SettingsError: a scale of another shape, negative or not finite.
    """

    def __init__(self, frame: Frame, scale: np.ndarray) -> None:
        variables = frame.variables
        scale = np.asarray(scale, dtype=np.float64)
        if scale.shape != (variables.target_width,) or not (np.isfinite(scale) & (scale >= 0)).all():
            raise SettingsError(
                f"calibration: the scale must hold {variables.target_width} finite values from 0 on, one a target "
                f"column; found the shape {scale.shape} and {int((~(scale >= 0)).sum())} values that are not"
            )
        self.frame = frame
        compared = np.isin(np.arange(scale.size), compared_columns(variables))
        self.columns = (scale > 0) & compared
        self._inverse = np.divide(1.0, scale, out=np.zeros_like(scale), where=self.columns)
        widths = [item.levels for item in variables.targets]
        size, count = RELIABILITY_BINS.size, len(variables.targets)
        place = np.repeat(np.arange(count), widths) * size
        self._place = np.where(self.columns, place, count * size)  # other columns fall into one more group
        self.outputs, self.found = np.zeros((count + 1) * size), np.zeros((count + 1) * size)
        self.expected = np.zeros(variables.target_width)
        self.rows = GroupedSums(RANKING_BINS.size, variables.target_width)

    def add(self, rows: Rows) -> None:
        """Take a chunk of rows; without a confidence they leave no trace."""
        if rows.confidence is None or not len(rows.truth) or not self.columns.any():
            return
        self.expected += rows.confidence.sum(axis=0, dtype=np.float64)
        self.rows.add(rows.prediction, rows.truth, RANKING_BINS.find(_row_means(rows.confidence, self.columns)))
        for start in range(0, len(rows.truth), _BLOCK):
            block = slice(start, start + _BLOCK)
            error = rows.prediction[block] - rows.truth[block]
            error *= self._inverse
            self._add_outputs(rows.confidence[block], np.abs(error, out=error))

    def _add_outputs(self, confidence: np.ndarray, error: np.ndarray) -> None:
        place = RELIABILITY_BINS.find(confidence)
        place += self._place
        self.outputs += np.bincount(place.ravel(), minlength=self.outputs.size)
        self.found += np.bincount(place.ravel(), error.ravel(), self.outputs.size)

    def merge(self, other: Self) -> None:
        """Take what another accumulator of the same frame and scale has taken."""
        for name in ("outputs", "expected", "found"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rows.join(slice(None), other.rows.sums)

    def fields(self) -> dict[str, Field]:
        """Reliability and the score against the share of rows kept; empty without a confidence head."""
        if not self._counts().any():
            return {}
        return {**self._reliability(), **self._kept()}

    def _reliability(self) -> dict[str, Field]:
        shape = (len(self.frame.variables.targets), RELIABILITY_BINS.size)
        outputs, found = (item[: shape[0] * shape[1]].reshape(shape) for item in (self.outputs, self.found))
        fields = {
            "confidence_edge": Field(
                ("confidence_edge",), RELIABILITY_BINS.edges, "1", "edges of confidence_bin, one more than bins"
            ),
            **self._means(found.sum(axis=1)),
        }
        for ending, axes in (("", ()), ("_by_variable", ("variable",))):
            count, total = (item if axes else item.sum(axis=0) for item in (outputs, found))
            places = (*axes, "confidence_bin")
            meaning = "mean absolute error found where the expected one is in the bin, normalised units"
            fields[f"confidence_found{ending}"] = Field(places, _ratio(total, count), "1", meaning)
            share = _ratio(count, np.broadcast_to(count.sum(axis=-1, keepdims=True), count.shape))
            fields[f"confidence_share{ending}"] = Field(places, share, "1", "share of outputs in the bin")
        return fields

    def _means(self, found: np.ndarray) -> dict[str, Field]:
        places = self.frame.variables.target_slices.values()
        trained = np.array([self.columns[place].sum() for place in places])
        expected = np.array([self.expected[place][self.columns[place]].sum() for place in places])
        rows = self._counts().sum()
        return {
            f"confidence_mean_{name}": Field(
                ("variable",), _ratio(total, trained * rows), "1", f"mean absolute error {name}, normalised units"
            )
            for name, total in (("expected", expected), ("found", found))
        }

    def _kept(self) -> dict[str, Field]:
        kept = self._sums_kept()
        r2 = scores.r2(kept)
        skill = 1.0 - _ratio(kept.squared_error / kept.weight, kept.m2[:1] / kept.weight[:1])
        chosen = np.flatnonzero(self.columns & ~np.isnan(r2[0]))
        r2, skill = (np.where(np.isnan(item), np.nan, np.maximum(item, 0.0)) for item in (r2, skill))
        by_variable = [
            scores.defined_mean(r2[:, chosen[(chosen >= place.start) & (chosen < place.stop)]])
            for place in self.frame.variables.target_slices.values()
        ]
        mae = (scores.mae(kept) * self._inverse)[:, self.columns].mean(axis=1)
        expected = RANKING_BINS.quantiles(self._counts(), SHARES)
        axis = ("kept",)
        return {
            "kept": Field(axis, SHARES, "1", "share of rows kept, those whose mean expected error is least"),
            "kept_r2": Field(
                axis, scores.defined_mean(r2[:, chosen]), "1", "mean of max(R2, 0) over the columns, of the rows kept"
            ),
            "kept_r2_by_variable": Field(
                ("variable", "kept"), np.stack(by_variable), "1", "the same over the columns of one variable"
            ),
            "kept_skill": Field(
                axis,
                scores.defined_mean(skill[:, chosen]),
                "1",
                "as kept_r2, the squared error of the rows kept against the variance of all rows",
            ),
            "kept_mae": Field(axis, mae, "1", "mean absolute error of the rows kept, normalised"),
            "kept_expected": Field(
                axis, expected, "1", "mean expected error of the last row kept, right to a bin of 3.1 %, normalised"
            ),
        }

    def _sums_kept(self) -> Sums:
        """Sums of the shares of rows kept, (share, column); of the bin that a share cuts, that part of each sum."""
        counts = self._counts()
        ends = np.cumsum(counts)
        part = (SHARES[:, None] * ends[-1] - (ends - counts)) / np.maximum(counts, 1.0)
        return self.rows.sums.fold(np.clip(part, 0.0, 1.0))

    def _counts(self) -> np.ndarray:
        """Rows of each ranking bin, (bin,)."""
        return self.rows.sums.rows.max(axis=1, initial=0)


def _row_means(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean over the chosen columns, float32 (row,); not a product of BLAS, so other rows do not change its bits."""
    share = chosen.astype(np.float32) / np.float32(chosen.sum())
    return np.einsum("ij,j->i", values.astype(np.float32, copy=False), share)


def _ratio(values: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.divide(values, over, out=np.full(values.shape, np.nan), where=np.broadcast_to(over > 0, values.shape))
