"""What every benchmark prints first, and the one way in which results are summed up."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def processor() -> str:
    """What the machine calls its processor, how many there are, and whether it multiplies bfloat16 in hardware."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")]
    bfloat16 = "yes" if "avx512_bf16" in text or "amx_bf16" in text else "no"
    return f"{names[0] if names else platform.processor()} x {len(names) or '?'}, bfloat16 {bfloat16}"


def describe(*packages: str) -> str:
    """Two lines: the machine, and the versions of subgrid, Python and the named packages."""
    found = {"python": platform.python_version()}
    for name in ("subgrid", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    load = os.getloadavg()[0]
    versions = ", ".join(f"{name} {number}" for name, number in found.items())
    return f"machine: {platform.system()} {platform.machine()}, {processor()}; load before {load:.1f}\n{versions}"


def alternate(ways: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Call each way ``repeats`` times in turns, so that a busy machine hurts all alike; their results by name."""
    results: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            results[name].append(way())
    return results


def summary(name: str, rates: Sequence[float], baseline: float, unit: str = "columns/s") -> str:
    """One line: median, range, ratio of the median to the baseline's."""
    median = statistics.median(rates)
    return (
        f"{name:34s} median {median:12,.0f} {unit}, range {min(rates):,.0f} to {max(rates):,.0f} "
        f"({len(rates)} runs), {median / baseline:6.2f} x"
    )
