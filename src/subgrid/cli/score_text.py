"""Scores as lines of text."""

from collections.abc import Mapping
from typing import Any

_LARGE = 1e4  # decimals say nothing from here on
FIGURES = ("competition", "r2_308", "r2_294")


def figures(content: Any) -> str:
    """The three figures on one line."""
    return "   ".join(f"{name} {_number(content[name], '.4f')}" for name in FIGURES)


def sets(scores: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """The three figures of each validation set; with its name where there are several."""
    width = max(map(len, scores), default=0)
    return [f"{name:{width}}   {figures(found)}" if len(scores) > 1 else figures(found)
            for name, found in scores.items()]  # fmt: skip


def remarks(content: dict[str, Any]) -> str:
    """How many rows, and the columns that decide the figures or were left out."""
    below, undefined = content["below_zero"], content["undefined"]
    lines = [f"{content['rows']:,} rows"]
    if content["r2_294"] is not None:
        lines[0] += f"; {below['count']} of the columns of r2_294 are below 0 and count as 0"
    worst = list(below["columns"].items())[:5]
    lines += [f"  {name} {value:.3g}" for name, value in worst]
    if below["count"] > len(worst):
        lines.append(f"  ... and {below['count'] - len(worst)} more (all of them: subgrid score --json)")
    if undefined:
        lines.append(f"without variance in the truth, left out: {', '.join(undefined)}")
    return "\n".join(lines)


def whole(content: dict[str, Any]) -> str:
    """All that ``subgrid score`` prints: figures with intervals, remarks, both tables, the comparison."""
    parts = [_with_intervals(content), remarks(content), _by_variable(content["by_variable"])]
    if content["climsim"]:
        parts.append(_climsim(content["climsim"]))
    if content["ensemble"]:
        parts.append(_ensemble(content["ensemble"]))
    if "against" in content:
        parts.append(_against(content["against"]))
    return "\n\n".join(parts)


def _with_intervals(content: dict[str, Any]) -> str:
    lines = []
    for name in FIGURES:
        low, high = content["intervals"].get(name, (None, None))
        interval = "" if low is None else f"   95 % within {_number(low, '.4f')} ... {_number(high, '.4f')}"
        lines.append(f"{name:12}{_number(content[name], '.4f'):>9}{interval}")
    blocks = content["blocks"]
    if blocks["count"] < 2:
        lines.append(f"no intervals: the rows lie in one block of {blocks['days']} days, or their time is unknown")
    elif blocks["weak"]:
        lines.append(f"intervals are weak: only {blocks['count']} blocks of {blocks['days']} days to draw from")
    else:
        lines.append(f"intervals from {blocks['count']} blocks of {blocks['days']} days")
    return "\n".join(lines)


def _by_variable(table: dict[str, dict[str, Any]]) -> str:
    keys = ("r2", "mae", "rmse", "bias")
    lines = [f"{'variable':16}" + "".join(f"{key:>12}" for key in keys) + "   unit"]
    for name, row in table.items():
        cells = "".join(f"{_number(row[key], '.4g'):>12}" for key in keys)
        lines.append(f"{name:16}{cells}   {row.get('unit', '')}")
    return "\n".join(lines)


def _climsim(climsim: dict[str, Any]) -> str:
    keys = ("r2", "pooled_r2", "mae", "rmse", "bias")
    fewest, most = climsim["samples_a_column"]
    lines = [f"{'ClimSim, W/m2':16}" + "".join(f"{key:>12}" for key in keys)]
    for name, row in climsim["by_variable"].items():
        cells = {key: _number(row[key], ".4g") for key in keys}
        if climsim["columns_with_few"]:
            cells["r2"] = f"({cells['r2']})"
        lines.append(f"{name:16}" + "".join(f"{cell:>12}" for cell in cells.values()))
    lines.append(f"means over columns of scores over time, {fewest}-{most} samples a column")
    if climsim["columns_with_few"]:
        lines.append(f"{climsim['columns_with_few']} columns have fewer than 30 samples: their R2 says little, "
                     "look at pooled_r2")  # fmt: skip
    return "\n".join(lines)


def _ensemble(table: dict[str, dict[str, Any]]) -> str:
    keys = ("crps", "spread", "skill", "spread_skill")
    lines = [f"{'ensemble':16}" + "".join(f"{key:>14}" for key in keys)]
    lines += [f"{name:16}" + "".join(f"{_number(row[key], '.4g'):>14}" for key in keys) for name, row in table.items()]
    return "\n".join(
        [*lines, "spread_skill is 1 where the truth is like one more member, less where members agree too much"]
    )


def _against(against: dict[str, Any]) -> str:
    lines = [f"better than {against['prediction']} by (below 0 is worse)"]
    for name, row in against["differences"].items():
        low, high = row["interval"]
        interval = "" if low is None else f"   95 % within {_number(low, '+.4f')} ... {_number(high, '+.4f')}"
        lines.append(f"{name:16}{_number(row['difference'], '+.4f'):>9}{interval}")
    lines.append("of a variable: the mean of max(R2, 0) over its levels of r2_294, not the r2 above")
    return "\n".join(lines)


def _number(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    return format(value, form if abs(value) < _LARGE else ".3g")
