"""Who started this process, from the variables that torchrun and srun are documented to set."""

import pytest

from subgrid.errors import SettingsError
from subgrid.training.launch import Launch, launch

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "LOCAL_RANK": "1"}
JOB = {"SLURM_JOB_ID": "123", "SLURM_NTASKS": "6", "SLURM_PROCID": "0", "SLURM_NNODES": "2"}
STEP = {**JOB, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "4"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Launch()),
        (TORCHRUN, Launch("torchrun", 5, 8, 2)),
        ({**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}, Launch()),
        (JOB, Launch()),  # the job's script itself
        (STEP, Launch("srun", 4, 6, 2)),
        ({**STEP, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, Launch()),
        ({**STEP, **TORCHRUN}, Launch("torchrun", 5, 8, 2)),  # srun starts torchrun once a machine
    ],
)
def test_who_started_this_process(environment: dict[str, str], expected: Launch) -> None:
    assert launch(environment) == expected
    assert launch(environment).on_node * launch(environment).nodes == expected.ranks


def test_machines_have_equally_many() -> None:
    with pytest.raises(SettingsError, match="srun started 6 processes on 4 machines.*--ntasks-per-node"):
        launch({**STEP, "SLURM_STEP_NUM_NODES": "4"})
