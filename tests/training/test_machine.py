"""Devices and precision."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from subgrid.errors import SettingsError
from subgrid.training import machine
from subgrid.training.launch import Launch
from subgrid.training.settings import TrainingSettings


def test_the_precision_that_was_asked_for_is_taken() -> None:
    assert machine.resolve_precision("32-true", "cpu") == "32-true"
    assert machine.resolve_precision("bf16-mixed", "cpu") == "bf16-mixed"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"bf16": True}, "bf16-mixed"),  # ARM
        ({"avx512_bf16": False, "avx2": True}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto_asks_the_cpu(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert machine.resolve_precision("auto", "cpu") == expected


def test_auto_on_other_accelerators_is_float32() -> None:
    assert machine.resolve_precision("auto", "mps") == "32-true"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="training.device = cuda.*only cpu"):
        machine.open_device(TrainingSettings(device="cuda"))


def test_compilation_needs_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SettingsError, match="needs a C\\+\\+ compiler"):
        machine.open_device(TrainingSettings(device="cpu", compile=True))
    machine.open_device(TrainingSettings(device="cpu"))


def test_conditions_hold_what_decides_the_last_bits() -> None:
    settings = TrainingSettings(device="cpu", threads=1, precision="auto", compile=True)
    found = machine.conditions(settings, machine.open_device(settings.model_copy(update={"compile": False})))
    assert found["threads"] == 1
    assert found["torch"] == torch.__version__
    assert found["compile"] is True
    assert found["precision"] in ("bf16-mixed", "32-true")
    assert set(found) == {"torch", "machine", "instructions", "device", "precision", "compile", "threads", "processes"}


def test_a_batch_that_pieces_do_not_divide_is_refused() -> None:
    with pytest.raises(SettingsError, match="batch = 10 rows cannot be shared by 1 .*accumulate = 4.*multiple of 4"):
        machine.open_device(TrainingSettings(device="cpu", batch=10, accumulate=4))


def test_a_batch_that_processes_do_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "launch", lambda: Launch("torchrun", rank=1, ranks=3))
    with pytest.raises(SettingsError, match="batch = 64 rows cannot be shared by 3 processes"):
        machine.open_device(TrainingSettings(device="cpu", batch=64))


def test_a_job_script_of_slurm_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "17", "SLURM_LOCALID": "0"}.items():
        monkeypatch.setenv(name, value)
    assert machine.open_device(TrainingSettings(device="cpu")).world_size == 1


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_is_kept() -> None:
    code = """
import resource, torch
from subgrid.training.machine import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(4_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

one = faults()
assert keep_freed_memory()
faults()
print(one, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before > 20 and after < before / 10  # pages may be huge
