"""A study's file beside a tiny recipe."""

from collections.abc import Callable
from pathlib import Path

import pytest

from subgrid.study.plan import PlannedRun, Study, load_study

TINY = """
model: {name: mlp, layers: [8]}
training: {rows: 96, sub_epochs: 3, batch: 8, window: 2, learning_rate: 0.01, precision: 32-true, threads: 1,
           device: cpu, validation_rows: 40, schedule: step}
"""


@pytest.fixture
def planned(tmp_path: Path) -> Callable[[str], tuple[Study, list[PlannedRun]]]:
    """``planned("seeds: [1]")`` loads a study of the tiny recipe."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    def call(text: str) -> tuple[Study, list[PlannedRun]]:
        (tmp_path / "study.yaml").write_text(text if "recipe:" in text else f"recipe: tiny.yaml\n{text}")
        return load_study(tmp_path / "study.yaml")

    return call
