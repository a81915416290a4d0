"""The manifest of a data set, ``dataset.json``: written last, so a folder without it is an unfinished build."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from subgrid import __version__
from subgrid.errors import DatasetError, first_fault
from subgrid.records.blueprint import Blueprint
from subgrid.records.ledger import GroupReport, Shard
from subgrid.records.provenance import Provenance
from subgrid.records.splits import SPLITS

FORMAT = "subgrid-dataset/1"
MANIFEST = "dataset.json"


class StoredVariable(BaseModel):
    """A variable as it stands in the rows: columns in this order, values times 2**exponent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    levels: int
    unit: str
    exponent: int


class Manifest(BaseModel):
    """What a data set is.

    Attributes:
        format: version of this file.
        digest: identity of the data set; follows from layout, variables, grid, plan, split, seed and the shards.
        variable_set, inputs, targets: what a row holds.
        features, stride, offsets: the record's layout: dtype and width by name, bytes from one record to the next,
            offset of each array from the start of its record.
        columns, grid: columns of the grid and its digest.
        plan, split, seed: digest of ``plan.json``, the rule, the seed.
        shards: in the order of groups, training before validation.
        skipped: listed steps that lack one of their files; dropped: planned steps that were left out, with reasons.
        flushed: stored values too small for float32 that became zero; fill: fill values; by variable.
        other_time: steps whose files hold another date than their names.
        source, licence, created, program: provenance, not part of the digest.
        placed: whether rows say where and when they lie; where not, column and time are -1, and a row's number counts
            the rows of what it was made from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    digest: str
    variable_set: str
    inputs: tuple[StoredVariable, ...]
    targets: tuple[StoredVariable, ...]
    features: dict[str, tuple[str, int]]
    stride: int
    offsets: dict[str, int]
    columns: int
    grid: str
    plan: str
    split: str
    seed: int
    shards: tuple[Shard, ...]
    skipped: tuple[str, ...]
    dropped: dict[str, str]
    flushed: dict[str, int]
    fill: dict[str, int]
    other_time: int
    source: str
    licence: str
    created: str
    program: str
    placed: bool = True

    def rows(self, split: str) -> int:
        """Rows of a split."""
        return sum(shard.rows for shard in self.shards if shard.split == split)

    @property
    def provenance(self) -> Provenance:
        """What those note who use the rows."""
        return Provenance.told(self.source, self.licence)

    def computed_digest(self) -> str:
        """SHA-256 of all that makes the data set what it is (not of times, hosts, paths, program versions)."""
        names = ("variable_set", "inputs", "targets", "features", "stride", "offsets", "columns", "grid", "plan",
                 "split", "seed", "shards")  # fmt: skip
        content = self.model_dump(include=set(names))
        if self.split.startswith("file="):
            content["split"] = "file"  # where the list lay is no part of the data set; its steps are in the plan
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass
class _Sums:
    """What the reports of groups say together; they are not kept, there are thousands."""

    shards: dict[str, list[Shard]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    dropped: dict[str, str] = field(default_factory=dict)
    flushed: Counter[str] = field(default_factory=Counter)
    fill: Counter[str] = field(default_factory=Counter)
    other_time: int = 0

    def add(self, report: GroupReport) -> None:
        for shard in report.shards:
            self.shards[shard.split].append(shard)
        self.dropped |= report.dropped
        self.flushed.update(report.flushed)
        self.fill.update(report.fill)
        self.other_time += report.other_time


def make_manifest(blueprint: Blueprint, reports: Iterable[GroupReport], source: str, licence: str) -> Manifest:
    """The manifest of a build whose every group is finished; ``reports`` in the order of the blueprint's groups."""
    variables, layout, sums = blueprint.variables, blueprint.layout, _Sums()
    for report in reports:
        sums.add(report)
    manifest = Manifest(
        digest="",
        variable_set=variables.name,
        inputs=tuple(_stored(item) for item in variables.inputs),
        targets=tuple(_stored(item) for item in variables.targets),
        features={feature.name: (feature.dtype, feature.width) for feature in layout.features},
        stride=layout.stride,
        offsets=layout.offsets,
        columns=blueprint.grid.columns,
        grid=blueprint.grid.digest,
        plan=blueprint.plan.digest,
        split=blueprint.plan.split,
        seed=blueprint.settings.seed,
        shards=tuple(shard for split in SPLITS for shard in sums.shards[split]),
        skipped=blueprint.plan.skipped,
        dropped=sums.dropped,
        flushed=dict(sorted(sums.flushed.items())),
        fill=dict(sorted(sums.fill.items())),
        other_time=sums.other_time,
        source=source,
        licence=licence,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        program=f"subgrid {__version__}",
    )
    return manifest.model_copy(update={"digest": manifest.computed_digest()})


def _stored(item: Any) -> StoredVariable:
    return StoredVariable(name=item.name, levels=item.levels, unit=item.unit, exponent=item.exponent)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a data set.

    Raises:
        DatasetError: no manifest (an unfinished build, or no data set), a damaged one, one whose digest does not
            follow from its content, or a shard name that leads out of the folder.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        state = "an unfinished build: run the same build again" if (folder / "build.json").exists() else "no data set"
        raise DatasetError(f"{folder}: expected a data set with a {MANIFEST}, found {state}") from None
    return parse_manifest(text, str(folder / MANIFEST))


def parse_manifest(text: bytes, where: str) -> Manifest:
    """Check a manifest's text; ``where`` is for messages. Raises DatasetError as ``read_manifest`` does."""
    try:
        manifest = Manifest.model_validate_json(text)
    except (ValidationError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{where}: damaged, or written by another version of subgrid ({first_fault(error)}); where it was built, "
            "delete it, and the same build writes it anew"
        ) from error
    if manifest.format != FORMAT:
        raise DatasetError(f"{where}: expected format {FORMAT}, found {manifest.format!r}")
    if manifest.digest != manifest.computed_digest():
        raise DatasetError(f"{where}: the digest does not follow from the content; the manifest was changed")
    return manifest
