"""The scorecard of a prediction: sums over all targets and over the columns of the cloud-water rule, and their scores.

Three figures always, None where a variable set lacks their columns:

    competition   (sum of R2 over the 308 scored columns + 60) / 368, rule on; truth without variance counts 1 when
                  predicted exactly, else 0, as in scikit-learn
    r2_308        mean of R2 over the 308, rule on; columns without variance are left out by name
    r2_294        mean of max(R2, 0) over the 308 less ptend_q0002_12 ... 25, the network's own values: the figure to
                  compare networks by

Where no rule values were given (``--no-rule``), the first two take the network's own, and the card says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.evaluation import scores
from subgrid.evaluation.scores import defined_mean
from subgrid.evaluation.sums import Sums
from subgrid.evaluation.tables import by_level, by_variable, named, plain
from subgrid.physics.moisture import VANISHING_LEVELS
from subgrid.schema.variable_sets import VariableSet, scored_columns, variable_set

FIGURES = ("competition", "r2_308", "r2_294")
"""Names of the three figures."""

RULED = "ptend_q0002"
"""The target that the cloud-water rule gives, at ``VANISHING_LEVELS``."""

_NOT_COMPARED = range(VANISHING_LEVELS.start, VANISHING_LEVELS.stop - 1)
# r2_294 leaves out levels 12-25 of RULED, where the variance all but vanishes; at 26 there is something to learn.


@dataclass(frozen=True, eq=False)
class Scorecard:
    """Sums of a prediction that add, and the scores that follow.

    Attributes:
        variables: the set whose targets the columns are.
        own: sums of the network's own values, over target_width columns.
        rule: sums of the cloud-water rule's values over its 15 columns (none in a set without ptend_q0002); without
            rows where no rule values were given.
    """

    variables: VariableSet
    own: Sums
    rule: Sums

    @classmethod
    def zero(cls, variables: VariableSet) -> "Scorecard":
        """The neutral element of ``+``."""
        return cls(variables, Sums.zero(variables.target_width), Sums.zero(ruled_columns(variables).size))

    @classmethod
    def of(
        cls,
        variables: VariableSet,
        prediction: np.ndarray,
        truth: np.ndarray,
        rule: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> "Scorecard":
        """The card of a chunk of rows.

        Args:
            variables: the set whose targets the columns are.
            prediction, truth: raw physical units, (row, target_width).
            rule: what the cloud-water rule predicts for ptend_q0002 at levels 12-26, kg/kg/s (row, 15), or None.
            weights: (row,), 1 when left out.

        Raises:
            InputError: shapes that do not fit, NaN or infinity (with column and count).
        """
        names, ruled = variables.target_columns, ruled_columns(variables)
        own = Sums.of(prediction, truth, weights, names)
        if rule is None or not ruled.size:
            return cls(variables, own, Sums.zero(ruled.size))
        if np.shape(rule) != (len(truth), ruled.size):
            raise InputError(
                f"score: values of the cloud-water rule must have the shape ({len(truth)}, {ruled.size}), found "
                f"{np.shape(rule)}"
            )
        truth = np.asarray(truth)[:, ruled]
        return cls(variables, own, Sums.of(rule, truth, weights, [f"{names[index]} (rule)" for index in ruled]))

    def update(
        self,
        prediction: np.ndarray,
        truth: np.ndarray,
        rule: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> "Scorecard":
        """This card with a chunk of rows added; arguments and errors as for ``of``."""
        return self + Scorecard.of(self.variables, prediction, truth, rule, weights)

    def __add__(self, other: "Scorecard") -> "Scorecard":
        if self.variables != other.variables:
            raise SettingsError(
                f"scorecards add for one variable set, found {self.variables.name!r} and {other.variables.name!r}"
            )
        if self.rule.columns and self.rows and other.rows and self.has_rule != other.has_rule:
            raise SettingsError("scorecards add when both or neither have the cloud-water rule; found one with it")
        return Scorecard(self.variables, self.own + other.own, self.rule + other.rule)

    @property
    def rows(self) -> int:
        """How many rows were scored."""
        return int(self.own.rows.max(initial=0))

    @property
    def has_rule(self) -> bool:
        """Whether the cloud-water rule stands in ``competition`` and ``r2_308``."""
        return bool(self.rule.rows.any())

    def headline(self) -> dict[str, float | None]:
        """``competition``, ``r2_308`` and ``r2_294``; None where the set lacks their columns or there are no rows."""
        found = figures(self.variables, self.own, with_rule(self)) if self.rows else {}
        return {name: plain(float(found[name])) if name in found else None for name in FIGURES}

    def below_zero(self) -> dict[str, float | None]:
        """The columns of ``r2_294`` whose R2 is below 0 (and counts as 0 there), with that R2, smallest first."""
        values, columns = scores.r2(self.own), compared_columns(self.variables)
        return named(self.variables.target_columns, values, columns[values[columns] < 0])

    def undefined(self) -> list[str]:
        """The scored columns whose truth has no variance: left out of ``r2_308`` and ``r2_294``."""
        scored = scored_columns(self.variables) & ~(self.own.m2 > 0)
        return [self.variables.target_columns[index] for index in np.flatnonzero(scored)]

    def to_json(self) -> dict[str, Any]:
        """All scores as plain numbers, as ``score.json`` holds them; the tables are of the network's own values."""
        rule_r2 = scores.r2(self.rule) if self.has_rule else np.zeros(0)
        names = [self.variables.target_columns[index] for index in ruled_columns(self.variables)]
        below = self.below_zero()
        return {
            **self.headline(),
            "rows": self.rows,
            "rule": self.has_rule,
            "rule_r2": {name: plain(value) for name, value in zip(names, rule_r2, strict=False)},
            "below_zero": {"count": len(below), "columns": below},
            "undefined": self.undefined(),
            "by_variable": by_variable(self.variables, self.own),
            "by_level": by_level(self.variables, self.own),
        }

    def state(self) -> dict[str, Any]:
        """The sums as plain numbers, to be stored and added elsewhere; ``from_state`` gives the same bits back."""
        return {"variables": self.variables.name, "own": self.own.to_json(), "rule": self.rule.to_json()}

    @classmethod
    def from_state(cls, data: Mapping[str, Any]) -> "Scorecard":
        """The inverse of ``state``; raises DatasetError when the sizes do not fit the named set."""
        variables = variable_set(data["variables"])
        card = cls(variables, Sums.from_json(data["own"]), Sums.from_json(data["rule"]))
        found, expected = (card.own.columns, card.rule.columns), (variables.target_width, ruled_columns(variables).size)
        if found != expected:
            raise DatasetError(f"scores of set {variables.name!r} must be of {expected} columns, found {found}")
        return card


def figures(variables: VariableSet, own: Sums, ruled: Sums) -> dict[str, np.ndarray]:
    """The three figures from sums (..., column): arrays (...), NaN where nothing is defined; none in a smaller set.

    Args:
        variables: the set whose targets the columns are.
        own: of the network's own values.
        ruled: with the cloud-water rule's in their place (``own`` again where there is no rule).
    """
    columns = competition_columns(variables)
    if columns is None:
        return {}
    unscored = variable_set("kaggle").target_width - columns.size  # constant 0 in the solution: each counts 1
    total = scores.r2_competition(ruled)[..., columns].sum(axis=-1) + unscored
    compared = scores.r2(own)[..., compared_columns(variables)]
    values = (
        total / (columns.size + unscored),
        defined_mean(scores.r2(ruled)[..., columns]),
        defined_mean(np.maximum(compared, 0.0)),
    )
    return dict(zip(FIGURES, values, strict=True))


def with_rule(card: Scorecard) -> Sums:
    """Sums over all targets, the rule's in the place of the network's own where there is a rule."""
    return card.own.replaced(ruled_columns(card.variables), card.rule) if card.has_rule else card.own


def ruled_columns(variables: VariableSet) -> np.ndarray:
    """Indices of the 15 target columns of the cloud-water rule, ptend_q0002_12 ... 26; empty without that target."""
    return _levels(variables, RULED, range(VANISHING_LEVELS.start, VANISHING_LEVELS.stop))


def competition_columns(variables: VariableSet) -> np.ndarray | None:
    """Indices of the 308 columns that the competition scores, or None where the set lacks any of its targets."""
    if not set(variable_set("kaggle").target_columns) <= set(variables.target_columns):
        return None
    return np.flatnonzero(scored_columns(variables))


def compared_columns(variables: VariableSet) -> np.ndarray:
    """Indices of the 294 columns of ``r2_294`` (of a smaller set: its scored columns less ptend_q0002_12 ... 25)."""
    return np.setdiff1d(np.flatnonzero(scored_columns(variables)), _levels(variables, RULED, _NOT_COMPARED))


def _levels(variables: VariableSet, name: str, levels: range) -> np.ndarray:
    place = variables.target_slices.get(name)
    return np.array([] if place is None else [place.start + level for level in levels], dtype=np.intp)
