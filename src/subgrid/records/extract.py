"""A data set as plain arrays or tables in physical units, in bounded memory: npy, zarr, parquet, csv.

    npy      train_input.npy, train_target.npy (ClimSim's pair), train_row.npy; val_... of the validation split
    zarr     train.zarr: input(row, input_column), target(row, target_column), row; columns by name
    parquet  train-00000.parquet ...: one file a shard; ``row`` and a column for every input and target
    kaggle   train.csv; test.csv, sample_submission.csv, solution.csv of the validation split (see ``kaggle_tables``)

Values are physical, without any normalisation. A file or store has its name only when it is whole; ``extract.json``
says what is extracted and, at the end, that it is complete. The same command again goes on behind the last whole file.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from subgrid.disk import locked, sync
from subgrid.errors import DatasetError, MissingExtraError, SettingsError, SubgridError
from subgrid.records.files import PARTIAL, write_json, write_whole
from subgrid.records.kaggle_tables import kaggle_files, write_kaggle_file
from subgrid.records.ledger import plain
from subgrid.records.reader import Batch, Dataset
from subgrid.records.splits import TRAINING
from subgrid.records.stream import as_batch

MARK = "extract.json"
FORMAT = "subgrid-extract/1"
_CHUNK = 4096  # rows at once
_ROW_GROUP = 8192  # rows of a group of a parquet file
_ONE_WORKER = {"threading.max_workers": 1, "async.concurrency": 1}
"""For zarr: a chunk is compressed by one thread anyway, and each further one would keep freed memory of its own."""

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class ExtractSettings:
    """What is extracted.

    Attributes:
        format: of the files.
        split: training or validation; all splits when None.
        single: float32 instead of float64. Cloud water and ice below 1e-38 become 0 then.
    """

    format: Literal["npy", "zarr", "parquet", "kaggle"] = "npy"
    split: str | None = None
    single: bool = False

    @property
    def dtype(self) -> np.dtype:
        """Of the values."""
        return np.dtype("<f4" if self.single else "<f8")


def extract(dataset: Dataset, out: Path, settings: ExtractSettings, progress: Report | None = None) -> list[Path]:
    """Extract a data set into the folder ``out``; returns the files and stores that are there then.

    Raises:
        DatasetError: no such split, or ``out`` holds something else.
        SettingsError: Kaggle's tables in float32, or another process is extracting into ``out``.
        MissingExtraError: zarr is not installed.
        SubgridError: the disk is too small.
    """
    if settings.single and settings.format == "kaggle":
        raise SettingsError("Kaggle's tables are float64: float32 cannot hold their cloud water; leave out --float32")
    splits = [settings.split] if settings.split else list(dataset.splits)
    total = sum(dataset.rows(split) for split in splits)
    mark = {"format": FORMAT, "data": dataset.digest, "variable_set": dataset.variables.name, "normalisation": "none",
            "units": "SI, as in the table of variables", **asdict(settings), "splits": splits}  # fmt: skip
    _refuse_strangers(out)
    if _complete(out, mark):
        return _found(out)
    with locked(out):
        if _complete(out, mark):
            return _found(out)
        write_json(out / MARK, {**mark, "complete": False})
        width = dataset.variables.input_width + dataset.variables.target_width
        _refuse_small_disk(out, total * width * settings.dtype.itemsize, settings.format)
        write = {"npy": _npy, "zarr": _zarr, "parquet": _parquet, "kaggle": _kaggle}[settings.format]
        done = 0
        for split in splits:
            for rows in write(dataset, split, out, settings):
                done += rows
                if progress:
                    progress(done, total)
        write_json(out / MARK, {**mark, "complete": True})
        return _found(out)


def _refuse_strangers(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out}: expected a folder to extract into, found a file")
    found = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.exists() else []
    if found and MARK not in found:
        raise DatasetError(f"{out}: expected an empty folder, found {', '.join(found[:5])}")


def _complete(out: Path, mark: dict[str, Any]) -> bool:
    """Whether all of it is there already; raises DatasetError where it is something else."""
    if not (out / MARK).exists():
        return False
    before = plain(out / MARK)
    complete = before.pop("complete", False)
    if before != mark:
        differing = sorted(key for key in mark if before.get(key) != mark[key])
        raise DatasetError(
            f"{out}: holds what was extracted otherwise ({', '.join(differing)} differ); use another folder"
        )
    return bool(complete)


def _found(out: Path) -> list[Path]:
    return sorted(path for path in out.iterdir() if path.name != MARK and not path.name.startswith("."))


def _refuse_small_disk(out: Path, size: int, kind: str) -> None:
    free = shutil.disk_usage(out).free + sum(path.stat().st_size for path in out.glob("*") if path.is_file())
    if kind == "npy" and size > free:  # the other two are compressed
        raise SubgridError(f"{out}: {size} bytes are to be written, {free} are free; make room or use --float32")


def _name(split: str) -> str:
    """``train`` and ``val``, as ClimSim calls them."""
    return "train" if split == TRAINING else "val"


def _values(dataset: Dataset, batch: Batch, settings: ExtractSettings) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a batch in physical units, (row, width): x * 2**k divided in float64."""
    variables = dataset.variables
    found = (
        np.ldexp(stored.astype(np.float64), -exponents).astype(settings.dtype, copy=False)
        for stored, exponents in (
            (batch.inputs, variables.input_exponents),
            (batch.targets, variables.target_exponents),
        )
    )
    return next(found), next(found)


def _npy(dataset: Dataset, split: str, out: Path, settings: ExtractSettings) -> Iterator[int]:
    rows, start, variables = dataset.rows(split), _name(split), dataset.variables
    shapes = {
        f"{start}_input.npy": ((rows, variables.input_width), settings.dtype),
        f"{start}_target.npy": ((rows, variables.target_width), settings.dtype),
        **({f"{start}_row.npy": ((rows,), np.dtype("<i8"))} if dataset.manifest.placed else {}),
    }
    if all((out / name).exists() for name in shapes):
        yield rows
        return
    asides = [out / f".{name}{PARTIAL}npy" for name in shapes]
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "wb")) for path in asides]
        for file, (shape, dtype) in zip(files, shapes.values(), strict=True):
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        for batch in dataset.scan(split, _CHUNK):
            for file, values in zip(files, (*_values(dataset, batch, settings), batch.row), strict=False):
                file.write(np.ascontiguousarray(values).data)
            yield len(batch.row)
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    for aside, name in zip(asides, shapes, strict=True):
        os.replace(aside, out / name)
    sync(out)


def _zarr(dataset: Dataset, split: str, out: Path, settings: ExtractSettings) -> Iterator[int]:
    try:
        import zarr
    except ImportError as error:
        raise MissingExtraError("--format zarr needs an optional library; pip install 'subgrid[zarr]'") from error
    with zarr.config.set(_ONE_WORKER):
        yield from _zarr_store(zarr, dataset, split, out, settings)


def _zarr_store(zarr: ModuleType, dataset: Dataset, split: str, out: Path, settings: ExtractSettings) -> Iterator[int]:
    rows, variables = dataset.rows(split), dataset.variables
    path = out / f"{_name(split)}.zarr"
    if path.exists():
        yield rows
        return
    aside = out / f".{path.name}{PARTIAL}zarr"
    shutil.rmtree(aside, ignore_errors=True)
    store = zarr.open_group(str(aside), mode="w", zarr_format=2)
    store.attrs.update({"data": dataset.digest, "normalisation": "none", "variable_set": variables.name})
    arrays = []
    for name, columns in (("input", variables.input_columns), ("target", variables.target_columns)):
        labels = np.array(columns)
        _zarr_array(store, f"{name}_column", labels.shape, labels.shape, labels.dtype, (f"{name}_column",))[:] = labels
        shape, chunks, axes = (rows, len(columns)), (_CHUNK, len(columns)), ("row", f"{name}_column")
        arrays.append(_zarr_array(store, name, shape, chunks, settings.dtype, axes))
    arrays.append(_zarr_array(store, "row", (rows,), (_CHUNK * 16,), np.dtype("<i8"), ("row",)))
    place = 0
    for batch in _even(dataset, split):
        for array, values in zip(arrays, (*_values(dataset, batch, settings), batch.row), strict=True):
            array[place : place + len(batch.row)] = values
        place += len(batch.row)
        yield len(batch.row)
    _sync_all(aside)
    os.replace(aside, path)
    sync(out)


def _sync_all(store: Path) -> None:
    """Wait until the files of a store and the names of its folders are on disk."""
    for folder, _, names in os.walk(store):
        for path in (*(Path(folder, name) for name in names), Path(folder)):
            sync(path)


def _zarr_array(
    store: Any, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: np.dtype, axes: tuple[str, ...]
) -> Any:
    chunks = tuple(max(1, min(chunk, size)) for chunk, size in zip(chunks, shape, strict=True))
    # Without a fill value: xarray takes what equals it for missing, and a zero is a value.
    array = store.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=None)
    array.attrs["_ARRAY_DIMENSIONS"] = list(axes)
    return array


def _even(dataset: Dataset, split: str) -> Iterator[Batch]:
    """Rows in stored order in batches that fill the chunks of an array, whatever the shards' sizes."""
    left: list[Batch] = []
    held = 0
    for batch in dataset.scan(split, _CHUNK):
        left, held = [*left, batch], held + len(batch.row)
        while held >= _CHUNK:
            whole = Batch(*(np.concatenate(values) for values in zip(*left, strict=True)))
            yield Batch(*(values[:_CHUNK] for values in whole))
            left, held = [Batch(*(values[_CHUNK:] for values in whole))], held - _CHUNK
    if held:
        yield Batch(*(np.concatenate(values) for values in zip(*left, strict=True)))


def _parquet(dataset: Dataset, split: str, out: Path, settings: ExtractSettings) -> Iterator[int]:
    shards = dataset.shards(split)
    for index, shard in enumerate(shards.shards):
        path = out / f"{_name(split)}-{index:05d}.parquet"
        if not path.exists():
            shards.ahead(range(index, min(index + 3, len(shards.shards))))
            records = shards.once(index)
            write_whole(path, partial(_write_table, dataset=dataset, records=records, settings=settings))
        yield shard.rows


def _write_table(path: Path, dataset: Dataset, records: np.ndarray, settings: ExtractSettings) -> None:
    import pyarrow
    from pyarrow import parquet

    variables = dataset.variables
    names = ["row", *variables.input_columns, *variables.target_columns]
    kind = pyarrow.from_numpy_dtype(settings.dtype)
    fields = [pyarrow.field(name, pyarrow.int64() if name == "row" else kind) for name in names]
    schema = pyarrow.schema(fields, {"data": dataset.digest, "normalisation": "none"})
    with parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for start in range(0, len(records), _ROW_GROUP):
            batch = as_batch(dataset.layout, records[start : start + _ROW_GROUP])
            inputs, targets = _values(dataset, batch, settings)
            arrays = [batch.row, *inputs.T, *targets.T]
            columns = [pyarrow.array(np.ascontiguousarray(values)) for values in arrays]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema), row_group_size=_ROW_GROUP)


def _kaggle(dataset: Dataset, split: str, out: Path, settings: ExtractSettings) -> Iterator[int]:
    for name, file in kaggle_files(split, dataset.variables).items():
        if not (out / name).exists():
            rows = (_values(dataset, batch, settings) for batch in dataset.scan(split, _CHUNK))
            write_kaggle_file(out / name, file, rows)
    yield dataset.rows(split)
