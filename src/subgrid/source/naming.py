"""How a source calls its files, where all names follow from the steps' labels: a plan then needs no second listing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from subgrid.errors import DatasetError
from subgrid.source.steps import Step, time_of

_LABEL, _MONTH = "{label}", "{month}"


@dataclass(frozen=True)
class Naming:
    """Names of a source's files.

    Attributes:
        mli, mlo: with ``{label}`` (YYYY-MM-DD-SSSSS) and ``{month}`` (YYYY-MM) in place of a step's own.
        grid: name of the grid file; empty where the source has none.
    """

    mli: str
    mlo: str
    grid: str = ""

    def step(self, label: str) -> Step:
        """The step of a label, with both files."""
        return Step(time_of(label), _filled(self.mli, label), _filled(self.mlo, label))

    def to_json(self) -> dict[str, str]:
        """Plain values for a plan file."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any, where: str) -> "Naming":
        """The inverse of ``to_json``; raises DatasetError for anything else, and for names that lead elsewhere."""
        fits = isinstance(data, dict) and data.keys() <= {"mli", "mlo", "grid"} and {"mli", "mlo"} <= data.keys()
        if not fits or not all(isinstance(name, str) for name in data.values()):
            raise DatasetError(f"{where}: the names of files must be mli, mlo and grid, found {data!r}")
        for name in data.values():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\0" in name or ":" in name:
                raise DatasetError(f"{where}: the file name {name!r} leads out of the source")
        if not all(_LABEL in data[kind] for kind in ("mli", "mlo")):
            raise DatasetError(f"{where}: the names of mli and mlo files must hold {_LABEL}, found {data!r}")
        return cls(**data)


@dataclass(frozen=True)
class NamedSteps(Mapping[str, Step]):
    """Steps by label, made when asked for: the names of hundreds of thousands are not kept.

    Attributes:
        naming: of their files.
        labels: of those that there are.
    """

    naming: Naming
    labels: frozenset[str]

    def __getitem__(self, label: str) -> Step:
        """The step of a label; raises KeyError for others."""
        if label not in self.labels:
            raise KeyError(label)
        return self.naming.step(label)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)


def _filled(template: str, label: str) -> str:
    return template.replace(_LABEL, label).replace(_MONTH, label[:7])


def naming_of(steps: Sequence[Step], grid: str = "") -> Naming | None:
    """The naming that all complete steps follow, None where they follow none."""
    complete = [step for step in steps if step.complete]
    if not complete:
        return None
    first = complete[0]
    mli, mlo = (name.replace(first.label, _LABEL).replace(first.label[:7], _MONTH) for name in (first.mli, first.mlo))
    naming = Naming(mli, mlo, grid)
    return naming if all(naming.step(step.label) == step for step in complete) else None
