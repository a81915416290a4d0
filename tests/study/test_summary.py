"""Means, differences paired by seed, and their standard error, against numpy."""

import numpy as np
import pytest

from subgrid.study.summary import mean, standard_error, summary

SCORES = {"base": {0: 0.40, 1: 0.44, 2: 0.36}, "training.loss=mse": {0: 0.43, 1: 0.45, 2: 0.41}}


def lines(scores: dict) -> dict:
    return {
        f"{variant}.seed-{seed}": {
            "status": "done" if score is not None else "failed",
            "scores": {"r2_294": score, "r2_308": -1.0},
            "seconds": 10.0 + seed,
            "columns_per_second": 100.0,
        }
        for variant, found in scores.items()
        for seed, score in found.items()
    }


def test_a_variant_is_compared_seed_by_seed(planned) -> None:
    _, runs = planned("seeds: [0, 1, 2]\nfactors: {training.loss: [mse]}")
    base, other = summary(runs, lines(SCORES))
    difference = np.array(list(SCORES["training.loss=mse"].values())) - np.array(list(SCORES["base"].values()))
    assert other["r2_294"] == pytest.approx(0.43) and base["r2_294"] == pytest.approx(0.40)
    assert other["difference"] == pytest.approx(difference.mean())
    assert other["standard_error"] == pytest.approx(difference.std(ddof=1) / np.sqrt(3))
    assert (base["difference"], base["standard_error"]) == (None, None)
    assert (other["runs"], other["failed"], other["seconds"]) == (3, 0, pytest.approx(11))


def test_what_is_missing_is_left_out(planned) -> None:
    _, runs = planned("seeds: [0, 1, 2]\nfactors: {training.loss: [mse]}")
    _, other = summary(runs, lines({"base": {0: 0.4}, "training.loss=mse": {0: 0.5, 1: 0.7, 2: None}}))
    assert (other["runs"], other["failed"], other["r2_294"]) == (2, 1, pytest.approx(0.6))
    assert (other["difference"], other["standard_error"]) == (pytest.approx(0.1), None)  # one pair
    assert [entry["r2_294"] for entry in summary(runs, {})] == [None, None]


def test_nothing_has_no_mean_and_one_value_no_scatter() -> None:
    assert (mean([]), standard_error([]), standard_error([1.0]), standard_error([1.0, 1.0])) == (None, None, None, 0.0)
