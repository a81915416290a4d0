"""What a report is asked about: folders of runs and predictions -> predictions with their truth, names and origins."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.columns import DatasetColumns, open_columns
from subgrid.prediction.predict import predict
from subgrid.prediction.store import MANIFEST, PredictionManifest, read_prediction_manifest
from subgrid.records.place import holds_dataset
from subgrid.records.reader import Dataset
from subgrid.schema.variable_sets import variable_set
from subgrid.training import checkpoint
from subgrid.training.folder import DATA, split_name

Progress = Callable[[str, str], AbstractContextManager[Callable[[int, int], None]]]
_STAGES = ("run", "prediction", "data", "source")


@dataclass(frozen=True)
class Subject:
    """One prediction to report on.

    Attributes:
        label: its name on the page, unique.
        prediction: its folder.
        truth: a data set or raw steps.
        split: of the truth, where it is known; None looks through all of it.
        run: the folder of the run it comes from, None where that is gone, went on, or there is none.
    """

    label: str
    prediction: Path
    truth: str
    split: str | None
    run: Path | None


def resolve(arguments: Sequence[str], truth: str | None, out: Path, progress: Progress) -> list[Subject]:
    """The subjects of ``RUN``, ``RUN@NAME``, ``PREDICTION`` or the folder of ``subgrid run``, each also ``NAME=PATH``.

    A run whose validation split was not predicted yet is predicted now, into ``out/predictions``.

    Raises:
        DatasetError: none of these; its data are not where they were; no validation split.
        SettingsError: two subjects with the same name, or a name without letters.
    """
    parsed = [_named(argument) for argument in arguments]
    labels = _labels([name for name, _ in parsed], [path for _, path in parsed])
    return [
        replace(_subject(path, truth, out / "predictions" / slug(label), progress), label=label)
        for label, (_, path) in zip(labels, parsed, strict=True)
    ]


def slug(label: str) -> str:
    """A label as part of a file name: lower-case letters, digits, hyphens; raises SettingsError if nothing is left."""
    found = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    if not found:
        raise SettingsError(f"the name {label!r} must hold a letter or a digit, for the names of files")
    return found


def _named(argument: str) -> tuple[str | None, str]:
    name, equals, path = argument.partition("=")
    return (None, argument) if not equals or not name or Path(argument).exists() else (name, path)


def _labels(names: Sequence[str | None], paths: Sequence[str]) -> list[str]:
    """Given names, else the last part of the path that says something; ``run`` and ``prediction`` do not."""
    labels = []
    for name, path in zip(names, paths, strict=True):
        folder, at = split_name(path) if not Path(path).is_dir() else (Path(path), "latest")
        parts = [part for part in folder.resolve().parts if part not in _STAGES]
        suffix = "" if at == "latest" else f" @{at}"
        labels.append(name or (parts[-1] if parts else "run") + suffix)
    slugs = [slug(label) for label in labels]
    double = [label for label, one in zip(labels, slugs, strict=True) if slugs.count(one) > 1]
    if double:
        raise SettingsError(
            f"two of the runs would be called {double[0]!r} on the page; name them: NAME=PATH, as in first={paths[0]}"
        )
    return labels


def _subject(path: str, truth: str | None, aside: Path, progress: Progress) -> Subject:
    folder = Path(path)
    if (folder / MANIFEST).exists():
        return _of_prediction(folder, truth)
    if (folder / "prediction" / MANIFEST).exists() and (folder / "run").is_dir():
        return _of_prediction(folder / "prediction", truth)
    if (folder / "run" / "latest").exists():
        return _of_run(str(folder / "run"), truth, aside, progress)
    run, _ = split_name(path)
    if not (run / "latest").exists() and not (run / "checkpoints").is_dir():
        raise DatasetError(
            f"{path}: expected a run, a prediction or a folder that subgrid run wrote, found "
            f"{'none of them' if folder.exists() else 'nothing'}"
        )
    return _of_run(path, truth, aside, progress)


def _of_prediction(folder: Path, truth: str | None) -> Subject:
    manifest = read_prediction_manifest(folder)
    found = truth or _input_of(folder, manifest)
    return Subject("", folder, found, _split(manifest, found), _origin(folder, manifest))


def _input_of(folder: Path, manifest: PredictionManifest) -> str:
    """What was predicted, where it was or beside the prediction."""
    for candidate in (manifest.input, str(folder.parent / "data")):
        if "://" in candidate or Path(candidate).exists():
            return candidate
    raise DatasetError(f"{folder}: it was made from {manifest.input}, which is not there; name its data with --truth")


def _split(manifest: PredictionManifest, truth: str) -> str | None:
    """The split of a data set that was predicted, recognised by its digest."""
    if not holds_dataset(truth):
        return None
    dataset = Dataset.open(truth)
    for split in dataset.splits:
        if DatasetColumns(dataset, split).digest == manifest.input_digest:
            return split
    return None


def _origin(folder: Path, manifest: PredictionManifest) -> Path | None:
    """The run, if it still holds the very checkpoint that predicted."""
    if Path(manifest.checkpoint).name != manifest.checkpoint or not manifest.checkpoint:
        return None  # an ensemble; and no name leads out of the folder
    for run in (Path(manifest.run), folder.parent / "run"):
        place = run / "checkpoints" / manifest.checkpoint
        with suppress(DatasetError):  # damaged, or of another version: the prediction can be shown without its run
            if place.is_dir() and checkpoint.identity(place) == manifest.checkpoint_digest:
                return run
    return None


def _of_run(path: str, truth: str | None, aside: Path, progress: Progress) -> Subject:
    emulator, info = checkpoint.load_emulator(path)  # all of it at once: a training that goes on may take it away
    run = info.path.parent.parent
    data = truth or _data_of(run, _first_digest(info.card))
    split = "validation" if holds_dataset(data) else None
    columns = open_columns(data, variable_set(info.card["variables"]), split)
    beside = run.parent / "prediction"
    if (beside / MANIFEST).exists():
        manifest = read_prediction_manifest(beside)
        if (manifest.checkpoint_digest, manifest.input_digest) == (info.digest, columns.digest):
            return Subject("", beside, data, split, run)
    with progress(f"predict {run}", "columns") as report:
        predict(emulator, info, columns, aside, progress=report)
    return Subject("", aside, data, split, run)


def _first_digest(card: Mapping[str, Any]) -> str:
    """Digest of the data set that the run's statistics and validation rows are of: the first one in its recipe."""
    return str(next(iter(card["data"].values())))


def _data_of(run: Path, digest: str) -> str:
    """The data set that a run was trained on: the one it noted, or the one beside it."""
    note = run / DATA
    noted = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    for candidate in filter(None, (noted, str(run.parent / "data"))):
        if holds_dataset(candidate) and Dataset.open(candidate).digest == digest:
            return candidate
    raise DatasetError(
        f"{run}: the data set with digest {digest[:16]} that it was trained on is not at "
        f"{noted or run.parent / 'data'}; name a data set with --truth"
    )
