"""Peak anonymous memory of a build, a reader, a prediction and its scores over many times the rows: it must not grow.

    python benchmarks/memory.py SOURCE                  raw steps, once and linked a hundred times under other years
    python benchmarks/memory.py SOURCE --times 20 --jobs build,read
    python benchmarks/memory.py SOURCE --times 435 --jobs score     10 million rows of 60 steps of 384 columns
    python benchmarks/memory.py HIGH_RES --jobs build --shard-size 64MB --build "--span 3"

Each job runs in a process of its own; ``RssAnon`` of /proc/PID/status is looked at every 10 ms. The prediction is by a
tiny network, because only its memory counts.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from build import linked
from machine import describe

_TINY = (
    "model.name=mlp",
    "model.layers=[16]",
    "training.rows=640",
    "training.sub_epochs=1",
    "training.batch=64",
    "training.confidence=false",
)
_READ = """
import sys
from subgrid.records.reader import Dataset, StreamSettings
dataset = Dataset.open(sys.argv[1])
with dataset.stream("training", StreamSettings(batch=1024)) as stream:
    for _ in range(dataset.rows("training") // 1024):
        next(stream)
"""


def peak(command: list[str]) -> float:
    """Largest RssAnon of a process while it runs, MB; fails where the command fails."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    largest = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        found = [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")]
        largest = max([largest, *found])
        time.sleep(0.01)
    if process.wait():
        raise SystemExit(f"failed: {' '.join(command)}")
    return largest / 1000


def subgrid(*words: object) -> list[str]:
    return [sys.executable, "-m", "subgrid", *(str(word) for word in words)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--jobs", default="build,read,predict,score")
    parser.add_argument(
        "--shard-size", default="15.3MB", help="default: 10 steps of 384 columns make a shard, be they few or many"
    )
    parser.add_argument("--build", default="", help="further options of the builds")
    parser.add_argument("--scratch", type=Path, default=None)
    arguments = parser.parse_args()
    print(describe("numpy", "torch"))
    jobs, options = arguments.jobs.split(","), ["--shard-size", arguments.shard_size, *arguments.build.split()]
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        scratch, recipe = Path(folder), Path(__file__).parents[1] / "recipes" / "quickstart.yaml"
        changes = [word for change in _TINY for word in ("--set", change)]
        peaks: dict[str, list[float]] = {job: [] for job in jobs}
        for times in (1, arguments.times):
            steps = linked(arguments.source, scratch / f"raw{times}", times)
            raw, data = scratch / f"raw{times}", scratch / f"data{times}"
            prediction = scratch / f"prediction{times}"
            found = {}
            if times == 1 or {"build", "read"} & set(jobs):
                found["build"] = peak(subgrid("build", raw, data, *options))
            if "read" in jobs:
                found["read"] = peak([sys.executable, "-c", _READ, str(data)])
            if times == 1 and {"predict", "score"} & set(jobs):
                peak(subgrid("train", recipe, "--data", data, "--out", scratch / "run", *changes))
            if {"predict", "score"} & set(jobs):
                found["predict"] = peak(subgrid("predict", scratch / "run", raw, prediction))
                found["score"] = peak(subgrid("score", prediction, raw))
            for job in jobs:
                peaks[job].append(found[job])
                print(f"{job:8s} {steps:6,} steps: peak {found[job]:7.1f} MB", flush=True)
    for job, (one, many) in peaks.items():
        print(f"{job:8s} {arguments.times} times the rows: {many / one:.2f} x the memory")


if __name__ == "__main__":
    main()
