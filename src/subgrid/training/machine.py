"""The machine a run is on: device, precision, threads, and what of it can change the last bits of a result."""

import logging
import os
import platform
import shutil
from typing import Any

import torch
from lightning_fabric import Fabric

from subgrid.errors import SettingsError
from subgrid.training.settings import TrainingSettings

_COMPILERS = ("g++", "clang++", "c++")


def open_device(settings: TrainingSettings) -> Fabric:
    """The device, precision and (later) processes of a run; sets the number of torch's threads.

    Raises:
        SettingsError: a device that this machine does not have, or compilation without a compiler.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
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
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the reporter says what there is to say
    return Fabric(accelerator=name, devices=1, precision=resolve_precision(settings.precision, name))  # type: ignore[arg-type]


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
    }
