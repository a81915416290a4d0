"""Scores by variable and by level, as plain numbers with names; None where a score is not defined."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from subgrid.evaluation import scores
from subgrid.evaluation.sums import Sums
from subgrid.schema.variable_sets import VariableSet, scored_columns

_SCORES = {"r2": scores.r2, "mae": scores.mae, "rmse": scores.rmse, "bias": scores.bias}


def plain(value: float) -> float | None:
    """A number as JSON takes it: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def by_level(variables: VariableSet, sums: Sums) -> dict[str, dict[str, list[float | None]]]:
    """R2, MAE, RMSE and bias of every target at each of its levels (one for a scalar), level 0 on top.

    ``by_level(...)["ptend_t"]["r2"][59]``; MAE, RMSE and bias are in the unit of the variable.
    """
    columns = {name: score(sums) for name, score in _SCORES.items()}
    return {
        variable: {name: [plain(value) for value in values[place]] for name, values in columns.items()}
        for variable, place in variables.target_slices.items()
    }


def by_variable(variables: VariableSet, sums: Sums) -> dict[str, dict[str, Any]]:
    """Every target's scores, each the plain mean over levels.

    ``r2`` and ``r2_floored``, the mean of max(R2, 0), are over the ``levels`` where R2 is defined and that the
    competition scores; ``left_out`` counts the others. MAE, RMSE and bias, in ``unit``, are over all scored levels.
    """
    scored = scored_columns(variables)
    columns = {name: score(sums) for name, score in _SCORES.items()}
    table = {}
    for item in variables.targets:
        place = variables.target_slices[item.name]
        used = {name: values[place][scored[place]] for name, values in columns.items()}
        r2 = used.pop("r2")
        r2 = r2[~np.isnan(r2)]
        table[item.name] = {
            "unit": item.unit,
            "r2": mean(r2),
            "r2_floored": mean(np.maximum(r2, 0.0)),
            **{name: mean(values) for name, values in used.items()},
            "levels": int(r2.size),
            "left_out": item.levels - int(r2.size),
        }
    return table


def mean(values: np.ndarray) -> float | None:
    """The plain mean, None of nothing or where it is not finite."""
    return plain(values.mean()) if values.size else None


def named(names: list[str], values: Mapping[int, float] | np.ndarray, chosen: np.ndarray) -> dict[str, float | None]:
    """The values of the chosen columns (indices) by name, smallest first."""
    ordered = sorted(chosen.tolist(), key=lambda index: values[index])
    return {names[index]: plain(values[index]) for index in ordered}
