"""Room for unpacked rows: as much as they need, refused when it is not there, and given back."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from subgrid.errors import SubgridError
from subgrid.records.unpacking import unpacked, unpacked_size
from subgrid.records.workers import Meter
from subgrid.schema.variable_sets import variable_set
from subgrid.source.arrays import ArrayPair
from subgrid.source.locations import Location
from subgrid.source.table_rows import TableRows

KAGGLE = variable_set("kaggle")


def blueprint(steps: int) -> SimpleNamespace:
    """As much of a blueprint as tells how many rows there are: blocks of 24."""
    plan = SimpleNamespace(training=("x",) * (steps - 1), validation=("y",))
    return SimpleNamespace(plan=plan, grid=SimpleNamespace(columns=24), variables=KAGGLE)


def test_only_parquet_is_unpacked() -> None:
    assert unpacked_size(TableRows("a.parquet"), blueprint(3)) == (72, 72 * 925 * 8)
    for source in (TableRows("a.csv"), ArrayPair(Path(), "train"), Location("raw")):
        assert unpacked_size(source, blueprint(3)) == (0, 0)
        with unpacked(source, blueprint(3), None, Meter(1, None)) as found:
            assert found is source


def test_too_little_room_is_told_before_anything_is_read(tmp_path: Path) -> None:
    steps = 2 * shutil.disk_usage(tmp_path).free // (24 * 925 * 8)
    with (
        pytest.raises(SubgridError, match=r"the rows of none\.parquet, unpacked, need .* --scratch, or take the csv"),
        unpacked(TableRows("none.parquet"), blueprint(min(steps, 10**9)), tmp_path, Meter(1, None)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
