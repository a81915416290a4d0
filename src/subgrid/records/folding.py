"""Statistics of data sets: folded together, and set against those of others."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from subgrid.errors import DatasetError
from subgrid.records.place import holds_dataset
from subgrid.records.reader import Dataset
from subgrid.source.urls import local_path, shown
from subgrid.statistics.compare import Comparison, compare_published, compare_tables
from subgrid.statistics.published import PublishedTable, is_published, read_published
from subgrid.statistics.table import Table, read_table


def folded_table(datasets: Sequence[str | Path], split: str) -> Table:
    """Statistics of one split of several data sets together; raises DatasetError for differing variable sets."""
    tables = [Dataset.open(path).table(split) for path in datasets]
    for path, table in zip(datasets, tables, strict=True):
        if table.variables != tables[0].variables:
            raise DatasetError(
                f"{shown(str(path))}: holds the variable set {table.variables.name!r}, {shown(str(datasets[0]))} holds "
                f"{tables[0].variables.name!r}; only equal sets can be folded"
            )
    return sum(tables[1:], tables[0])


def differences(table: Table, other: str | Path, split: str) -> dict[str, Any]:
    """How far a table lies from a file of ours, a data set or ClimSim's published tables, as plain data."""
    ours = holds_dataset(other)
    if not ours and is_published(local_path(other)):
        published = read_published(local_path(other), table.variables.inputs)
        tables = [_difference(compare_published(table, one), one) for one in published.tables]
        return {"other": str(other), "split": split, "tables": tables, "left_out": published.left_out}
    there = Dataset.open(other).table(split) if ours else read_table(local_path(other), split)
    found = _difference(compare_tables(table, there), None)
    return {"other": shown(str(other)), "split": split, "tables": [found], "left_out": {}}


def _difference(found: Comparison, published: PublishedTable | None) -> dict[str, Any]:
    files, pooled = (list(published.files), published.pooled) if published else ([], False)
    return {"files": files, "pooled": pooled, **asdict(found)}
