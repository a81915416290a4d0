"""Every byte of a data set against its manifest; all that is wrong is named, not only the first."""

from collections.abc import Callable
from pathlib import Path

from subgrid.errors import DatasetError
from subgrid.netcdf import opened
from subgrid.records.blueprint import BUILD_FILE, SHARDS
from subgrid.records.build import STATISTICS_FILE
from subgrid.records.place import Folder
from subgrid.records.reader import Dataset
from subgrid.records.shards import MEND
from subgrid.records.transfer import TransferError


def verify(folder: str | Path, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Check manifest, grid, statistics and all shards; returns what is wrong, one line each, empty when all is well.

    Raises DatasetError when the folder is no data set at all.
    """
    dataset = Dataset.open(folder)
    wrong = []
    for check in (lambda: dataset.grid, lambda: _check_statistics(dataset)):
        try:
            check()
        except (DatasetError, ValueError) as error:
            wrong.append(str(error))
    mend = "build the data set again"
    if isinstance(dataset.place, Folder) and (Path(dataset.folder) / BUILD_FILE).exists():
        mend = f"subgrid verify {dataset.folder} --repair, and then the same build, make this shard anew"
    total = sum(shard.bytes for shard in dataset.manifest.shards)
    done = 0
    for shard in dataset.manifest.shards:
        try:
            dataset.place.check(shard, dataset.layout)
        except (DatasetError, TransferError) as error:
            wrong.append(str(error).replace(MEND, mend))
        done += shard.bytes
        if progress:
            progress(done, total)
    known = {shard.name for shard in dataset.manifest.shards}
    strangers = dataset.place.strangers(known)
    return wrong + [f"{dataset.place.label}/{SHARDS}/{name}: not in the manifest" for name in strangers]


def _check_statistics(dataset: Dataset) -> None:
    for split, rows in dataset.splits.items():
        if (found := dataset.table(split).rows) != rows:
            raise DatasetError(f"{dataset.folder}: the statistics of {split} count {found} rows, there are {rows}")
    with dataset.place.local(STATISTICS_FILE) as path, opened(path) as file:
        if getattr(file, "dataset", None) != dataset.digest:
            raise DatasetError(f"{path}: the statistics are those of another data set")
