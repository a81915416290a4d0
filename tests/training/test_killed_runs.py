"""SIGKILL at random moments, also while a checkpoint is written: the run ends as if nothing had happened.

Nor does it matter how many processes go on with it: every row is learnt from as often as without the kills.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

KILLS = 20
VARIANTS = {
    "plain": [],
    "averaged mlp, kept": ["training.average=0.9", "model.name=mlp", "training.keep=[1, 2]"],
    "muon, mirrored": ["training.optimizer=muon", "training.mirror=true", "representation.derived=[humidity, shear]"],
}

# Imports once and forks a child for every line that it reads, so that a kill costs no import of torch.
SERVER = """
import os, sys
from pathlib import Path
from subgrid.recipe import load_recipe
from subgrid.records.reader import Dataset
from subgrid.training.loop import train
for line in sys.stdin:
    recipe, out = line.split()
    child = os.fork()
    if child == 0:
        train(load_recipe(recipe), Dataset.open(sys.argv[1]), Path(out))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Server:
    """Starts training in children that can be killed."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-c", SERVER, str(data)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def start(self, recipe: Path, out: Path) -> int:
        self.process.stdin.write(f"{recipe} {out}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def ended(self) -> int:
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def server(data) -> Iterator[Server]:
    made = Server(data.folder)
    yield made
    made.process.stdin.close()
    made.process.wait(timeout=30)


def wait_for_writing(run: Path, draw: random.Random) -> None:
    """Wait until a checkpoint is being written, then for a random part of what that takes."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if any(path.name.startswith(".") for path in (run / "checkpoints").glob("*")):
            time.sleep(draw.uniform(0, 0.004))
            return


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_run_killed_again_and_again_ends_with_the_same_bits(
    variant: list[str], server: Server, tiny: Callable, tmp_path: Path, same_end: Callable
) -> None:
    draw = random.Random(str(variant))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for run, minutes in ((whole, 60), (killed, 1e-9)):  # one hardly saves, the other does nothing else
        recipe = tiny("training.rows=800", f"training.checkpoint_minutes={minutes}", *variant)
        run.with_suffix(".yaml").write_text(recipe.to_yaml())
    server.start(whole.with_suffix(".yaml"), whole)
    assert server.ended() == 0
    endings = []
    while 0 not in endings:
        child = server.start(killed.with_suffix(".yaml"), killed)
        if len(endings) < KILLS:
            if len(endings) % 2:
                time.sleep(draw.uniform(0, 0.6))
            if len(endings) % 4 < 3:
                wait_for_writing(killed, draw)
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        endings.append(server.ended())
    assert set(endings) == {0, -signal.SIGKILL}
    assert len(endings) > KILLS / 2
    same_end(whole, killed)
    kept = [{path.parent.name: path.read_bytes() for path in run.glob("checkpoints/*/model.safetensors")}
            for run in (whole, killed)]  # fmt: skip
    assert kept[0] == kept[1]
    assert "training.keep=[1, 2]" not in variant or set(kept[0]) == {"1", "2", "3"}
    assert not list(killed.rglob(".writing-*"))


SECOND = 10**9  # is added to the numbers of rows of a second data set

# Notes the rows of every batch that a process takes, and kills it in the middle of a step.
WATCH = """
import json, os
from subgrid.records.stream import Stream
from subgrid.training.learner import Learner
taking, stepping = Stream.__next__, Learner.step
def watched(self):
    at, batch = self.position, taking(self)
    with open("{log}", "a") as file:
        rows = batch.row + {second} * batch.origin.astype(int)
        file.write(json.dumps([at, RANK, rows.tolist()]) + chr(10))
    return batch
def killed(self, prepared, at):
    if at == {step} and RANK == {rank}:
        os.kill(os.getpid(), 9)
    return stepping(self, prepared, at)
Stream.__next__, Learner.step = watched, killed
"""


class Diary:
    """Which rows a run learnt from, by the place of their batch: a segment takes back what came after its start."""

    def __init__(self, path: Path) -> None:
        self.path, self.batches = path, {}

    def segment(self) -> None:
        """Take in the log of a segment that ended."""
        lines = [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []
        self.path.unlink(missing_ok=True)
        start = min((at for at, _, _ in lines), default=None)
        if start is not None:
            self.batches = {at: rows for at, rows in self.batches.items() if at < start}
        for at, rank, rows in lines:
            self.batches.setdefault(at, {})[rank] = rows

    def rows(self) -> list[list[int]]:
        """Rows of the batches in order, sorted within a batch."""
        assert sorted(self.batches) == [8 * place for place in range(len(self.batches))]
        return [sorted(sum(shares.values(), [])) for _, shares in sorted(self.batches.items())]


def trained_rows(
    crew, recipe: Path, folders: list[Path], run: Path, crews: list[tuple[int, int, int]]
) -> list[list[int]]:
    """Train in segments of (processes, the one that is killed, its step), then to the end."""
    diary = Diary(run.with_suffix(".log"))
    command = ("train", recipe, *(word for path in folders for word in ("--data", path)), "--out", run)
    for ranks, rank, step in crews:
        ends = crew.run(ranks, *command, before=WATCH.format(log=diary.path, step=step, rank=rank, second=SECOND))
        assert step < 0 or ends[rank].code == -signal.SIGKILL
        assert step >= 0 or {end.code for end in ends} == {0}, ends
        diary.segment()
    return diary.rows()


MIXED = "training.data=[{name: low, share: 2}, {name: high, once: true, clip: 1.1}]"


@pytest.fixture
def both(data, unvalidated) -> list[Path]:
    """Folders of two data sets."""
    return [data.folder, unvalidated.folder]


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2])
def test_killed_at_random_steps_no_row_is_seen_twice_or_missed(
    most: int, crew, both: list[Path], tiny: Callable, tmp_path: Path, same_end: Callable
) -> None:
    """Segments of one process, and of one or two on two data sets: rows by batches, and what is learnt."""
    draw = random.Random(most)
    folders, settings = (both[:1], []) if most == 1 else (both, [MIXED])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(tiny("training.rows=800", "training.checkpoint_minutes=1e-4", *settings).to_yaml())
    whole = trained_rows(crew, recipe, folders, tmp_path / "whole", [(1, 0, -1)])
    steps = sorted(draw.sample(range(100), KILLS))
    crews = [(ranks := draw.randint(1, most), draw.randrange(ranks), step) for step in steps]
    killed = trained_rows(crew, recipe, folders, tmp_path / "killed", [*crews, (most, 0, -1)])
    assert killed == whole and sum(map(len, whole)) == 800
    high = [row for rows in killed for row in rows if row >= SECOND]
    assert len(set(high)) == len(high) == (800 // 3 if most > 1 else 0)
    assert {ranks for ranks, _, _ in crews} == set(range(1, most + 1))
    if most == 1:
        same_end(tmp_path / "whole", tmp_path / "killed")
        return
    lines = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    for expected, found in zip(*(map(json.loads, found[:-1]) for found in lines), strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)
