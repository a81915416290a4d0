"""How sure a score is: the bootstrap over blocks of days, for one prediction and for the difference of two.

A draw takes as many blocks as there are, with replacement; the scores of a draw follow from its folded sums. The
interval is that between the 2.5 and 97.5 per cent quantiles of the draws (Efron 1979; blocks after Kuensch 1989).
Below ``FEW_BLOCKS`` blocks an interval is weak: too few draws are distinct, and it tends to be too narrow.
"""

from typing import NamedTuple

import numpy as np

from subgrid.errors import SettingsError
from subgrid.evaluation import scores
from subgrid.evaluation.blocks import Blocks
from subgrid.evaluation.scorecard import compared_columns, figures, ruled_columns
from subgrid.evaluation.sums import Sums
from subgrid.schema.variable_sets import VariableSet

FEW_BLOCKS = 20
"""Fewer blocks than this make an interval weak."""
DRAWS = 1000
_BOUNDS = (0.025, 0.975)
_UNDEFINED = 0.05  # with more draws than this in which a score is not defined there is no interval
_AT_ONCE = 100  # draws folded together: bounds the memory


class Interval(NamedTuple):
    """A score with its 95 per cent interval; ``low`` and ``high`` are NaN with fewer than two blocks.

    They are NaN, too, where the score is not defined in more than one draw of twenty.

    Attributes:
        value: from all rows.
        low, high: bounds.
        above: share of the draws above 0, of interest for a difference.
    """

    value: float
    low: float
    high: float
    above: float


def statistics(variables: VariableSet, own: Sums, ruled: Sums) -> dict[str, np.ndarray]:
    """What intervals are given for: the three figures, and by target the mean of max(R2, 0) over its compared levels.

    The compared levels are those of ``r2_294``; floored, as a level whose variance all but vanishes would decide the
    mean of a draw. From sums (..., column), as ``figures``; the network's own values for the targets. Arrays (...).
    """
    r2 = np.full(own.m2.shape, np.nan)
    compared = compared_columns(variables)
    r2[..., compared] = np.maximum(scores.r2(own)[..., compared], 0.0)
    by_variable = {name: scores.defined_mean(r2[..., place]) for name, place in variables.target_slices.items()}
    return figures(variables, own, ruled) | by_variable


def intervals(blocks: Blocks, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """Every statistic of a prediction with its interval."""
    drawn = _drawn([blocks], draws, seed)
    value = _statistics(blocks, np.ones(blocks.numbers.size))
    return {name: _interval(float(value[name]), drawn[0].get(name)) for name in value}


def differences(one: Blocks, other: Blocks, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """Every statistic of ``other`` less that of ``one``, with the interval of the difference.

    Both are drawn together: what makes a block hard for both cancels.

    Raises:
        SettingsError: predictions of other rows, or blocks of another length.
    """
    if one.frame.variables != other.frame.variables or not one.same_rows(other):
        counts = [int(blocks.card().rows) for blocks in (one, other)]
        raise SettingsError(
            "two predictions can be compared where they are of the same rows, targets and blocks; found "
            f"{counts[0]:,} and {counts[1]:,} rows that are not the same"
        )
    before, after = (_statistics(blocks, np.ones(blocks.numbers.size)) for blocks in (one, other))
    drawn = _drawn([one, other], draws, seed)
    return {
        name: _interval(float(after[name] - before[name]), drawn[1][name] - drawn[0][name] if drawn[0] else None)
        for name in before
    }


def _statistics(blocks: Blocks, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Of folds of the blocks, with weights (block,) or (fold, block)."""
    _, own, rule = blocks.sorted()
    folded = own.fold(weights)
    ruled = folded.replaced(ruled_columns(blocks.frame.variables), rule.fold(weights)) if rule.rows.any() else folded
    return statistics(blocks.frame.variables, folded, ruled)


def _drawn(several: list[Blocks], draws: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Statistics of the draws, the same for all; empty with fewer than two blocks."""
    count = several[0].numbers.size
    if several[0].count < 2:
        return [{} for _ in several]
    random = np.random.default_rng(seed)
    weights = random.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    pieces = [weights[start : start + _AT_ONCE] for start in range(0, draws, _AT_ONCE)]
    found = []
    for blocks in several:
        parts = [_statistics(blocks, piece) for piece in pieces]
        found.append({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    return found


def _interval(value: float, drawn: np.ndarray | None) -> Interval:
    defined = np.empty(0) if drawn is None else drawn[~np.isnan(drawn)]
    if drawn is None or defined.size < (1 - _UNDEFINED) * drawn.size:
        return Interval(value, np.nan, np.nan, np.nan)
    low, high = np.quantile(defined, _BOUNDS, method="inverted_cdf")  # a draw's own value: there may be infinite ones
    return Interval(value, float(low), float(high), float((defined > 0).mean()))
