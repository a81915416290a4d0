"""What a published folder holds: the files that belong to it and no others, with the file that makes it whole last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import google_crc32c

from subgrid.errors import DatasetError
from subgrid.prediction.store import MANIFEST as PREDICTION
from subgrid.prediction.store import PredictionManifest, read_prediction_manifest, shard_name
from subgrid.records.blueprint import BUILD_FILE, GRID_FILE, PARTS, PLAN_FILE, SHARDS, SOURCE_FILE
from subgrid.records.build import STATISTICS_FILE
from subgrid.records.files import as_json
from subgrid.records.ledger import Shard
from subgrid.records.manifest import MANIFEST as DATASET
from subgrid.records.manifest import Manifest, read_manifest
from subgrid.training import folder as run_folder

Content = Path | bytes
LATEST = "latest"
_PIECE = 4 << 20


@dataclass(frozen=True)
class Bundle:
    """Files to publish.

    Attributes:
        kind: ``data set``, ``run`` or ``prediction``.
        path: the folder.
        files: by name, in the order of sending; the last one makes the others whole.
        checksums: CRC32C of the files whose manifest knows it.
        manifest: of a data set or a prediction.
    """

    kind: str
    path: Path
    files: Mapping[str, Content]
    checksums: Mapping[str, int]
    manifest: Manifest | PredictionManifest | None = None

    def beside(self, files: Mapping[str, bytes]) -> "Bundle":
        """The bundle with more files, sent first."""
        return replace(self, files={**files, **self.files})


def size_of(content: Content) -> int:
    """Bytes of a file."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def pieces_of(content: Content) -> Iterator[bytes]:
    """The bytes of a file, some at a time."""
    if isinstance(content, bytes):
        yield content
        return
    with open(content, "rb") as file:
        while data := file.read(_PIECE):
            yield data


def crc32c_of(content: Content) -> int:
    """CRC32C of a file."""
    found = google_crc32c.Checksum()
    for data in pieces_of(content):
        found.update(data)
    return int.from_bytes(found.digest(), "big")


def hashed(content: Content, digest: Any) -> Any:
    """A digest of ``hashlib`` with the bytes of a file added."""
    for data in pieces_of(content):
        digest.update(data)
    return digest


def bundle(path: Path) -> Bundle:
    """The files of a data set, a run or a prediction.

    Raises DatasetError when the folder is none of them, is unfinished, or lacks a file or part of one.
    """
    if (path / DATASET).exists() or (path / BUILD_FILE).exists():
        return _dataset(path)
    if (path / PREDICTION).exists():
        return _prediction(path)
    if (path / LATEST).exists() and (path / "recipe.yaml").exists():
        return _run(path)
    raise DatasetError(
        f"{path}: expected a finished data set, a run with a checkpoint or a prediction, found none of them"
    )


def _dataset(path: Path) -> Bundle:
    manifest = read_manifest(path)
    of_build = [name for name in (BUILD_FILE, PLAN_FILE, SOURCE_FILE) if (path / name).exists()]
    parts = sorted(f"{PARTS}/{item.name}" for item in (path / PARTS).glob("[!.]*.json"))
    shards = _shards(path, manifest.shards)
    names = [*of_build, GRID_FILE, STATISTICS_FILE, *parts, *shards, DATASET]
    return Bundle("data set", path, _present(path, names), shards, manifest)


def _prediction(path: Path) -> Bundle:
    """Shards numbered from 0 on, whatever the prediction replaced here: so it replaces that at the target too."""
    manifest = read_prediction_manifest(path)
    _shards(path, manifest.shards)
    names = [shard_name(number) for number in range(len(manifest.shards))]
    named = tuple(replace(shard, name=name) for shard, name in zip(manifest.shards, names, strict=True))
    files = {f"{SHARDS}/{name}": path / SHARDS / shard.name for shard, name in zip(manifest.shards, names, strict=True)}
    text = as_json(manifest.model_copy(update={"shards": named}).model_dump())
    checksums = {f"{SHARDS}/{shard.name}": shard.crc32c for shard in named}
    return Bundle("prediction", path, {**files, PREDICTION: text.encode()}, checksums, manifest)


def _run(path: Path) -> Bundle:
    """Recipe, metrics and every whole checkpoint; the pointers last."""
    names = [name for name in ("recipe.yaml", "metrics.jsonl") if (path / name).exists()]
    for name in run_folder.checkpoint_names(path):
        files = sorted(item.name for item in (path / "checkpoints" / name).iterdir() if item.is_file())
        names += [f"checkpoints/{name}/{file}" for file in files]
    names += [name for name in reversed(run_folder.POINTERS) if (path / name).exists()]
    return Bundle("run", path, _present(path, names), {})


def _shards(path: Path, shards: tuple[Shard, ...]) -> dict[str, int]:
    for shard in shards:
        file = path / SHARDS / shard.name
        size = file.stat().st_size if file.is_file() else None
        if size != shard.bytes:
            raise DatasetError(f"{file}: expected {shard.bytes} bytes, found {size}; build the data set again")
    return {f"{SHARDS}/{shard.name}": shard.crc32c for shard in shards}


def _present(path: Path, names: list[str]) -> dict[str, Content]:
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise DatasetError(f"{path}: lacks {', '.join(missing[:5])}; make it again before it is published")
    return {name: path / name for name in names}
