"""Where the time of a training step goes, by kind of work, and which share of the machine's arithmetic it reaches.

    python benchmarks/step_profile.py --width 128 --batch 128
    python benchmarks/step_profile.py --width 64 --blocks 3 --head 256 --batch 128

Modes are those of `step.py`. Kinds are told by the names of torch's operators; `fused` are the loops that torch.compile
makes of everything between two products. Operations are those of the products in forward and backward pass, counted on
the eager network (an addition and a multiplication are two). The peak is the best rate of a square product of matrices,
in bfloat16 and in float32, measured before.
"""

import time

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from step import SHAPE, begin, make_step
from subgrid.model import ModelSettings, build

KINDS = {
    "products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "mkldnn::", "aten::linear"),
    "convolution": ("convolution", "conv1d"),
    "attention": ("scaled_dot_product", "_softmax"),
    "norms": ("layer_norm", "batch_norm", "native_batch"),
    "fused": ("Compiled", "cpp_fused", "CompiledFunction", "torch-compiled", "Torch-Compiled", "## Call"),
    "copies": ("copy_", "_to_copy", "aten::to", "clone", "contiguous", "aten::cat", "fill_", "zero_"),
    "optimiser": ("_fused_adamw", "Optimizer."),
}


def kind(name: str) -> str:
    """Which kind of work an operator is."""
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other elementwise")


def shares(mode: str, settings: ModelSettings, batch: int, repeats: int) -> tuple[float, dict[str, float]]:
    """Seconds of a warm step, and the part of its processor time that each kind of work takes."""
    step = make_step(mode, settings, batch)
    for _ in range(3):
        step()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    seconds = (time.perf_counter() - start) / repeats
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(3):
            step()
    times: dict[str, float] = {}
    for event in found.key_averages():
        times[kind(event.key)] = times.get(kind(event.key), 0.0) + event.self_cpu_time_total
    total = sum(times.values())
    return seconds, {name: value / total for name, value in sorted(times.items(), key=lambda item: -item[1])}


def operations(settings: ModelSettings, batch: int) -> int:
    """Floating-point operations of the products of a step, forward and backward."""
    network = build(settings, SHAPE)
    with FlopCounterMode(display=False) as counter:
        outputs = network(torch.randn(batch, SHAPE.levels, SHAPE.channels))
        (outputs.prediction.sum() + outputs.confidence.sum()).backward()
    return counter.get_total_flops()


def peak(dtype: torch.dtype) -> float:
    """Operations a second of the best square product."""
    best = 0.0
    for size in (512, 1024, 2048):
        one, other = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
        one @ other
        for _ in range(5):
            start = time.perf_counter()
            one @ other
            best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def main() -> None:
    arguments, settings = begin()
    peaks = {name: peak(getattr(torch, name)) for name in ("float32", "bfloat16")}
    print(", ".join(f"peak {name} {value / 1e9:.0f} Gflop/s" for name, value in peaks.items()))
    done = operations(settings, arguments.batch)
    print(f"products of a step: {done / 1e9:.1f} Gflop, {done / arguments.batch / 1e6:.0f} Mflop a column")
    for mode in arguments.modes.split(","):
        seconds, found = shares(mode, settings, arguments.batch, arguments.repeats)
        top = peaks["bfloat16" if mode.endswith("16") else "float32"]
        print(
            f"{mode:10s} {arguments.batch / seconds:7.1f} columns/s, {done / seconds / 1e9:6.1f} Gflop/s, "
            f"{done / seconds / top:5.1%} of the peak: "
            + ", ".join(f"{name} {share:.0%}" for name, share in found.items() if share >= 0.005),
            flush=True,
        )


if __name__ == "__main__":
    main()
