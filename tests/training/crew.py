"""Several real processes of one run on this machine, started as torchrun or srun would, and what became of each.

A server imports torch once and forks, so that a process costs no import. ``python crew.py`` is that server: it reads
one job a line, forks its processes, and answers first with their numbers, then with how they ended.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How one process ended: exit code (negative: a signal), standard output, standard error."""

    code: int
    out: str
    err: str


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def variables(by: str, rank: int, ranks: int, port: int) -> dict[str, str]:
    """What torchrun or srun sets for one of several processes on one machine."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    if ranks == 1:
        return {}
    if by == "srun":
        step = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(ranks), "SLURM_STEP_NUM_NODES": "1"}
        job = {
            "SLURM_JOB_ID": "7",
            "SLURM_NTASKS": str(ranks),
            "SLURM_NTASKS_PER_NODE": str(ranks),
            "SLURM_NNODES": "1",
        }
        return {**meeting, **job, **step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0"}
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "GROUP_RANK": 0}
    return {**meeting, "TORCHELASTIC_RUN_ID": "test", **{name: str(value) for name, value in numbers.items()}}


class Crew:
    """Starts commands of subgrid in several processes each.

    ``before`` is code that every process runs first, with ``RANK`` set.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen([sys.executable, __file__], **pipes, env=environment)

    def start(self, ranks: int, *arguments: object, before: str = "", by: str = "torchrun") -> list[int]:
        """Start so many processes of one command; their numbers."""
        port, words = free_port(), [str(word) for word in arguments]
        environments = [variables(by, rank, ranks, port) for rank in range(ranks)]
        job = {"arguments": words, "environments": environments, "before": before, "folder": str(self.folder)}
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def ended(self) -> list[Ended]:
        """Wait for the processes that were started last."""
        codes = json.loads(self.server.stdout.readline())
        texts = [
            [(self.folder / f"{rank}.{kind}").read_text() for kind in ("out", "err")] for rank in range(len(codes))
        ]
        return [Ended(code, *text) for code, text in zip(codes, texts, strict=True)]

    def run(self, ranks: int, *arguments: object, before: str = "", by: str = "torchrun") -> list[Ended]:
        """Start and wait."""
        self.start(ranks, *arguments, before=before, by=by)
        return self.ended()

    def close(self) -> None:
        """End the server."""
        self.server.stdin.close()
        self.server.wait(timeout=30)


def _work(job: dict, rank: int) -> int:
    for number, kind in ((1, "out"), (2, "err")):
        os.dup2(os.open(Path(job["folder"], f"{rank}.{kind}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(job["environments"][rank])
    sys.argv = ["subgrid", *job["arguments"]]
    from subgrid.cli import main

    try:
        exec(job["before"], {"RANK": rank})
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 99
    return 0


def _serve() -> None:
    import subgrid.training.loop  # noqa: F401 - what takes long to import

    for line in sys.stdin:
        job, children = json.loads(line), []
        for rank in range(len(job["environments"])):
            children.append(os.fork())
            if not children[-1]:
                code = _work(job, rank)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(json.dumps(children), flush=True)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]), flush=True)


if __name__ == "__main__":
    _serve()
