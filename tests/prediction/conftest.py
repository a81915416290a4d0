"""Predictions made up from arrays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from subgrid.prediction.store import PredictionManifest
from subgrid.prediction.writer import PredictionWriter


@pytest.fixture
def store_prediction() -> Callable[..., Path]:
    """``store_prediction(folder, rows, values, **changes)`` writes values (row, target_width) as one prediction.

    Column and time follow from the row's number unless given; ``rule`` and ``confidence`` are arrays or left out; all
    else changes the manifest. The digest of the network is the folder's name.
    """

    def store(folder: Path, rows: np.ndarray, values: np.ndarray, **changes: object) -> Path:
        arrays = {"row": rows, "column": rows % 7, "time": rows * 1200, "prediction": values}
        given = {name: changes.pop(name) for name in ("column", "time", "rule", "confidence") if name in changes}
        manifest = {
            "variable_set": "v1", "rows": rows.size, "run": f"runs/{folder.name}", "checkpoint": "1",
            "checkpoint_digest": folder.name, "input": "data", "input_digest": "i", "program": "test",
            "rule": "rule" in given, "confidence": "confidence" in given,
        }  # fmt: skip
        writer = PredictionWriter(folder, PredictionManifest(**(manifest | changes)))
        writer.add(arrays | given)
        writer.finish()
        return folder

    return store
