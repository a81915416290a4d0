"""What a folder holds: raw steps, a data set, a build under way, a run, a prediction or the chain of all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import DatasetError, InputError
from subgrid.evaluation.blending import KINDS
from subgrid.prediction.store import MANIFEST as PREDICTION
from subgrid.prediction.store import read_prediction_manifest
from subgrid.records.blueprint import BUILD_FILE, read_blueprint
from subgrid.records.ledger import done_groups, plain
from subgrid.records.manifest import MANIFEST as DATASET
from subgrid.records.place import holds_dataset
from subgrid.records.pointer import read_pointer
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location, is_remote, shown
from subgrid.source.steps import pair
from subgrid.statistics.table import Table

_HEAD = ("variable", "levels", "unit", "min", "mean", "max", "std", "constant")


def inspect(place: str | Path) -> dict[str, Any]:
    """Describe a folder, or a data set or raw steps at a URL or behind a pointer, as plain data.

    ``kind`` says what it is. Raises DatasetError when it is none of ours, InputError when it cannot be listed.
    """
    if is_remote(str(place)) or read_pointer(Path(place)):
        return _dataset(place) if holds_dataset(place) else _raw(place)
    path = Path(place)
    if not path.is_dir():
        raise DatasetError(f"{path}: expected a folder, found {'a file' if path.exists() else 'nothing'}")
    for name, describe in ((DATASET, _dataset), (BUILD_FILE, _unfinished), (PREDICTION, _prediction)):
        if (path / name).exists():
            return describe(path)
    if found := _chain(path):
        return found
    if (path / "recipe.yaml").exists():
        return _run(path)
    return _raw(path)


def _chain(path: Path) -> dict[str, Any]:
    """What ``subgrid run`` has made so far; empty for a folder that is no chain."""
    made = {"data": (DATASET, BUILD_FILE), "run": ("recipe.yaml",), "prediction": (PREDICTION,)}
    parts = {
        folder: inspect(path / folder)
        for folder, names in made.items()
        if any((path / folder / name).exists() for name in names)
    }
    if len(parts) < 2:
        return {}
    scores = plain(path / "score.json") if (path / "score.json").exists() else {}
    figures = {name: scores[name] for name in ("competition", "r2_308", "r2_294") if name in scores}
    shown = ("kind", "digest", "rows", "share_done", "model", "parameters", "latest", "finished", "checkpoint")
    short = {folder: {key: part[key] for key in shown if key in part} for folder, part in parts.items()}
    return {"kind": "chain", "path": str(path), **short, "score": figures}


def _dataset(path: str | Path) -> dict[str, Any]:
    dataset = Dataset.open(path)
    manifest = dataset.manifest
    return {
        "kind": "data set",
        "path": str(dataset.folder),
        "digest": manifest.digest,
        "rows": dataset.splits,
        "shards": {split: len(dataset.shards(split).shards) for split in dataset.splits},
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "source": manifest.source,
        "variable_set": manifest.variable_set,
        "stored_as": manifest.features["inputs"][0],
        "grid_columns": manifest.columns,
        "split": manifest.split,
        "seed": manifest.seed,
        "skipped": list(manifest.skipped),
        "dropped": manifest.dropped,
        "flushed": manifest.flushed,
        "fill": manifest.fill,
        "other_time": manifest.other_time,
        "licence": manifest.licence,
        "created": manifest.created,
        "program": manifest.program,
        "variables": table_rows(dataset.table("training")),
        "constant": dataset.table("training").constant_columns(),
    }


def _unfinished(path: Path) -> dict[str, Any]:
    blueprint = read_blueprint(path)
    done = len(done_groups(path, blueprint.groups))
    return {
        "kind": "build under way",
        "path": str(path),
        "groups_done": done,
        "groups": len(blueprint.groups),
        "share_done": round(done / len(blueprint.groups), 4),
        "variable_set": blueprint.variables.name,
        "split": blueprint.plan.split,
        "steps": {"training": len(blueprint.plan.training), "validation": len(blueprint.plan.validation)},
    }


def _prediction(path: Path) -> dict[str, Any]:
    manifest = read_prediction_manifest(path).model_dump()
    hidden = {"shards", "scale", *(("run", "checkpoint") if manifest["members"] else ("members", "blend"))}
    hidden |= {name for name in ("ids", "provenance") if not manifest[name]}
    shown = {key: value for key, value in manifest.items() if key not in hidden}
    return {"kind": "prediction", "path": str(path), **shown}


def _run(path: Path) -> dict[str, Any]:
    from subgrid.training import checkpoint, folder, metrics

    latest = folder.read_pointer(path, "latest")
    lines = metrics.whole_lines(path / "metrics.jsonl")
    scored = [line for line in lines if line.get("event") == "sub_epoch"]
    found: dict[str, Any] = {
        "kind": "run",
        "path": str(path),
        "latest": latest,
        "best": folder.read_pointer(path, "best"),
        "checkpoints": folder.checkpoint_names(path),
        "finished": any(line.get("event") == "finished" for line in lines),
        "last": scored[-1] if scored else None,
    }
    if latest:
        card = checkpoint.read_card(folder.find_checkpoint(path))
        rows, batch = card["recipe"]["training"]["rows"], card["recipe"]["training"]["batch"]
        found |= {
            "model": card["recipe"]["model"]["name"],
            "parameters": card["parameters"],
            "rows": card["rows"],
            "share_done": round(card["rows"] / (rows // batch * batch), 4),
            "data_digest": card["data_digest"],
            **({"provenance": list(card["provenance"].values())} if card.get("provenance") else {}),
        }
    return found


def _raw(path: str | Path) -> dict[str, Any]:
    where, names = shown(str(path)), Location(str(path)).names()
    try:
        steps = pair(names, where)
    except InputError as error:
        raise DatasetError(f"{where}: holds no raw steps, data set, build, run or prediction ({error})") from error
    return {
        "kind": "raw steps",
        "path": where,
        "steps": len(steps),
        "first": steps[0].label,
        "last": steps[-1].label,
        "without_mlo": [step.label for step in steps if step.mlo is None],
    }


def table_rows(table: Table) -> list[dict[str, Any]]:
    """A table of statistics with one entry a variable, pooled over its levels."""
    rows = []
    for item, moments in table.per_variable().values():
        pooled = moments.pooled([item.levels])
        values = {"min": pooled.minimum, "mean": pooled.mean, "max": pooled.maximum, "std": pooled.std}
        plain = {key: float(value[0]) if np.isfinite(value[0]) else None for key, value in values.items()}
        constant = int(moments.constant.sum())
        rows.append({"variable": item.name, "levels": item.levels, "unit": item.unit, **plain, "constant": constant})
    return rows


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
