"""Joining parts of one plan that were built in folders of their own: by links, so nothing is copied.

What is joined are groups: the folders are taken together, and each group must be in exactly one of them. The result
does not depend on their order.
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.records.blueprint import SHARDS, Blueprint, read_blueprint
from subgrid.records.files import PARTIAL
from subgrid.records.finish import Origin, finish, finished, read_origin, settle_origin
from subgrid.records.ledger import GroupReport, done_groups, read_report, report_name, write_part
from subgrid.records.manifest import MANIFEST, Manifest
from subgrid.records.plan import Group, Part
from subgrid.records.store import LocalStore

WHOLE = Part()
_NAMED = 5
"""How many groups a message names."""


def merge(out: Path, parts: Sequence[Path], part: Part = WHOLE, copy: bool = False) -> Manifest:
    """Join the folders ``parts`` into the data set ``out``: hard links, else symbolic ones, or copies if asked for.

    With another ``part`` than the whole, the groups of that part of the plan become a data set of their own, and what
    else a folder holds is left out: so one data set can be cut into several.

    Raises:
        DatasetError: a folder holds another plan, grid, commit or settings, or none; a group is in two folders or in
            none; a folder has no group of ``part``; a shard is missing or of another size. All of them are named.
        SubgridError: a file can be neither linked nor copied.
    """
    if not parts:
        raise DatasetError(f"{out}: expected folders of parts to join, found none")
    if urls := [str(folder) for folder in (out, *parts) if re.match(r"\w+:/", str(folder))]:
        raise SettingsError(f"{urls[0]}: only local folders can be linked; parts at a URL may be built into one OUT")
    blueprint = read_blueprint(parts[0])
    for folder in parts[1:]:
        _refuse_foreign(blueprint, parts[0], folder)
    wanted = part.of(blueprint.groups)
    holders = _holders(parts, blueprint, wanted, part)
    # Without their moments, 50 kB a group: those are read again, one by one, where they are folded.
    reports = {
        group.name: read_report(holders[group.name], group, blueprint.digest).model_copy(update={"moments": {}})
        for group in wanted
    }
    for group in wanted:
        _refuse_damaged(holders[group.name], reports[group.name])
    origin = _origin(parts)
    store = LocalStore(out)
    if store.exists(MANIFEST):
        blueprint.compare(store)
        manifest = finished(store, origin)
        if set(manifest.shards) != {shard for report in reports.values() for shard in report.shards}:
            raise DatasetError(f"{out}: holds a data set of other parts; use another folder")
        return manifest
    with store.held():
        blueprint.lay(store)
        settle_origin(store, origin)
        put = _copied if copy else _linked
        for group in wanted:
            for shard in reports[group.name].shards:
                _bring(holders[group.name] / SHARDS / shard.name, out / SHARDS / shard.name, put)
        for group in wanted:
            _bring(holders[group.name] / report_name(group), out / report_name(group), _copied)
        write_part(store, part, blueprint)
        return finish(store, blueprint, wanted, origin)


def _origin(parts: Sequence[Path]) -> Origin:
    """What the parts were built from. Their paths of it may differ: they come from several machines."""
    origins = {folder: read_origin(LocalStore(folder)) for folder in parts}
    found = [origin for origin in origins.values() if origin is not None]
    if len(found) < len(parts):
        folder = next(folder for folder, origin in origins.items() if origin is None)
        raise DatasetError(f"{folder}: does not say what it was built from; build the part again")
    return min(found, key=lambda origin: origin.source)


def _refuse_foreign(blueprint: Blueprint, first: Path, folder: Path) -> None:
    try:
        found = blueprint.compare(folder)
    except DatasetError as error:
        raise DatasetError(f"{folder}: is not a part of what {first} is a part of: {error}") from error
    one, other = blueprint.plan.commit, found.plan.commit
    if one and other and one != other:
        raise DatasetError(
            f"{folder}: was built from commit {other} of the repository, {first} from {one}; build the part again with "
            "the plan file of the others"
        )


def _holders(parts: Sequence[Path], blueprint: Blueprint, wanted: Sequence[Group], part: Part) -> dict[str, Path]:
    """The folder of each group, by the group's name."""
    holders: dict[str, Path] = {}
    for folder in parts:
        done = [group.name for group in done_groups(folder, blueprint.groups)]
        if twice := [name for name in done if name in holders]:
            raise DatasetError(
                f"{folder} and {holders[twice[0]]} overlap: both hold {_names(twice)}; leave one of them out"
            )
        holders |= dict.fromkeys(done, folder)
    names = {group.name for group in wanted}
    if missing := [group.name for group in wanted if group.name not in holders]:
        raise DatasetError(
            f"missing are {_names(missing)}, {len(missing)} of {len(wanted)} groups; finish the parts that hold them, "
            "or name their folders"
        )
    useful = {holders[name] for name in names}
    if idle := [folder for folder in parts if folder not in useful]:
        raise DatasetError(f"{idle[0]}: holds no group of part {part.index}/{part.count}; leave it out")
    return holders


def _names(groups: Sequence[str]) -> str:
    return ", ".join(groups[:_NAMED]) + (", ..." if len(groups) > _NAMED else "")


def _refuse_damaged(folder: Path, report: GroupReport) -> None:
    """Sizes only: ``verify`` reads every byte."""
    for shard in report.shards:
        path = folder / SHARDS / shard.name
        size = path.stat().st_size if path.is_file() else None
        if size != shard.bytes:
            state = "it is missing" if size is None else f"found {size}"
            raise DatasetError(f"{path}: expected a shard of {shard.bytes} bytes, {state}; build the part again")


def _bring(source: Path, target: Path, put: Callable[[Path, Path], None]) -> None:
    """Put a file in its place by way of a name beside it; what is there already is replaced."""
    aside = target.with_name(f".{target.name}{PARTIAL}{os.getpid()}")
    try:
        aside.unlink(missing_ok=True)
        put(source.resolve(), aside)
        os.replace(aside, target)
    except OSError as error:
        raise SubgridError(f"{target}: cannot be made from {source} ({error.strerror})") from error
    finally:
        aside.unlink(missing_ok=True)  # a rename to another link of the same file leaves both


def _linked(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        target.symlink_to(source)


def _copied(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
