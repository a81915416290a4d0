"""Which process of how many this one is, as whoever started it says: torchrun, srun, or nobody.

Free of torch: the command line asks too.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from subgrid.errors import SettingsError


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Attributes:
        by: who started it; ``nobody`` where it is on its own.
        rank, ranks: its number, from 0, among all processes of the run.
        nodes: machines that they are on, equally many on each.
    """

    by: Literal["nobody", "torchrun", "srun"] = "nobody"
    rank: int = 0
    ranks: int = 1
    nodes: int = 1

    @property
    def on_node(self) -> int:
        """Processes on each machine."""
        return self.ranks // self.nodes


def launch(environment: Mapping[str, str] = os.environ) -> Launch:
    """Read the variables that torchrun and srun set.

    A job script that SLURM runs has SLURM's variables too; only those of a job *step* mean that srun started this one.
    Raises SettingsError where the machines do not have equally many processes.
    """
    names = {
        "torchrun": ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"),
        "srun": ("SLURM_STEP_ID", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    }
    if all(name in environment for name in names["torchrun"]):
        ranks, rank = int(environment["WORLD_SIZE"]), int(environment["RANK"])
        found = Launch("torchrun", rank, ranks, ranks // int(environment.get("LOCAL_WORLD_SIZE", ranks)))
    elif all(name in environment for name in names["srun"]):
        ranks, rank = int(environment["SLURM_STEP_NUM_TASKS"]), int(environment["SLURM_PROCID"])
        found = Launch("srun", rank, ranks, int(environment.get("SLURM_STEP_NUM_NODES", 1)))
    else:
        return Launch()
    if found.ranks == 1:
        return Launch()
    if found.nodes < 1 or found.ranks % found.nodes:
        raise SettingsError(
            f"{found.by} started {found.ranks} processes on {found.nodes} machines; expected equally many on each "
            "(srun --ntasks-per-node)"
        )
    return found
