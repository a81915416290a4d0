"""What ``subgrid stats`` prints: moments, or how far they lie from others; as lines of text or as JSON."""

import math
from typing import TYPE_CHECKING, Any

from subgrid.cli import terminal

if TYPE_CHECKING:
    from subgrid.statistics.table import Table


def show(table: "Table", split: str, other: str | None, as_json: bool) -> None:
    """Print a table, or with ``other`` its differences from the one that is there."""
    from subgrid.cli.folder_text import table_text
    from subgrid.inspection import table_rows
    from subgrid.records.folding import differences

    if other is not None:
        found = differences(table, other, split)
        terminal.as_json(_plain(found)) if as_json else print(difference_text(found))
    elif as_json:
        content = {"split": split, "rows": table.rows, "variables": table_rows(table)}
        terminal.as_json({**content, "constant": table.constant_columns()})
    else:
        print(table_text(table))


def difference_text(found: dict[str, Any]) -> str:
    """What ``records.folding.differences`` found, for reading."""
    left_out = [f"{name} is not compared: {reason}" for name, reason in found["left_out"].items()]
    parts = [_table(one) for one in found["tables"]]
    return "\n\n".join([*parts, *left_out])


def _table(one: dict[str, Any]) -> str:
    from subgrid.cli.folder_text import aligned, cell

    rows = one["largest"]
    head = ("largest relative difference", *next(iter(rows.values())))
    lines = [f"{', '.join(one['files'])} ({'over all' if one['pooled'] else 'by'} levels)"] if one["files"] else []
    lines.append(aligned([head, *((name, *map(cell, largest.values())) for name, largest in rows.items())]))
    for words, names in (("not held there", one["not_held"]), ("only there", one["not_ours"])):
        if names:
            lines.append(f"{words}: {', '.join(names)}")
    for name, statistics in one["filled"].items():
        lines.append(f"{name}: the {', '.join(statistics)} there count fill values in; not compared")
    return "\n".join(lines)


def _plain(found: Any) -> Any:
    """Without infinities, which JSON does not have: what only one side has seen becomes the text "inf"."""
    if isinstance(found, dict):
        return {key: _plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(value) for value in found]
    return "inf" if isinstance(found, float) and math.isinf(found) else found
