"""What the processes of one run say to each other; one process alone says nothing and waits for nobody.

Every call here is made by all processes at the same place of the run, or by none. Where all end together, the first
tells why and has the exit code of the run; the others end with 0, for launchers end all as soon as one ends otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor

from subgrid.errors import SubgridError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them.

    Attributes:
        rank, ranks: which of how many; rank 0 writes and speaks.
        device: where this one computes.
    """

    rank: int = 0
    ranks: int = 1
    device: torch.device = torch.device("cpu")

    @classmethod
    def of(cls, fabric: Fabric) -> "Processes":
        """Those that Fabric has joined."""
        return cls(fabric.global_rank, fabric.world_size, fabric.device)

    def total(self, numbers: Tensor) -> Tensor:
        """The sum of a tensor over all processes, the same bits in each; takes the tensor's place."""
        if self.ranks > 1:
            dist.all_reduce(numbers)
        return numbers

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers."""
        if self.ranks == 1:
            return number
        found = torch.tensor(number, device=self.device)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return int(found)

    def gather(self, value: Any) -> list[Any]:
        """The plain values of all processes, in the order of their ranks."""
        if self.ranks == 1:
            return [value]
        found: list[Any] = [None] * self.ranks
        dist.all_gather_object(found, value)
        return found

    def first(self, act: Callable[[], Result]) -> Result:
        """Let rank 0 act alone while the others wait; its plain result in all.

        Where it raises, the others end quietly: one error is told once.
        """
        if self.ranks == 1:
            return act()
        outcome: list[Any] = [False, None]
        try:
            if self.rank == 0:
                outcome = [True, act()]
        finally:
            dist.broadcast_object_list(outcome, src=0)
        if not outcome[0]:
            raise SystemExit(0)
        return outcome[1]

    def wait(self) -> None:
        """Until all are here."""
        self.first(lambda: None)

    def told_once(self, end: BaseException) -> BaseException:
        """What to raise for an end that all processes come to at the same place: rank 0 tells it."""
        return end if self.rank == 0 else SystemExit(0)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors of one process among several say whose they are; a lost connection is told in words."""
        try:
            yield
        except SubgridError as error:
            if self.rank == 0:
                raise
            raise type(error)(f"process {self.rank} of {self.ranks}: {error}") from error
        except RuntimeError as error:
            if self.ranks == 1 or not _lost(error):
                raise
            raise SubgridError(
                f"process {self.rank} of {self.ranks}: another process of this run has ended or cannot be reached; its "
                f"own message says why. The same command goes on from the latest checkpoint ({_first_line(error)})"
            ) from error


def _lost(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "Connection closed" in str(error)


def _first_line(error: RuntimeError) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
