"""Cutting a data set into several, by links: group g of the plan goes to set g mod K + 1, as parts of a build do.

Groups have the same number of rows but for the last ones, and each spans the whole period: the sets are balanced, each
is a data set of its own to train on, and together they are the parts of the build, from which the whole can be joined.
"""

import os
import shutil
from pathlib import Path

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.blueprint import PARTS, SHARDS, read_blueprint
from subgrid.records.build import STATISTICS_FILE
from subgrid.records.files import write_json, write_whole
from subgrid.records.ledger import is_done, read_report, report_path, write_part
from subgrid.records.manifest import MANIFEST, Manifest, make_manifest, read_manifest
from subgrid.records.plan import Part
from subgrid.records.splits import SPLITS
from subgrid.statistics.table import Table, write_tables


def cut(source: Path, out: Path, part: Part) -> Manifest:
    """Make the data set ``out`` of the groups of one part of the finished data set ``source``.

    Shards are linked (hard links, else symbolic ones). The statistics are those of the part's rows.

    Raises:
        DatasetError: ``source`` is no finished build with its parts, or ``out`` holds something else.
        SettingsError: the part would have no training rows.
    """
    whole, blueprint = read_manifest(source), read_blueprint(source)
    groups = part.of(blueprint.groups)
    if lacking := [group.name for group in blueprint.groups if not is_done(source, group)]:
        raise DatasetError(f"{source / PARTS}: lacks {', '.join(lacking[:5])}; a data set is cut by these files")
    reports = [read_report(source, group, blueprint.digest) for group in groups]
    shards = {shard.name for report in reports for shard in report.shards}
    if not any(shard.split == "training" for shard in whole.shards if shard.name in shards):
        raise SettingsError(f"{source}: has too few groups for {part.count} sets; cut it into fewer")
    if (out / MANIFEST).exists():
        if {shard.name for shard in read_manifest(out).shards} != shards:
            raise DatasetError(f"{out}: holds another data set; use another folder")
        return read_manifest(out)
    blueprint.lay(out)
    for name in sorted(shards):
        _link(source / SHARDS / name, out / SHARDS / name)
    for group in groups:
        shutil.copyfile(report_path(source, group), report_path(out, group))
    write_part(out, part, blueprint)
    manifest = make_manifest(blueprint, reports, whole.source, whole.licence)
    tables = {
        split: sum((one.table(split, blueprint.variables) for one in reports), Table.zero(blueprint.variables))
        for split in SPLITS
        if manifest.rows(split)
    }
    write_whole(out / STATISTICS_FILE, lambda aside: write_tables(aside, tables, {"dataset": manifest.digest}))
    write_json(out / MANIFEST, manifest.model_dump())
    return manifest


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        target.symlink_to(source.resolve())
