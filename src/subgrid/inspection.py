"""What a folder holds: raw steps, a data set, a build under way, a run, a prediction, and whatever else is ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from subgrid.errors import DatasetError, InputError
from subgrid.prediction.store import MANIFEST as PREDICTION
from subgrid.prediction.store import UNDER_WAY, read_prediction_manifest
from subgrid.records.blueprint import BUILD_FILE, read_blueprint
from subgrid.records.extract import MARK as EXTRACT
from subgrid.records.finish import STATISTICS_FILE
from subgrid.records.ledger import done_groups, plain
from subgrid.records.manifest import MANIFEST as DATASET
from subgrid.records.place import mark_of
from subgrid.records.pointer import read_pointer
from subgrid.records.reader import Dataset
from subgrid.records.store import as_store
from subgrid.report import FIGURES, PAGE
from subgrid.source.locations import Location, is_remote, shown
from subgrid.source.steps import pair
from subgrid.source.urls import local_path
from subgrid.statistics.table import Table, read_tables


def inspect(place: str | Path) -> dict[str, Any]:
    """Describe a folder, or a data set or raw steps at a URL or behind a pointer, as plain data.

    ``kind`` says what it is. Raises DatasetError when it is none of ours, InputError when it cannot be listed.
    """
    path = local_path(place)
    if is_remote(str(place)):
        return {DATASET: _dataset, BUILD_FILE: _unfinished}.get(mark_of(place), _raw)(str(place))
    if read_pointer(path):
        return _dataset(path)
    if "@" in path.name and not path.exists():  # RUN@NAME
        from subgrid.training.folder import followed

        return followed(path, _checkpoint)
    if not path.is_dir():
        raise DatasetError(f"{path}: expected a folder, found {'a file' if path.exists() else 'nothing'}")
    for names, describe in _MARKS.items():
        if all((path / name).exists() for name in names):
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


def _unfinished(place: Path | str) -> dict[str, Any]:
    store = as_store(place)
    blueprint = read_blueprint(store)
    done = len(done_groups(store, blueprint.groups))
    return {
        "kind": "build under way",
        "path": store.label(),
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


def _begun_prediction(path: Path) -> dict[str, Any]:
    written = sum(shard.stat().st_size for shard in (path / UNDER_WAY).iterdir())
    return {"kind": "prediction under way", "path": str(path), "bytes": written}


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
        found |= _learnt(folder.followed(path, checkpoint.read_card))
    return found


def _checkpoint(path: Path) -> dict[str, Any]:
    from subgrid.training import checkpoint

    card = checkpoint.read_card(path)
    return {"kind": "checkpoint", "path": str(path), **_learnt(card), "scores": card["scores"]}


def _learnt(card: Mapping[str, Any]) -> dict[str, Any]:
    rows, batch = card["recipe"]["training"]["rows"], card["recipe"]["training"]["batch"]
    return {
        "model": card["recipe"]["model"]["name"],
        "parameters": card["parameters"],
        "rows": card["rows"],
        "share_done": round(card["rows"] / (rows // batch * batch), 4),
        "data_digest": card["data_digest"],
        **({"provenance": list(card["provenance"].values())} if card.get("provenance") else {}),
    }


def _study(path: Path) -> dict[str, Any]:
    from subgrid.training import metrics

    lines = metrics.whole_lines(path / _STUDY)
    scores: dict[str, list[float]] = {}
    for line in lines:
        if (score := (line.get("scores") or {}).get("r2_294")) is not None:
            scores.setdefault(line["variant"], []).append(score)
    states = [line["status"] for line in lines]
    means = {variant: round(sum(found) / len(found), 4) for variant, found in scores.items()}
    counted = {name: states.count(name) for name in ("done", "failed")}
    return {"kind": "study", "path": str(path), **counted, "r2_294": means}


def _extract(path: Path) -> dict[str, Any]:
    return {"kind": "extract", "path": str(path)} | plain(path / EXTRACT)


def _report(path: Path) -> dict[str, Any]:
    figures = sorted({figure.stem for figure in (path / FIGURES).iterdir()})
    return {"kind": "report", "path": str(path), "page": str(path / PAGE), "figures": figures}


def _auxiliary(path: Path) -> dict[str, Any]:
    tables = read_tables(path / STATISTICS_FILE)
    split, table = next(iter(tables.items()))
    return {
        "kind": "auxiliary files",
        "path": str(path),
        "files": sorted(file.name for file in path.glob("*.nc")),
        "variable_set": table.variables.name,
        "rows": {name: one.rows for name, one in tables.items()},
        "statistics_of": split,
        "variables": table_rows(table),
        "constant": table.constant_columns(),
    }


_STUDY = "study.jsonl"
_MARKS: dict[tuple[str, ...], Callable[[Path], dict[str, Any]]] = {
    (DATASET,): _dataset,
    (BUILD_FILE,): _unfinished,
    (PREDICTION,): _prediction,
    (UNDER_WAY,): _begun_prediction,
    (_STUDY,): _study,
    ("checkpoint.json",): _checkpoint,
    (EXTRACT,): _extract,
    (PAGE, FIGURES): _report,
    (STATISTICS_FILE, "target_limits.nc"): _auxiliary,
}


def _raw(path: str | Path) -> dict[str, Any]:
    where, names = shown(str(path)), Location(str(path)).names()
    try:
        steps = pair(names, where)
    except InputError as error:
        raise DatasetError(f"{where}: holds nothing that subgrid writes ({error})") from error
    return {
        "kind": "raw steps",
        "path": where,
        "steps": len(steps),
        "first": steps[0].label,
        "last": steps[-1].label,
        "without_mlo": [step.label for step in steps if not step.mlo],
        "without_mli": [step.label for step in steps if not step.mli],
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
