"""TensorFlow reads every row of every shard like our reader, with the code that stands in the documentation."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import pytest

from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location

tf = pytest.importorskip("tensorflow", reason="needs TensorFlow: make test-tensorflow")

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "data.md"
FEATURES = ("row", "column", "time", "inputs", "targets")


@pytest.fixture(scope="module")
def documented() -> SimpleNamespace:
    """What the Python code in docs/data.md defines."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    names = {"__name__": "documented"}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture(scope="module")
def made(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Dataset]:
    """Builds a data set of several shards, unless that was done."""
    folder = tmp_path_factory.mktemp("tensorflow")

    def make(settings: BuildSettings, validation: str = "every=5") -> Dataset:
        out = folder / f"{settings.variables}-{settings.float64}-{validation}"
        if not out.exists():
            build(prepare(Location(str(synthetic_source)), settings, validation=validation), out)
        return Dataset.open(out)

    return make


def compare(documented: SimpleNamespace, data: Dataset, batch: int) -> int:
    """Asserts that both readers give the same bits in the same order; returns the rows that were compared."""
    compared = 0
    for split in data.splits:
        found = [
            {name: part.numpy() for name, part in rows.items()} for rows in documented.read(data.folder, split, batch)
        ]
        expected = [batch._asdict() for batch in data.scan(split, 4096)]
        for name in FEATURES:
            theirs = np.concatenate([rows[name] for rows in found])
            ours = np.concatenate([np.asarray(rows[name]).reshape(len(rows["row"]), -1) for rows in expected])
            assert (theirs.dtype, theirs.shape) == (ours.dtype, ours.shape)
            assert theirs.tobytes() == ours.tobytes()
        compared += len(np.concatenate([rows["row"] for rows in found]))
    return compared


@pytest.mark.parametrize(
    "settings",
    [
        BuildSettings(shard_size=300_000),
        BuildSettings("v1", shard_size=100_000),
        BuildSettings("v2", float64=True, shard_size=600_000),
    ],
    ids=lambda one: f"{one.variables}-{'float64' if one.float64 else 'float32'}",
)
def test_tensorflow_reads_every_row_bit_for_bit(documented, made, settings: BuildSettings) -> None:
    data = made(settings)
    assert all(len(data.shards(split).shards) > 1 for split in data.splits if split == "training")
    assert compare(documented, data, batch=50) == 19 * 24


def test_drawn_validation_rows_are_read_too(documented, made) -> None:
    assert compare(documented, made(BuildSettings(shard_size=300_000), "rows=37"), batch=1000) == 19 * 24


def test_real_rows_are_read_bit_for_bit(documented, real_source: Path, tmp_path: Path) -> None:
    settings = BuildSettings(shard_size=8_000_000)
    build(prepare(Location(str(real_source)), settings, validation="every=5"), tmp_path / "data")
    assert compare(documented, Dataset.open(tmp_path / "data"), batch=500) == 60 * 384


def test_physical_values_are_those_of_the_statistics(documented, made) -> None:
    data = made(BuildSettings(shard_size=300_000))
    stored = [rows["targets"] for rows in documented.read(data.folder, "training", 100)]
    values = documented.physical(data.folder, "targets", np.concatenate(stored))
    expected = data.table("training").targets
    np.testing.assert_allclose(values.mean(axis=0), expected.mean, rtol=1e-6, atol=1e-7 * expected.std.max())
    np.testing.assert_allclose(values.max(axis=0), expected.maximum, rtol=1e-6, atol=1e-60)


def test_tensorflow_verifies_the_checksums(documented, made, tmp_path: Path) -> None:
    """So that equal rows above mean that our checksums are TensorFlow's."""
    import shutil

    data = made(BuildSettings(shard_size=300_000))
    shutil.copytree(data.folder, tmp_path / "data")
    shard = tmp_path / "data" / "shards" / data.shards("training").shards[0].name
    content = bytearray(shard.read_bytes())
    content[data.layout.stride + 200] ^= 1
    shard.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        list(documented.read(tmp_path / "data", "training", 10))
