"""What ``inspect`` found, for reading: tables of variables, members of an ensemble, the rest by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from subgrid.evaluation.blending import KINDS
from subgrid.inspection import table_rows
from subgrid.statistics.table import Table

_HEAD = ("variable", "levels", "unit", "min", "mean", "max", "std", "constant")


def table_text(table: Table) -> str:
    """Statistics by variable as lines of text."""
    return aligned([_HEAD, *([cell(row[key]) for key in _HEAD] for row in table_rows(table))])


def as_text(found: dict[str, Any]) -> str:
    """What ``inspect`` found, for reading."""
    tables = ("variables", "constant", "members", "blend")
    lines = [f"{key:13} {_short(value)}" for key, value in found.items() if key not in tables]
    if "members" in found:
        lines += [f"{'mean of':13} {len(found['members'])} networks, weights {blend_text(found['blend'])}"]
        lines += ["", weights_text(found["members"])]
    if "variables" in found:
        rows = [[cell(row[key]) for key in _HEAD] for row in found["variables"]]
        lines += ["", aligned([_HEAD, *rows])]
        if found["constant"]:
            lines += ["", f"{len(found['constant'])} constant columns: {_spans(found['constant'])}"]
    return "\n".join(lines)


def blend_text(blend: Mapping[str, Any]) -> str:
    """Where an ensemble's weights come from, in words."""
    words = {
        "equal": "equal",
        "given": "given",
        "least-squares": "fitted by least squares",
        "hill": "fitted by hill climbing",
    }
    text = words[blend["method"]]
    if fit := blend["fit"]:
        text += f" on {fit['truth']}, by {fit['by']}: {fit['rows']:,} rows, tested on {fit['test_rows']:,} others"
        one = fit["gain"].get("r2_294", {})
        if one.get("low") is not None:
            gain = one["fitted"] - one["equal"]
            text += f", r2_294 {gain:+.4f} against equal weights ({one['low']:+.4f} ... {one['high']:+.4f})"
    return text + (f"; taken over from {blend['weights_from']}" if blend["weights_from"] else "")


def weights_text(members: Sequence[Mapping[str, Any]]) -> str:
    """The members of an ensemble, numbered, and their weights: one line for all targets that share them."""
    grouped = any(one["group"] for one in members)
    heads = ("", "network", *(["group"] if grouped else []), "prediction")
    rows = [
        (str(place), network_text(one), *([one["group"]] if grouped else []), one["path"])
        for place, one in enumerate(members, 1)
    ]
    shared: dict[tuple[float, ...], list[str]] = {}
    for name in members[0]["weights"]:
        shared.setdefault(tuple(one["weights"][name] for one in members), []).append(name)
    lines = [("weight of", *(row[0] for row in rows))]
    for weights, names in shared.items():
        lines.append(
            ("all targets" if len(shared) == 1 else kinds_text(names), *(f"{weight:.3f}" for weight in weights))
        )
    return "\n".join([aligned([heads, *rows]), "", aligned(lines)])


def network_text(member: Mapping[str, Any]) -> str:
    """A member's run and checkpoint, short: the path of its prediction stands beside it."""
    return f"{Path(member['run']).name}@{member['checkpoint']}"


def kinds_text(targets: Sequence[str]) -> str:
    """Targets by the names of their kinds where a kind is complete, else by their own."""
    left, words = list(targets), []
    for kind, names in KINDS.items():
        if set(names) <= set(left):
            words.append(kind)
            left = [name for name in left if name not in names]
    return ", ".join([*words, *left])


def _spans(names: list[str]) -> str:
    """Column names with runs of levels drawn together: pbuf_CH4_27..59."""
    spans: list[tuple[str, int, int]] = []
    for name in names:
        stem, _, level = name.rpartition("_")
        if level.isdigit() and spans and spans[-1][0] == stem and spans[-1][2] == int(level) - 1:
            spans[-1] = (stem, spans[-1][1], int(level))
        else:
            spans.append((stem, int(level), int(level)) if level.isdigit() else (name, -1, -1))
    return ", ".join(
        stem if first < 0 else f"{stem}_{first}" + (f"..{last}" if last > first else "") for stem, first, last in spans
    )


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list):
        shown = ", ".join(_short(one) for one in value[:5])
        return (shown + (f" and {len(value) - 5} more" if len(value) > 5 else "")) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return cell(value)


def cell(value: Any) -> str:
    """A value in a table: four digits of a number, - for nothing."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, columns below one another."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                     for row in rows)  # fmt: skip
