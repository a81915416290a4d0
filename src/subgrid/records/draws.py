"""A choice of steps drawn over the whole period: so many parts of so many batches of so many steps, none twice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from subgrid.errors import SettingsError
from subgrid.records.order import permutation
from subgrid.source.steps import Step

_DRAW = 3  # tells this draw from the permutations of groups (0, 1) and the draws of validation rows (2)


@dataclass(frozen=True)
class Draw:
    """How many steps to draw.

    Attributes:
        parts: machines, or runs, that share the work.
        batches: groups of each part; the rows of a batch are mixed.
        steps: of each batch.
    """

    parts: int
    batches: int
    steps: int

    @classmethod
    def parse(cls, text: str) -> "Draw":
        """Parse ``44x5x100``; raises SettingsError for anything else."""
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
        if not match:
            raise SettingsError(f"draw {text!r}: expected parts x batches x steps, as in 44x5x100")
        return cls(*(int(number) for number in match.groups()))

    def __str__(self) -> str:
        return f"{self.parts}x{self.batches}x{self.steps}"

    @property
    def count(self) -> int:
        """Steps in all."""
        return self.parts * self.batches * self.steps

    def of(self, steps: Sequence[Step], seed: int) -> list[Step]:
        """That many of the complete steps (with both files), sorted as they are.

        The step at place p of the n complete ones is drawn if p is among the first ``count`` numbers of the
        permutation of 0 ... n-1 by (3, seed). Raises SettingsError where there are too few.
        """
        complete = [step for step in steps if step.complete]
        if self.count > len(complete):
            raise SettingsError(
                f"draw {self}: {self.count:,} steps are to be drawn without repeating one, the source has "
                f"{len(complete):,} complete ones between start and end"
            )
        return [complete[place] for place in sorted(permutation(len(complete), _DRAW, seed)[: self.count].tolist())]
