"""The end of a build: moments folded in the order of groups, statistics written, and last the manifest."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from subgrid.errors import DatasetError, InputError
from subgrid.records.blueprint import SHARDS, SOURCE_FILE, Blueprint
from subgrid.records.ledger import GroupReport, read_report
from subgrid.records.manifest import MANIFEST, Manifest, make_manifest, parse_manifest
from subgrid.records.plan import Group
from subgrid.records.splits import SPLITS
from subgrid.records.store import Store, write_json
from subgrid.source.blocks import BlockSource
from subgrid.source.locations import Location, is_remote, shown
from subgrid.source.synthetic.files import SETTINGS_FILE
from subgrid.source.urls import local_path
from subgrid.statistics.table import Table, write_tables

STATISTICS_FILE = "statistics.nc"
_AT_ONCE = 16
_REAL, _SYNTHETIC = "CC-BY-4.0 (ClimSim, LEAP)", "Apache-2.0 (made-up data, no simulation of the real world)"


@dataclass(frozen=True)
class Origin:
    """Where the rows of a build come from; dates and grid of two simulations may be the same.

    Attributes:
        source: path or URL of the raw steps, without secrets.
        licence: of the data.
        placed: whether it says where and when its rows lie.
    """

    source: str
    licence: str
    placed: bool = True

    @classmethod
    def of(cls, source: Location | BlockSource) -> "Origin":
        """Made-up data are told by the file that their maker leaves; everything else is taken for ClimSim's."""
        licence = _SYNTHETIC if source.exists(SETTINGS_FILE) else _REAL
        return cls(shown(source.url), licence, isinstance(source, Location) or source.placed)

    def same_source(self, other: str) -> bool:
        """Whether another path or URL is the same place."""
        if is_remote(self.source) or is_remote(other):
            return self.source.rstrip("/") == other.rstrip("/")
        one, two = (local_path(url).resolve() for url in (self.source, other))
        return one == two


def read_origin(store: Store) -> Origin | None:
    """What stands beside the blueprint of a build; None for a build that began without it."""
    try:
        return Origin(**json.loads(store.read(SOURCE_FILE).decode()))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise DatasetError(f"{store.label(SOURCE_FILE)}: damaged ({error})") from error


def settle_origin(store: Store, origin: Origin) -> None:
    """Write an origin beside the blueprint, or raise DatasetError where another one stands there."""
    found = read_origin(store)
    if found is None:
        write_json(store, SOURCE_FILE, asdict(origin))
    elif not origin.same_source(found.source):
        raise DatasetError(
            f"{store.label()}: is being built from {found.source}, not from {origin.source}; use another folder"
        )


def finished(store: Store, origin: Origin) -> Manifest:
    """The manifest of a finished build; raises DatasetError for another source, or where a file is gone."""
    manifest = parse_manifest(store.read(MANIFEST), store.label(MANIFEST))
    if not origin.same_source(manifest.source):
        raise DatasetError(
            f"{store.label()}: was built from {manifest.source}, not from {origin.source}; use another folder"
        )
    gone = [STATISTICS_FILE] if STATISTICS_FILE not in store.listing() else []
    held = store.listing(SHARDS)
    gone += [f"{SHARDS}/{shard.name}" for shard in manifest.shards if shard.name not in held]
    if gone:
        mend = "copy it anew" if store.remote else "subgrid verify --repair, and then the same build, make it anew"
        raise DatasetError(f"{store.label(gone[0])}: is missing ({len(gone)} files in all); {mend}")
    return manifest


def finish(store: Store, blueprint: Blueprint, groups: Sequence[Group], origin: Origin) -> Manifest:
    """Write statistics and manifest of groups that are all done.

    Raises InputError where every training step was dropped, DatasetError for a damaged report.
    """
    tables = dict.fromkeys(SPLITS, Table.zero(blueprint.variables))

    def folded() -> Iterator[GroupReport]:
        for report in _reports(store, blueprint, groups):
            for split in report.moments:
                tables[split] = tables[split] + report.table(split, blueprint.variables)
            yield report

    made = make_manifest(blueprint, folded(), origin.source, origin.licence)
    manifest = made.model_copy(update={"placed": origin.placed})
    if not manifest.rows("training"):
        raise InputError(f"{origin.source}: every training step was dropped; there is nothing to train on")
    filled = {split: table for split, table in tables.items() if manifest.rows(split)}
    store.write(STATISTICS_FILE, lambda aside: write_tables(aside, filled, {"dataset": manifest.digest}))
    write_json(store, MANIFEST, manifest.model_dump())
    return manifest


def _reports(store: Store, blueprint: Blueprint, groups: Sequence[Group]) -> Iterator[GroupReport]:
    """The groups' reports in their order; from a bucket, which takes its time for each of thousands, a few at once."""
    at_once = _AT_ONCE if store.remote else 1
    with ThreadPoolExecutor(at_once, thread_name_prefix="report") as pool:
        for start in range(0, len(groups), at_once):
            chosen = groups[start : start + at_once]
            yield from pool.map(lambda group: read_report(store, group, blueprint.digest), chosen)
