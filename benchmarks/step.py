"""Training step of the Squeezeformer against the same network from torch's stock layers, side by side in one run.

A step is forward, loss (MAE of prediction and of confidence), backward and AdamW. The baseline is `stock` (stock
layers, eager, float32); `eager32`, `eager16` and `compiled16` are subgrid's network in float32, in bfloat16 products,
and the latter compiled. All start from the same parameters; steps alternate, so that a busy machine hurts all alike.

    python benchmarks/step.py --width 128 --batch 128
    python benchmarks/step.py --width 384 --batch 64 --repeats 5
    python benchmarks/step.py --width 64 --blocks 3 --head 256 --batch 256 --modes stock,eager16,compiled16
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from machine import describe
from stock_squeezeformer import StockSqueezeformer, copy_parameters
from subgrid.model import ModelSettings, ModelShape, build, compile_blocks
from subgrid.training.machine import keep_freed_memory

SHAPE = ModelShape(
    levels=60, profile_channels=28, scalar_channels=16, profiles=6, scalars=8, auxiliary=6, confidence=True
)
MODES = ("stock", "eager32", "eager16", "compiled16")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 128), ("blocks", 12), ("head", 512), ("batch", 128), ("repeats", 7)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--modes", default=",".join(MODES), help="comma-separated; the first is the baseline")
    return parser.parse_args()


def make_step(mode: str, settings: ModelSettings, batch: int) -> Callable[[], float]:
    """A function that does one training step of that mode and returns its loss."""
    torch.manual_seed(0)
    network = build(settings, SHAPE)
    x, y = torch.randn(batch, SHAPE.levels, SHAPE.channels), torch.randn(batch, SHAPE.outputs)
    if mode == "stock":
        stock = StockSqueezeformer(settings.model_dump(), SHAPE.channels, SHAPE.output_channels, SHAPE.profiles)
        copy_parameters(stock, network)
        network = stock
    elif mode == "compiled16":
        compile_blocks(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def loss(prediction: Tensor, confidence: Tensor) -> Tensor:
        return functional.l1_loss(prediction, y) + functional.l1_loss(confidence, (prediction.detach() - y).abs())

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=mode.endswith("16")):
            outputs = network(x)
        value = loss(*outputs)
        value.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return value.item()

    return step


def timed(step: Callable[[], float]) -> tuple[float, float]:
    start = time.perf_counter()
    loss = step()
    return time.perf_counter() - start, loss


def begin() -> tuple[argparse.Namespace, ModelSettings]:
    """The options, the network's settings, the process made ready and the machine told."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as a training on a CPU does, here for all modes
    settings = ModelSettings(width=arguments.width, blocks=arguments.blocks, head=arguments.head)
    print(describe("torch"), f"threads {arguments.threads}", sep="\n")
    print(f"width {settings.width}, blocks {settings.blocks}, head {settings.head}, batch {arguments.batch}")
    return arguments, settings


def main() -> None:
    arguments, settings = begin()
    steps = {mode: make_step(mode, settings, arguments.batch) for mode in arguments.modes.split(",")}
    for mode, step in steps.items():
        seconds, loss = timed(step)
        timed(step)
        print(f"{mode:10s} first step {seconds:6.1f} s (with compilation, if any), loss {loss:.5f}", flush=True)
    times: dict[str, list[float]] = {mode: [] for mode in steps}
    for _ in range(arguments.repeats):
        for mode, step in steps.items():
            times[mode].append(timed(step)[0])
    baseline = statistics.median(next(iter(times.values())))
    for mode, values in times.items():
        median = statistics.median(values)
        print(
            f"{mode:10s} warm, {len(values)} steps: median {median * 1e3:8.1f} ms, "
            f"range {min(values) * 1e3:.1f} to {max(values) * 1e3:.1f} ms, "
            f"{arguments.batch / median:7.1f} columns/s, {baseline / median:5.2f} x"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB (all modes together)")


if __name__ == "__main__":
    main()
