"""Writing a prediction in bounded memory; the one that it replaces stays until the new one is whole."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from subgrid.disk import LOCK, locked, sync
from subgrid.errors import DatasetError
from subgrid.prediction.store import (
    MANIFEST,
    SHARD_START,
    SHARDS,
    UNDER_WAY,
    PredictionManifest,
    prediction_layout,
    read_prediction_manifest,
    shard_name,
)
from subgrid.records.example import pack
from subgrid.records.files import PARTIAL, write_json
from subgrid.records.ledger import Shard
from subgrid.records.shard import ShardWriter
from subgrid.schema.variable_sets import variable_set

_SHARD_ROWS = 16_384


def _others(folder: Path, known: Sequence[str], start: str | None = None) -> Iterator[str]:
    """What stands in a folder but for known names, names with a known start and files half-written."""
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder to write the prediction into, found a file")
    for path in folder.iterdir() if folder.exists() else ():
        ours = path.name in known or (start is not None and path.name.startswith(start))
        if not ours and PARTIAL not in path.name:
            yield path.name


def _first_number(shards: Path, rows: int) -> int:
    """Where shards of so many rows can be numbered from without touching those in a folder."""
    names = [path.stem.removeprefix(SHARD_START) for path in shards.glob(f"{SHARD_START}*.tfrecord")]
    there = [int(name) for name in names if name.isdecimal()]
    return 0 if min(there, default=rows) * _SHARD_ROWS >= rows else 1 + max(there)


class PredictionWriter:
    """Writes a prediction whose number of rows is known; memory does not grow with it.

    No other process writes into its folder until ``finish`` or ``abandon``. Raises SettingsError where one does
    already, DatasetError where the folder holds something else.
    """

    def __init__(self, out: Path, manifest: PredictionManifest) -> None:
        self.out, self.manifest = out, manifest
        variables = variable_set(manifest.variable_set)
        self.layout = prediction_layout(variables, manifest.rule, manifest.confidence)
        self._shards: list[Shard] = []
        self._writer: ShardWriter | None = None
        self._place = self._written = 0
        self._alone = ExitStack()
        self._refuse_strangers()
        self._alone.enter_context(locked(out))
        self._aside = out / UNDER_WAY  # a prediction that is there already stays until this one is whole
        self._tidy()
        self._aside.mkdir()
        self._first = _first_number(out / SHARDS, manifest.rows)

    def _refuse_strangers(self) -> None:
        shards = self.out / SHARDS
        strangers = sorted([*_others(self.out, (SHARDS, MANIFEST, LOCK)), *_others(shards, (), SHARD_START)])
        if strangers:
            raise DatasetError(
                f"{self.out}: expected an empty folder or a prediction, found {', '.join(strangers[:5])}"
            )

    def add(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Append rows; arrays by feature name, (row,) or (row, width)."""
        records = pack(self.layout, arrays)
        while records.shape[0]:
            writer = self._writer or self._open()
            take = min(records.shape[0], writer.size // self.layout.stride - self._place)
            writer.put(np.arange(self._place, self._place + take), records[:take])
            self._place += take
            self._written += take
            records = records[take:]
            if self._place * self.layout.stride == writer.size:
                self._close()

    def _open(self) -> ShardWriter:
        rows = min(_SHARD_ROWS, self.manifest.rows - self._written)
        path = self._aside / shard_name(self._first + len(self._shards))
        self._writer, self._place = ShardWriter(path, rows, self.layout.stride), 0
        return self._writer

    def _close(self) -> None:
        assert self._writer is not None
        name, size = self._writer.path.name, self._writer.size
        checksum = self._writer.finish()
        self._shards.append(
            Shard(name=name, split="prediction", rows=size // self.layout.stride, bytes=size, crc32c=checksum)
        )
        self._writer = None

    def finish(self) -> PredictionManifest:
        """Write the manifest: only now the folder is this prediction, and what was there before goes."""
        if self._writer is not None or self._written != self.manifest.rows:
            raise DatasetError(f"{self.out}: expected {self.manifest.rows} predicted rows, found {self._written}")
        shards = self.out / SHARDS
        shards.mkdir(exist_ok=True)
        for shard in self._shards:
            os.replace(self._aside / shard.name, shards / shard.name)
        sync(shards)
        done = self.manifest.model_copy(update={"shards": tuple(self._shards)})
        write_json(self.out / MANIFEST, done.model_dump())
        self.abandon()
        return done

    def abandon(self) -> None:
        """Remove what was written and is not part of the finished prediction; let others write here."""
        if self._writer is not None:
            self._writer.abandon()
        self._tidy()
        self._alone.close()

    def _tidy(self) -> None:
        """Remove what is half written, and shards that the manifest does not name."""
        shutil.rmtree(self._aside, ignore_errors=True)
        try:
            named = {shard.name for shard in read_prediction_manifest(self.out).shards}
        except DatasetError:
            if (self.out / MANIFEST).exists():
                return  # damaged, or of another version: its shards may be of use to somebody
            named = set()
        for path in (self.out / SHARDS).glob(f"{SHARD_START}*"):
            if path.name not in named:
                path.unlink()
