"""Scoring against plain numpy that holds everything in memory: competition's and ClimSim's scores of the same rows.

    python benchmarks/score.py --rows 200000
    python benchmarks/score.py --rows 200000 --grid GRID_FILE        a grid of another size

Made-up predictions and truths of the ``kaggle`` set, in memory on both sides, so that only the scores are timed.
subgrid goes over chunks of 4,096 rows, in shuffled order, and gives the scores by block and by column of the grid too;
numpy gives R2, MAE, RMSE and bias of every target, and ClimSim's means over columns. That both agree is checked. How
memory grows with the rows is measured by ``memory.py --jobs score``.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from machine import alternate, describe, summary
from subgrid.evaluation.climsim import EnergyUnits
from subgrid.evaluation.evaluation import Evaluation
from subgrid.evaluation.rows import Frame, Rows
from subgrid.evaluation.scorecard import Scorecard
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic import fibonacci_grid

KAGGLE = variable_set("kaggle")
_CHUNK = 4096
_PRESSURE = 360


def made_up(rows: int, columns: int) -> Rows:
    """Rows of whole steps 20 minutes apart, shuffled."""
    random = np.random.default_rng(0)
    truth = random.standard_normal((rows, 368), dtype=np.float32).astype(np.float64)
    prediction = truth + 0.5 * random.standard_normal((rows, 368), dtype=np.float32)
    number = random.permutation(rows)
    inputs = np.zeros((rows, 556))
    inputs[:, _PRESSURE] = random.uniform(6e4, 1.04e5, rows)
    return Rows(prediction, truth, number % columns, number // columns * 1200, number, inputs)


def numpy_scores(rows: Rows, frame: Frame) -> dict[str, np.ndarray]:
    """All rows at once: scores of every target, then ClimSim's of every column and target, then their means."""
    error = rows.prediction - rows.truth
    spread = ((rows.truth - rows.truth.mean(0)) ** 2).mean(0)
    scores = {
        "r2": 1 - (error**2).mean(0) / spread,
        "mae": np.abs(error).mean(0),
        "rmse": np.sqrt((error**2).mean(0)),
        "bias": error.mean(0),
    }
    units = EnergyUnits(frame)
    weights = units.weights(rows.inputs[:, _PRESSURE], rows.column)
    order = np.lexsort((rows.time, rows.column))
    steps = len(order) // frame.grid.columns
    shape = (frame.grid.columns, steps, 368)
    prediction, truth = (units.energy(x, weights)[order].reshape(shape) for x in (rows.prediction, rows.truth))
    error = prediction - truth
    spread = ((truth - truth.mean(1, keepdims=True)) ** 2).sum(1)
    return scores | {
        "climsim_r2": (1 - (error**2).sum(1) / spread).mean(0),
        "climsim_mae": np.abs(error).mean(1).mean(0),
        "climsim_rmse": np.sqrt((error**2).mean(1)).mean(0),
        "climsim_bias": error.mean(1).mean(0),
    }


def chunks(rows: Rows) -> list[Rows]:
    """Views of the rows, a chunk each."""
    return [Rows(*(None if values is None else values[start : start + _CHUNK] for values in rows))
            for start in range(0, len(rows.row), _CHUNK)]  # fmt: skip


def evaluated(rows: Rows, frame: Frame) -> Evaluation:
    evaluation = Evaluation(frame)
    for chunk in chunks(rows):
        evaluation.add(chunk)
    return evaluation


def carded(rows: Rows) -> Scorecard:
    card = Scorecard.zero(KAGGLE)
    for chunk in chunks(rows):
        card = card.update(chunk.prediction, chunk.truth)
    return card


def check(rows: Rows, frame: Frame) -> None:
    """Both sides give the same scores, or the benchmark ends here."""
    expected, found = numpy_scores(rows, frame), evaluated(rows, frame).fields()
    for name in ("r2", "mae", "rmse", "bias"):
        values = found[f"climsim_{name}"].values
        np.testing.assert_allclose(values[:6].ravel(), expected[f"climsim_{name}"][:360], rtol=1e-6, atol=1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--grid", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(describe("numpy"))
    grid = Grid.read(arguments.grid) if arguments.grid else fibonacci_grid(384)
    frame = Frame(KAGGLE, grid)
    rows = made_up(arguments.rows // grid.columns * grid.columns, grid.columns)
    check(rows, frame)

    def rate(work) -> float:
        start = time.perf_counter()
        work()
        return len(rows.row) / (time.perf_counter() - start)

    ways = {
        "numpy, all in memory": lambda: rate(lambda: numpy_scores(rows, frame)),
        "subgrid, all scores": lambda: rate(lambda: evaluated(rows, frame)),
        "subgrid, scorecard alone": lambda: rate(lambda: carded(rows)),
    }
    results = alternate(ways, arguments.repeats)
    baseline = sorted(results["numpy, all in memory"])[arguments.repeats // 2]
    for name, rates in results.items():
        print(summary(name, rates, baseline, "rows/s"))


if __name__ == "__main__":
    main()
