"""What is done: one small file a finished group, one a finished part; no file is shared between writers.

A group's file holds its shards, what was dropped and counted, and its moments, which are folded in the order of the
groups when the build is finished: the statistics are the same bits however the build was cut.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from subgrid.errors import DatasetError, first_fault
from subgrid.records.blueprint import PARTS, Blueprint
from subgrid.records.plan import Group, Part
from subgrid.records.store import Store, as_store, write_json
from subgrid.schema.variable_sets import VariableSet
from subgrid.statistics.table import Table


def _plain_name(name: str) -> str:
    if Path(name).name != name or name in ("", ".", "..") or "\0" in name:
        raise ValueError(f"shard name {name!r} leads out of its folder")
    return name


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))  # a data set has thousands
class Shard:
    """One shard of a data set; manifests come from elsewhere, so what cannot be one is refused here.

    Attributes:
        name: file name inside ``shards/``.
        split: training or validation.
        rows: number of records.
        bytes: size of the file.
        crc32c: of the whole file.
    """

    name: Annotated[str, AfterValidator(_plain_name)]
    split: str
    rows: Annotated[int, Field(ge=1)]
    bytes: Annotated[int, Field(ge=1)]
    crc32c: int


class GroupReport(BaseModel):
    """What became of one group.

    Attributes:
        build: digest of the blueprint it belongs to.
        group: its name.
        shards: the shards it wrote.
        dropped: steps that were planned and left out, with the reason.
        flushed: stored values too small for float32 that became zero, by variable.
        fill: fill values, by variable.
        other_time: steps whose files hold another date than their names.
        moments: by split, the arrays of a ``Table`` in base64 (little-endian float64).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    build: str
    group: str
    shards: tuple[Shard, ...]
    dropped: dict[str, str]
    flushed: dict[str, int]
    fill: dict[str, int]
    other_time: int
    moments: dict[str, tuple[str, str]]

    def table(self, split: str, variables: VariableSet) -> Table:
        """The moments of a split's rows in this group; zero where it has none."""
        if split not in self.moments:
            return Table.zero(variables)
        inputs, targets = self.moments[split]
        return Table.from_arrays(variables, _decoded(inputs), _decoded(targets))


def encoded(table: Table) -> tuple[str, str]:
    """The two arrays of a table as text."""
    one, other = (
        base64.b64encode(moments.to_array().astype("<f8").tobytes()).decode()
        for moments in (table.inputs, table.targets)
    )
    return one, other


def _decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f8").reshape(5, -1)


def report_name(group: Group) -> str:
    """How a group's file is called in a build's folder."""
    return f"{PARTS}/{group.name}.json"


def done_groups(out: Store | Path, groups: Sequence[Group]) -> list[Group]:
    """Those of the groups that are finished; one listing, however many they are."""
    found = as_store(out).listing(PARTS)
    return [group for group in groups if f"{group.name}.json" in found]


def write_report(out: Store | Path, group: Group, report: GroupReport) -> None:
    """Declare a group finished."""
    write_json(as_store(out), report_name(group), report.model_dump())


def read_report(out: Store | Path, group: Group, build: str) -> GroupReport:
    """Read a group's file; raises DatasetError when it is damaged or of another build."""
    store, name = as_store(out), report_name(group)
    try:
        report = GroupReport.model_validate_json(store.read(name))
    except (ValidationError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{store.label(name)}: damaged ({first_fault(error)}); delete it and run the build again to make the group "
            "anew"
        ) from error
    if report.build != build:
        raise DatasetError(
            f"{store.label(name)}: belongs to another build; this folder mixes two, build into a fresh one"
        )
    return report


def write_part(out: Store | Path, part: Part, blueprint: Blueprint) -> None:
    """Declare a part finished, also one without groups."""
    groups = [group.name for group in part.of(blueprint.groups)]
    name = f"{PARTS}/part-{part.index:04d}-of-{part.count:04d}.json"
    content = {"build": blueprint.digest, "part": [part.index, part.count], "groups": groups}
    write_json(as_store(out), name, content)


def plain(path: Path) -> Any:
    """Any JSON file of a build as plain data."""
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: damaged ({error})") from error
