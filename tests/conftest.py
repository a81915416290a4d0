"""What all tests share: real data where they are, a small made-up climate, few threads, repeatable property tests."""

import os

# Before numpy and torch are loaded: tests are small, and a pool of threads on each core only gets in the way.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "2")

import csv
import importlib.util
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever started the tests in the background has Ctrl-C ignored, and so would every command that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def climsim() -> Path:
    """Real ClimSim data: SUBGRID_CLIMSIM, else ../shared/climsim beside the checkout; skips where there are none."""
    folder = Path(os.environ.get("SUBGRID_CLIMSIM") or ROOT.parent / "shared" / "climsim")
    if not (folder / "ClimSim_low-res" / "train").is_dir():
        pytest.skip(f"no real ClimSim data in {folder}; put them there or set SUBGRID_CLIMSIM")
    return folder


@pytest.fixture(scope="session")
def real_source(climsim: Path) -> Path:
    """Sixty real low-resolution steps (one more without its mlo), laid out like the public repository."""
    return climsim / "ClimSim_low-res"


@pytest.fixture(scope="session")
def synthetic_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty made-up steps of 24 columns, the eleventh without its mlo; for reading only, shared by all tests."""
    from subgrid.source.synthetic import SyntheticSettings, write_climate

    folder = tmp_path_factory.mktemp("synthetic") / "source"
    write_climate(folder, SyntheticSettings(steps=20, columns=24, missing_mlo=1, spin_up=4))
    return folder


@pytest.fixture(scope="session")
def thirteen_shards(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished data set of 11 training and 2 validation groups, 13 shards of about 140 kB; for reading only."""
    from subgrid.records.blueprint import BuildSettings
    from subgrid.records.build import build, prepare
    from subgrid.source.locations import Location

    folder = tmp_path_factory.mktemp("thirteen") / "data"
    build(prepare(Location(str(synthetic_source)), BuildSettings(shard_size=150_000), validation="every=5"), folder)
    return folder


CHAIN = """
source: {validation: every=5}
records: {shard_size: 300KB}
model: {name: squeezeformer, width: 4, blocks: 1, head: 8, heads: 2, kernel: 3, layers: [8]}
training: {rows: 96, sub_epochs: 2, batch: 8, window: 2, learning_rate: 0.01, precision: 32-true, threads: 1,
           device: cpu, validation_rows: 24}
prediction: {batch: 50}
"""


@pytest.fixture
def hub(
    synthetic_source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A Hugging Face hub on loopback that HF_ENDPOINT names, see tests/hub_server.py; nobody is logged in.

    Its repository has the first 12 steps of the calendar, made-up ones, with three gaps: the third step has no mlo, the
    fifth no mli, the seventh neither.
    """
    place = Path(__file__).with_name("hub_server.py")
    spec = importlib.util.spec_from_file_location("hub_server", place)
    module = sys.modules["hub_server"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.serve(module.HubServer(module.twelve_steps(synthetic_source))) as server:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def hf(hub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hub, with fsspec told of it, and a file system that remembers nothing of another one.

    huggingface_hub looks at HF_ENDPOINT only once in a process.
    """
    import fsspec

    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
    huggingface_hub.HfFileSystem.clear_instance_cache()
    return hub


@pytest.fixture(scope="session")
def work(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a tiny recipe.yaml made of the shared steps: data, run, prediction, score.json; for reading only."""
    from contextlib import nullcontext

    from subgrid import chain
    from subgrid.recipe import load_recipe
    from subgrid.training.progress import Silence

    folder = tmp_path_factory.mktemp("work")
    (folder / "recipe.yaml").write_text(CHAIN)
    recipe = load_recipe(folder / "recipe.yaml", [f"source.location={synthetic_source}", f"out={folder}"])
    chain.run(recipe, chain.Watcher(lambda what, unit: nullcontext(lambda done, total: None), Silence()))
    return folder


@dataclass(frozen=True)
class KaggleTables:
    """Rows of made-up steps as Kaggle's tables: ``test.csv`` (shuffled, numbers with gaps), ``train.csv`` (in order).

    ``row`` are the numbers of test.csv, (240,); ``inputs`` (240, 556) and ``targets`` (240, 368) its physical values.
    Row i of train.csv is row ``order[i]`` of test.csv.
    """

    folder: Path
    row: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    order: np.ndarray

    @staticmethod
    def write(path: Path, ids: list[str], names: list[str], values: np.ndarray) -> Path:
        """A csv file with Python's own text of every float64."""
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["sample_id", *names])
            writer.writerows([name, *map(repr, row)] for name, row in zip(ids, values.tolist(), strict=True))
        return path


@pytest.fixture(scope="session")
def kaggle(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> KaggleTables:
    """Ten made-up steps as Kaggle's test.csv and train.csv; for reading only."""
    from subgrid.schema.variable_sets import variable_set
    from subgrid.source.columns import StepReader
    from subgrid.source.locations import Location
    from subgrid.source.steps import list_steps

    names, location = variable_set("kaggle"), Location(str(synthetic_source))
    reader = StepReader(location, names)
    complete = [step for step in list_steps(location) if step.complete]
    steps = [reader.read(step) for step in complete[-10:]]
    draw = np.random.default_rng(5)
    inputs, targets = (
        np.concatenate(part, axis=1).T for part in zip(*((s.inputs, s.targets) for s in steps), strict=True)
    )
    shuffled = draw.permutation(len(inputs))
    inputs, targets = np.ascontiguousarray(inputs[shuffled]), np.ascontiguousarray(targets[shuffled])
    row, order = draw.choice(680_000, len(inputs), replace=False), np.argsort(shuffled)
    folder = tmp_path_factory.mktemp("kaggle")
    KaggleTables.write(folder / "test.csv", [f"test_{number}" for number in row], names.input_columns, inputs)
    KaggleTables.write(
        folder / "train.csv",
        [f"train_{number}" for number in range(len(order))],
        [*names.input_columns, *names.target_columns],
        np.concatenate([inputs, targets], axis=1)[order],
    )
    return KaggleTables(folder, row, inputs, targets, order)
