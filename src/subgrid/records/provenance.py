"""Where data come from and under which licence: what runs and predictions note of the data that they were made of."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from subgrid.source.urls import is_remote, shown


class Provenance(BaseModel):
    """Of one data set, folder of raw steps or table.

    Attributes:
        source: URL without secrets; of what lay on a machine the name alone, as its path says nothing elsewhere.
        licence: of the data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    licence: str

    @classmethod
    def told(cls, source: str, licence: str) -> Self:
        """From a path or URL."""
        return cls(source=portable(source), licence=licence)

    @property
    def made_up(self) -> bool:
        """Whether no simulation of the real world is in it."""
        return self.licence.lower().startswith("apache")


def portable(place: str) -> str:
    """A URL without secrets, of a path its last name alone."""
    return shown(place) if is_remote(place) else Path(place).name


def distinct(found: Iterable[Provenance]) -> tuple[Provenance, ...]:
    """The same without doubles, in their order."""
    return tuple(dict.fromkeys(found))
