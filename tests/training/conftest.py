"""A small data set, tiny recipes, and somebody who remembers what a run said."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from subgrid.recipe import Recipe, parse_recipe
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location
from subgrid.training.progress import Progress


class Witness:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.seen: list[Progress] = []

    def progress(self, progress: Progress) -> None:
        self.seen.append(progress)

    def notice(self, text: str) -> None:
        self.notices.append(text)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tests are small, and their bits must not depend on what ran before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TINY = """
model: {name: squeezeformer, width: 4, blocks: 1, head: 8, heads: 2, kernel: 3, layers: [8]}
training: {rows: 96, sub_epochs: 3, batch: 8, window: 2, learning_rate: 0.01, precision: 32-true, threads: 1,
           device: cpu, validation_rows: 40, validation_batch: 16}
seed: 3
"""


@pytest.fixture
def tiny() -> Callable[..., Recipe]:
    """``tiny("training.rows=16")``: twelve steps of a tiny network in three sub-epochs, but for what is said."""
    return lambda *overrides: parse_recipe(TINY, overrides)


def weights_of(run: Path) -> dict[str, bytes]:
    """Tensor files of the latest checkpoint, by name."""
    folder = run / "checkpoints" / (run / "latest").read_text().strip()
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def lines_of(run: Path) -> list[dict[str, Any]]:
    """Metrics without their wall-clock fields."""
    import json

    clock = {"seconds", "columns_per_second"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


@pytest.fixture
def same_end() -> Callable[[Path, Path], None]:
    """Asserts that two runs ended with the same bits and the same metrics."""

    def check(one: Path, other: Path) -> None:
        assert lines_of(one) == lines_of(other)
        assert weights_of(one) == weights_of(other)
        assert (one / "best").read_text() == (other / "best").read_text()

    return check


def build_data(source: Path, out: Path, validation: str | None) -> Dataset:
    """A data set of several small shards from made-up steps."""
    build(prepare(Location(str(source)), BuildSettings(shard_size=300_000), validation=validation), out)
    return Dataset.open(out)


@pytest.fixture(scope="session")
def data(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Rows of nineteen made-up steps of 24 columns: 384 for training, 72 for validation."""
    return build_data(synthetic_source, tmp_path_factory.mktemp("training") / "data", "every=5")


@pytest.fixture(scope="session")
def unvalidated(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same steps without a validation split."""
    return build_data(synthetic_source, tmp_path_factory.mktemp("training") / "unvalidated", None)


@pytest.fixture(scope="session")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts several processes of one command: see crew.py."""
    spec = importlib.util.spec_from_file_location("crew", Path(__file__).with_name("crew.py"))
    assert spec and spec.loader
    module = sys.modules["crew"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Crew(tmp_path_factory.mktemp("crew"))
    yield made
    made.close()
