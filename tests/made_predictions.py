"""Made-up predictions of made-up rows, for the tests of those that write and read them."""

from pathlib import Path

import numpy as np

from subgrid.prediction.store import PredictionManifest
from subgrid.prediction.writer import PredictionWriter
from subgrid.schema.variable_sets import variable_set

ROWS = np.random.default_rng(3).permutation(np.arange(1000, 1033))


def manifest(rows: int, name: str = "v1", rule: bool = False, confidence: bool = False) -> PredictionManifest:
    return PredictionManifest(
        variable_set=name, rows=rows, run="run", checkpoint="1", checkpoint_digest="c", input="data", input_digest="i",
        rule=rule, confidence=confidence, program="test",
    )  # fmt: skip


def arrays(rows: np.ndarray, of: PredictionManifest) -> dict[str, np.ndarray]:
    """Made-up values that follow from the row alone, over all sizes that float64 has."""
    width = variable_set(of.variable_set).target_width
    draw = [np.random.default_rng(int(row)) for row in rows]
    values = np.stack([one.normal(size=width) * 10.0 ** one.integers(-300, 300, width) for one in draw])
    made = {"row": rows, "column": rows % 7, "time": rows * 1200, "prediction": values}
    if of.rule:
        made["rule"] = np.stack([one.normal(size=15) for one in draw])
    if of.confidence:
        made["confidence"] = np.stack([one.normal(size=width) for one in draw]).astype(np.float32)
    return made


def written(out: Path, rows: np.ndarray, of: PredictionManifest, chunk: int = 7) -> Path:
    writer = PredictionWriter(out, of)
    for start in range(0, rows.size, chunk):
        writer.add(arrays(rows[start : start + chunk], of))
    writer.finish()
    return out
