"""The machine a run is on: device, precision, threads, processes, and what of it can change the last bits of a result.

Several processes share a run where torchrun or srun starts them; they speak gloo on CPUs and nccl on CUDA.
"""

import ctypes
import inspect
import logging
import os
import platform
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from subgrid.errors import SettingsError
from subgrid.training.launch import Launch, launch
from subgrid.training.settings import TrainingSettings

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # numbers of glibc's malloc.h
_COMPILERS = ("g++", "clang++", "c++")


@contextmanager
def opened(settings: TrainingSettings) -> Iterator[Fabric]:
    """``open_device`` while the block runs; processes of one run join there and part after it.

    A process whose block ends in an error leaves without a word: the others may be waiting for something else.
    """
    fabric = open_device(settings)
    yield fabric
    if fabric.world_size > 1:
        torch.distributed.destroy_process_group()


def open_device(settings: TrainingSettings) -> Fabric:
    """The device and the processes of a run; sets the number of torch's threads.

    Raises:
        SettingsError: a device that this machine does not have, compilation without a compiler, a batch that the
            processes cannot share, processes that do not find each other.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    name = _device(settings)
    if name == "cpu":
        keep_freed_memory()
    started = launch()
    if settings.batch % (started.ranks * settings.accumulate):
        raise SettingsError(
            f"training.batch = {settings.batch} rows cannot be shared by {started.ranks} processes that each take it "
            f"in training.accumulate = {settings.accumulate} pieces; expected a multiple of "
            f"{started.ranks * settings.accumulate}"
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the reporter says what there is to say
    if started.ranks == 1:
        return Fabric(accelerator=name, devices=1, plugins=[LightningEnvironment()])
    return _joined(name, started)


def autocast(settings: TrainingSettings, device: torch.device) -> torch.autocast:
    """The run's precision while the block runs.

    Not Fabric's own, which rounds what goes into a network to bfloat16: neighbouring levels differ in digits that are
    gone then, and a network may want to multiply its inputs in float32.
    """
    mixed = resolve_precision(settings.precision, device.type) == "bf16-mixed"
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)


def keep_freed_memory() -> bool:
    """Let the C library keep the memory that arrays leave behind, and say whether it knows how to.

    By default, glibc takes every array of more than some hundred kilobytes from the kernel and gives it back when it is
    freed. A training step frees and asks for the same few hundred of them, and the kernel clears each page anew: about
    a fifth of the processor's time of a step of a small network.
    """
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library than glibc
        return False
    return bool(option(_MMAP_MAX, 0) and option(_TRIM_THRESHOLD, 2**31 - 1))


def _device(settings: TrainingSettings) -> str:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    name = settings.device
    if name == "auto":
        name = "cuda" if available["cuda"] else "mps" if available["mps"] else "cpu"
    if not available[name]:
        found = ", ".join(device for device, here in available.items() if here)
        raise SettingsError(f"training.device = {name}: this machine or this torch has only {found}")
    if settings.compile and name == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", ""), *_COMPILERS))):
        raise SettingsError(
            f"training.compile = true needs a C++ compiler on a CPU (CXX or one of {', '.join(_COMPILERS)})"
        )
    return name


def _joined(device: str, started: Launch) -> Fabric:
    """This process among the others of its run."""
    if device == "mps":
        raise SettingsError("training.device = mps works in one process; use training.device=cpu with several")
    environment: type[ClusterEnvironment] = TorchElasticEnvironment if started.by == "torchrun" else SLURMEnvironment
    try:
        fabric = Fabric(
            accelerator=device,
            devices=started.on_node,
            num_nodes=started.nodes,
            strategy=DDPStrategy(gradient_as_bucket_view=True, **_without_buffers()),
            plugins=[environment()],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fabric.launch()
    except (ValueError, RuntimeError, torch.distributed.DistError) as error:
        raise SettingsError(
            f"process {started.rank} of {started.ranks} (started by {started.by}) could not join the others: {error}"
        ) from error
    return fabric


def _without_buffers() -> Any:
    """Tells DistributedDataParallel not to send buffers round before each step: all processes compute the same ones."""
    known = inspect.signature(DistributedDataParallel).parameters
    return {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}


def resolve_precision(precision: str, device: str) -> str:
    """``auto`` as bf16-mixed where the device multiplies bfloat16 in hardware, else 32-true."""
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    return "bf16-mixed" if device == "cpu" and _cpu_multiplies_bfloat16() else "32-true"


def _cpu_multiplies_bfloat16() -> bool:
    capabilities = _cpu_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _cpu_capabilities() -> dict[str, Any]:
    return dict(torch.cpu.get_capabilities())


def conditions(settings: TrainingSettings, fabric: Fabric) -> dict[str, Any]:
    """What must be equal for a resumed run to end with the same bits, as plain values."""
    capabilities = _cpu_capabilities()
    return {
        "torch": torch.__version__,
        "machine": f"{platform.machine()} {capabilities.get('cpu_name', 'unknown')}",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if fabric.device.type == "cuda" else fabric.device.type,
        "precision": resolve_precision(settings.precision, fabric.device.type),
        "compile": settings.compile,
        "threads": torch.get_num_threads(),
        "processes": fabric.world_size,
    }
