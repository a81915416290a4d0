"""Blocks of Kaggle's tables against Python's csv module; what is refused, and where it stands."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from subgrid.errors import InputError, SubgridError
from subgrid.schema.variable_sets import variable_set
from subgrid.source import tables
from subgrid.source.table_rows import TableRows

KAGGLE, COLUMNS = variable_set("kaggle"), 24
NAMES = [*KAGGLE.input_columns, *KAGGLE.target_columns]
Lines = list[list[str]]


def by_hand(path: Path) -> tuple[list[int], np.ndarray]:
    """Numbers of the ids and values, float64 (row, column of NAMES), as Python reads them."""
    with open(path, newline="") as file:
        lines = list(csv.DictReader(file))
    numbers = [int(line["sample_id"].split("_")[1]) for line in lines]
    return numbers, np.array([[float(line[name]) for name in NAMES] for line in lines])


def blocks_of(source: TableRows) -> Iterator[tuple[list[int], np.ndarray]]:
    """The same of every block, read from the last to the first."""
    steps, read = source.survey(KAGGLE, COLUMNS), source.reader(KAGGLE, COLUMNS)
    for step in reversed(steps):
        found = read(step)
        assert found.places is not None and (found.places[1] == -1).all() and (found.places[2] == -1).all()
        yield found.places[0].tolist(), np.concatenate([found.inputs, found.targets]).T


@pytest.fixture(scope="module")
def lines(kaggle) -> Lines:
    """Three blocks of train.csv, cell by cell, the header first."""
    with open(kaggle.folder / "train.csv", newline="") as file:
        return list(csv.reader(file))[: 1 + 3 * COLUMNS]


@pytest.fixture
def spoilt(lines: Lines, tmp_path: Path) -> Callable[..., TableRows]:
    """Writes the table with one cell replaced: by number of the line and name of the column."""

    def write(line: int = 0, column: str = "", text: str = "", end: str = "\n") -> TableRows:
        copy = [list(one) for one in lines]
        if line:
            copy[line - 1][copy[0].index(column)] = text
        path = tmp_path / "train.csv"
        path.write_text(end.join(",".join(one) for one in copy) + end, newline="")
        return TableRows(str(path))

    return write


@pytest.mark.parametrize("block", [50_000, 1 << 24])
@pytest.mark.parametrize("place", [0, 7])
def test_a_csv_file_is_what_python_reads(
    place: int, block: int, kaggle, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit; the ids in the first column and elsewhere, quoted, with the line ends of Windows."""
    monkeypatch.setattr(tables, "BLOCK", block)
    path = tmp_path / "train.csv"
    moved = [[*one[1 : 1 + place], f'"{one[0]}"', *one[1 + place :]] for one in lines]
    path.write_text("".join(",".join(one) + "\r\n" for one in moved), newline="")
    numbers, values = by_hand(path)
    done = []
    TableRows(str(path)).survey(KAGGLE, COLUMNS, lambda now, size: done.append((now, size)))
    assert done[-1] == (path.stat().st_size,) * 2
    found = list(blocks_of(TableRows(str(path))))[::-1]
    assert [number for one, _ in found for number in one] == numbers
    assert np.concatenate([one for _, one in found]).tobytes() == values.tobytes()


def test_parquet_is_unpacked_once(kaggle, lines: Lines, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    columns = {name: [line[place] for line in lines[1:]] for place, name in enumerate(lines[0])}
    kept = {name: cells if name == "sample_id" else np.array(cells, "f8") for name, cells in columns.items()}
    pq.write_table(pa.table(kept), path, row_group_size=50)
    source = TableRows(str(path))
    rows, width = len(lines) - 1, 1 + len(NAMES)
    assert source.unpacked_bytes(KAGGLE, rows) == rows * width * 8
    done = []
    ready = source.unpack(KAGGLE, tmp_path / "rows", lambda now, total: done.append((now, total)))
    assert (tmp_path / "rows").stat().st_size == rows * width * 8 and done[-1] == (rows, rows)
    found = list(blocks_of(ready))[::-1]
    assert np.array_equal([number for one, _ in found for number in one], [int(one[0][6:]) for one in lines[1:]])
    expected = np.column_stack([kept[name] for name in NAMES])
    assert np.concatenate([one for _, one in found]).tobytes() == expected.tobytes()
    (tmp_path / "rows").unlink()
    with pytest.raises(InputError, match="rows of .*train.parquet are not there .* --scratch"):
        list(blocks_of(ready))
    with pytest.raises(SubgridError, match="cannot be unpacked there"):
        source.unpack(KAGGLE, tmp_path / "none" / "rows")


def test_a_table_elsewhere_is_read_like_a_local_one(spoilt: Callable[..., TableRows]) -> None:
    local = spoilt()
    with fsspec.open("memory://tables/train.csv", "wb") as file:
        file.write(Path(local.place).read_bytes())
    source = TableRows("memory://tables/train.csv")
    for one, other in zip(blocks_of(local), blocks_of(source), strict=True):
        assert one[0] == other[0] and np.array_equal(one[1], other[1])
    with pytest.raises(InputError, match="memory://tables: expected one grid file .*--grid"):
        source.grid()


@pytest.mark.parametrize(
    ("line", "column", "text", "message"),
    [
        (30, "state_t_5", "warm", r"line 30 \(train_28\): expected a number for state_t_5, found 'warm'"),
        (30, "state_t_5", "", r"line 30: state_t_5 is empty in the row train_28 \(1 empty, 0 NaN"),
        (73, "cam_out_SOLS", "nan", r"line 73: cam_out_SOLS is nan in the row train_71 \(0 empty, 1 NaN"),
        (26, "ptend_u_0", "inf", r"line 26: ptend_u_0 is inf in the row train_24"),
        (26, "ptend_u_0", "1,2", r"line 26 \(train_24\) has 926 values where the first line names 925 columns"),
        (26, "sample_id", "test_24", "line 26: expected a sample_id like train_123 like the first, found 'test_24'"),
        (50, "sample_id", "train_3", "line 50: the row train_3 stands there twice"),
        (50, "sample_id", "train_3\n", "line 51: expected a sample_id like train_123 like the first, found ''"),
        (40, "state_t_5", "0.5", r"state_t must lie within 50 .* found 0\.5 .* 24 rows from id 24; values must be"),
        (1, "state_t_5", "state_t_6", "'state_t_6' stand"),
        (1, "state_t_5", "warmth", "misses 'state_t_5' and holds 'warmth'"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_column(
    line: int, column: str, text: str, message: str, spoilt: Callable[..., TableRows]
) -> None:
    with pytest.raises(InputError, match=message):
        list(blocks_of(spoilt(line, column, text)))


def test_a_file_that_is_cut_is_refused(spoilt: Callable[..., TableRows]) -> None:
    source = spoilt()
    path = Path(source.place)
    content, steps = path.read_bytes(), source.survey(KAGGLE, COLUMNS)
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match="the last line does not end with a line break; the file was cut"):
        source.survey(KAGGLE, COLUMNS)
    path.write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    with pytest.raises(InputError, match="71 rows are no multiple of the 24 columns"):
        source.survey(KAGGLE, COLUMNS)
    with pytest.raises(InputError, match="24 rows from line 50, .*the file has changed since"):
        source.reader(KAGGLE, COLUMNS)(steps[-1])


def test_names_decide(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    assert TableRows.find(str(tmp_path / "folder.csv")) is None and TableRows.find("train.csv.gz") is None
    found = TableRows.find("s3://bucket/some/train.parquet")
    assert found is not None and found.beside.url == "s3://bucket/some" and found.absolute() == found
    assert TableRows("train.csv").absolute().url == str(Path("train.csv").resolve())
    assert found.unpacked_bytes(KAGGLE, 1) == 8 * 925 and TableRows("a.csv").unpacked_bytes(KAGGLE, 1) == 0


def test_a_table_of_the_hub_is_that_of_one_commit(hub: Any, kaggle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads its blocks, in whatever process, opens it anew; what is pushed meanwhile is not read."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
    huggingface_hub.HfFileSystem.clear_instance_cache()
    hub.files, first = {"train.csv": (kaggle.folder / "train.csv").read_bytes()}, hub.commit
    found = TableRows.find("hf://datasets/LEAP/ClimSim_low-res/train.csv")
    assert found is not None and found.commit == found.beside.commit == first
    hub.older, hub.commit, hub.files = {first: hub.files}, "f" * 40, {"train.csv": b"sample_id\n"}
    huggingface_hub.HfFileSystem.clear_instance_cache()
    steps = found.survey(KAGGLE, COLUMNS)
    values = [found.reader(KAGGLE, COLUMNS)(step).inputs for step in steps]
    here = TableRows.find(str(kaggle.folder / "train.csv"))
    assert here is not None and here.commit == ""
    expected = [here.reader(KAGGLE, COLUMNS)(step).inputs for step in here.survey(KAGGLE, COLUMNS)]
    assert all(np.array_equal(one, other) for one, other in zip(values, expected, strict=True))
