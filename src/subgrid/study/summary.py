"""What a study found: for each variant the mean score over seeds, and its difference from the base, paired by seed.

With d_s the difference for seed s of n: d = sum d_s / n, standard error = sqrt(sum (d_s - d)**2 / (n (n - 1))). Runs of
one seed share the order of rows and, in networks of one shape, first weights: part of the scatter cancels in d_s.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from subgrid.study.plan import BASE, PlannedRun

SCORE = "r2_294"
"""The score that variants are compared by."""


def summary(runs: Sequence[PlannedRun], lines: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry a variant, in the study's order: ``variant``, ``overrides``, ``runs`` (done), ``failed``, ``r2_294``
    (mean over seeds), ``difference`` from the base and its ``standard_error``, ``seconds`` and ``columns_per_second``
    (means); None where there is nothing to tell.
    """
    variants = dict.fromkeys(run.variant for run in runs)
    return [_entry(variant, runs, lines) for variant in variants]


def _entry(variant: str, runs: Sequence[PlannedRun], lines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    own = [run for run in runs if run.variant == variant]
    ended = [lines[run.name] for run in own if run.name in lines]
    done = [line for line in ended if line["status"] == "done"]
    scores, base = _scores(variant, runs, lines), _scores(BASE, runs, lines)
    paired = [] if variant == BASE else [scores[seed] - base[seed] for seed in scores if seed in base]
    return {
        "variant": variant,
        "overrides": dict(own[0].overrides),
        "runs": len(done),
        "failed": len(ended) - len(done),
        SCORE: mean(list(scores.values())),
        "difference": mean(paired),
        "standard_error": standard_error(paired),
        "seconds": mean([line["seconds"] for line in done]),
        "columns_per_second": mean([line["columns_per_second"] for line in done if line["columns_per_second"]]),
    }


def _scores(variant: str, runs: Sequence[PlannedRun], lines: Mapping[str, Mapping[str, Any]]) -> dict[int, float]:
    found = {run.recipe.seed: lines[run.name] for run in runs if run.variant == variant and run.name in lines}
    scores = {seed: line["scores"].get(SCORE) for seed, line in found.items() if line["status"] == "done"}
    return {seed: score for seed, score in scores.items() if score is not None}


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean; None of nothing."""
    return sum(values) / len(values) if values else None


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean, from the scatter of at least two values; None of fewer."""
    centre = mean(values)
    if centre is None or len(values) < 2:
        return None
    return sqrt(sum((value - centre) ** 2 for value in values) / (len(values) * (len(values) - 1)))
