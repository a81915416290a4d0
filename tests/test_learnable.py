"""The made-up climate is learnable and not trivial: a linear fit, the MLP and the Squeezeformer score in this order."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from subgrid.records.reader import Dataset
from subgrid.schema.variable_sets import scored_columns

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "quickstart.yaml"


def run(*command: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "subgrid", *map(str, command)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr


def rows_of(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """All inputs and targets of a split in float64, physical units."""
    found = [(batch.inputs, batch.targets) for batch in dataset.scan(split, 4096)]
    exponents = dataset.variables.input_exponents, dataset.variables.target_exponents
    one, other = (
        np.ldexp(np.concatenate(arrays).astype(np.float64), -exponent)
        for arrays, exponent in zip(zip(*found, strict=True), exponents, strict=True)
    )
    return one, other


def linear_fit(dataset: Dataset) -> float:
    """r2_294 of ridge regression on standardised inputs, the best of four penalties."""
    (inputs, targets), (held, truth) = (rows_of(dataset, split) for split in ("training", "validation"))
    mean, std = inputs.mean(axis=0), inputs.std(axis=0)
    kept = std > 1e-9 * np.abs(mean)
    one, other = ((values[:, kept] - mean[kept]) / std[kept] for values in (inputs, held))
    scale = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    goal = (targets - targets.mean(axis=0)) / scale
    gram, cross = one.T @ one, one.T @ goal
    places = dataset.variables.target_slices["ptend_q0002"]
    compared = scored_columns(dataset.variables).copy()
    compared[places.start + 12 : places.start + 26] = False
    assert compared.sum() == 294
    best = 0.0
    for penalty in (1.0, 10.0, 100.0, 1000.0):
        weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
        error = ((truth - targets.mean(axis=0)) / scale - other @ weights)[:, compared]
        spread = ((truth - truth.mean(axis=0)) / scale)[:, compared]
        r2 = 1 - (error**2).sum(axis=0) / (spread**2).sum(axis=0)
        best = max(best, float(np.maximum(r2, 0).mean()))
    return best


@pytest.mark.slow
def test_a_linear_fit_the_mlp_and_the_squeezeformer_score_in_this_order_well_apart(tmp_path: Path) -> None:
    """The two networks by the quickstart recipe; the MLP, which is quicker, over more rows."""
    run("sample", tmp_path / "raw", "--steps", 60, "--columns", 384)
    run("build", tmp_path / "raw", tmp_path / "data", "--validation", "every=5", "--shard-size", "8MB")
    scores = {"linear": linear_fit(Dataset.open(tmp_path / "data"))}
    longer = ("--set", "model.name=mlp", "--set", "training.rows=450000")
    for name, options in {"mlp": longer, "squeezeformer": ()}.items():
        run("train", RECIPE, "--data", tmp_path / "data", "--out", tmp_path / name, *options)
        last = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1])
        scores[name] = last["r2_294"]
    assert scores["linear"] > 0.3, scores
    assert scores["linear"] + 0.05 < scores["mlp"], scores
    assert scores["mlp"] + 0.05 < scores["squeezeformer"] < 0.95, scores
