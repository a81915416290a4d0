"""Training from a store that moves, stalls, and sends wrong bytes: the weights of a local run, or a clear error."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cached import taken
from subgrid.errors import DatasetError
from subgrid.recipe import parse_recipe
from subgrid.records.bucket import Fetching
from subgrid.records.pointer import write_pointer
from subgrid.records.reader import Dataset
from subgrid.records.transfer import TransferError
from subgrid.training.loop import train
from subgrid.training.progress import Progress, Silence

RECIPE = """
model: {name: mlp, layers: [8]}
training: {rows: 768, sub_epochs: 6, batch: 16, window: 2, learning_rate: 0.01, precision: 32-true, threads: 1,
           device: cpu, validation_rows: 40, validation_batch: 16}
seed: 3
"""
Make = Callable[..., Fetching]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights_of(run: Path) -> bytes:
    name = (run / "latest").read_text().strip()
    return (run / "checkpoints" / name / "model.safetensors").read_bytes()


@pytest.fixture(scope="session")
def local_weights(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a run on the local data set."""
    out = tmp_path_factory.mktemp("local") / "run"
    train(parse_recipe(RECIPE), Dataset.open(data), out)
    return weights_of(out)


class Meddler(Silence):
    """A reporter that meddles with the store once the run has come half way."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        self.meddle: Callable[[], None] | None = meddle

    def progress(self, progress: Progress) -> None:
        if self.meddle and progress.rows >= 256:
            self.meddle()
            self.meddle = None


def test_a_store_that_moves_stalls_and_lies_costs_nothing(
    web: Any, second_web: Any, fetching: Make, tmp_path: Path, local_weights: bytes, data: Path
) -> None:
    pointer = tmp_path / "data.pointer"
    write_pointer(pointer, web.url)
    web.faults = {"training-00001.tfrecord": ["flip"], "training-00005.tfrecord": ["stall"]}
    second_web.faults = {f"training-0000{number}.tfrecord": ["flip", "cut", "503"] for number in range(10)}
    largest = max(path.stat().st_size for path in (data / "shards").iterdir())

    def move() -> None:
        web.gone = True
        write_pointer(pointer, second_web.url)

    dataset = Dataset.open(pointer, fetching(limit=4 * largest, stall=0.5))  # holds a part: shards are fetched again
    train(parse_recipe(RECIPE), dataset, tmp_path / "run", reporter=Meddler(move))
    assert weights_of(tmp_path / "run") == local_weights
    assert sum(name.endswith(".tfrecord") for _, name in second_web.served) > 10


def test_a_run_stops_at_bytes_that_stay_wrong_and_goes_on_when_they_are_mended(
    web: Any, fetching: Make, tmp_path: Path, local_weights: bytes
) -> None:
    web.always["training-00006.tfrecord"] = "flip"
    with pytest.raises(DatasetError, match=r"/shards/training-00006\.tfrecord: fetched twice.*row 1 is damaged"):
        train(parse_recipe(RECIPE), Dataset.open(web.url, fetching()), tmp_path / "run")
    web.always.clear()
    train(parse_recipe(RECIPE), Dataset.open(web.url, fetching()), tmp_path / "run")
    assert weights_of(tmp_path / "run") == local_weights


def test_a_run_stops_in_time_at_a_server_that_goes_silent_and_goes_on_when_it_speaks(
    web: Any, fetching: Make, tmp_path: Path, local_weights: bytes
) -> None:
    """Half of a shard comes, then nothing, on a connection that stays open: three tries of 0.4 s, not for ever."""
    web.always["training-00006.tfrecord"] = "hang"
    start = time.monotonic()
    with pytest.raises(TransferError, match=r"training-00006\.tfrecord: .*no answer within 0\.4 s\), tried 3 times"):
        train(parse_recipe(RECIPE), Dataset.open(web.url, fetching(stall=0.4, tries=3)), tmp_path / "run")
    assert time.monotonic() - start < 30
    web.always.clear()
    web.faults["training-00006.tfrecord"] = ["hang"]
    train(parse_recipe(RECIPE), Dataset.open(web.url, fetching(stall=0.4)), tmp_path / "run")
    assert weights_of(tmp_path / "run") == local_weights and not web.faults["training-00006.tfrecord"]


READER = """
import sys
from pathlib import Path
from subgrid.records.bucket import Fetching
from subgrid.records.cache import Cache
from subgrid.records.reader import Dataset, StreamSettings

url, folder, limit, seed = sys.argv[1:]
dataset = Dataset.open(url, Fetching(Cache(Path(folder), int(limit), wait=30)))
for name in ("training", "validation"):
    assert all(len(batch.row) for batch in dataset.scan(name, 64))
with dataset.stream("training", StreamSettings(batch=24, seed=int(seed), window=2)) as stream:
    print(sum(int(next(stream).row.sum()) for _ in range(64)))  # four epochs
"""


def test_three_processes_share_a_cache_smaller_than_the_data(web: Any, data: Path, tmp_path: Path) -> None:
    """Each in an order of its own; all rows arrive, and the cache never passes its limit."""
    folder, largest = tmp_path / "cache", max(path.stat().st_size for path in (data / "shards").iterdir())
    limit = 8 * largest
    folder.mkdir()
    command = [sys.executable, "-c", READER, web.url, str(folder), str(limit)]
    processes = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    peak = 0
    while any(process.poll() is None for process in processes):
        peak = max(peak, taken(folder))
        time.sleep(0.01)
    ended = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    expected = sum(int(batch.row.sum()) for batch in Dataset.open(data).scan("training", 64))
    assert [int(out) for out, _ in ended] == 3 * [4 * expected]
    assert 4 * largest < peak <= limit
    assert not list(folder.glob("*/.*.partial"))


def test_a_killed_reader_leaves_nothing_that_is_taken_for_whole(web: Any, data: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of a shard; the next reader removes what was left and gets every row."""
    folder = tmp_path / "cache"
    web.faults = {"training-00000.tfrecord": ["stall"]}
    command = [sys.executable, "-c", READER, web.url, str(folder), str(10**9), "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while web.faults["training-00000.tfrecord"]:
        assert process.poll() is None
        time.sleep(0.01)
    assert list(folder.glob("*/.training-00000.tfrecord.partial"))
    process.kill()
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    expected = sum(int(batch.row.sum()) for batch in Dataset.open(data).scan("training", 64))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 4 * expected
    assert not list(folder.glob("*/.*.partial"))
