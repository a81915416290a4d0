"""Taking back what is damaged in a finished data set, so that the build it came from makes just that again."""

from pathlib import Path

from subgrid.errors import DatasetError
from subgrid.records.blueprint import SHARDS, read_blueprint
from subgrid.records.example import RecordLayout
from subgrid.records.finish import STATISTICS_FILE
from subgrid.records.ledger import Shard, read_report, report_name
from subgrid.records.manifest import MANIFEST
from subgrid.records.reader import Dataset
from subgrid.records.shards import open_shard
from subgrid.records.store import LocalStore


def take_back(folder: Path) -> list[str]:
    """Remove the reports of groups with a damaged or missing shard, then statistics and manifest; the groups' names.

    A group whose own report is damaged goes too. Strangers in the folder stay. Raises DatasetError where the folder is
    no data set, or has no blueprint to build by.
    """
    dataset, blueprint, store = Dataset.open(folder), read_blueprint(folder), LocalStore(folder)
    whole = {shard.name for shard in dataset.manifest.shards if not _damaged(folder, shard, dataset.layout)}
    taken = []
    for group in blueprint.groups:
        try:
            sound = all(shard.name in whole for shard in read_report(store, group, blueprint.digest).shards)
        except FileNotFoundError:
            continue  # of another part of the plan
        except DatasetError:
            sound = False
        if not sound:
            store.remove(report_name(group))
            taken.append(group.name)
    store.remove(STATISTICS_FILE)
    store.remove(MANIFEST)  # last: a repair that was stopped can be begun again, and an unfinished build could not
    return taken


def _damaged(folder: Path, shard: Shard, layout: RecordLayout) -> bool:
    try:
        open_shard(folder / SHARDS / shard.name, shard, layout)
    except DatasetError:
        return True
    return False
