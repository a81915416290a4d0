"""SIGKILL at random moments, also while a checkpoint is written: the run ends as if nothing had happened."""

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
VARIANTS = {"plain": [], "averaged mlp, kept": ["training.average=0.9", "model.name=mlp", "training.keep=[1, 2]"]}

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
