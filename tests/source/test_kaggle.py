"""Kaggle's tables: the values that were written, ids that are numbers of rows, and what is refused by name."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from subgrid.errors import InputError
from subgrid.schema.variable_sets import variable_set
from subgrid.source import tables
from subgrid.source.kaggle import KaggleTable, _Seen

KAGGLE = variable_set("kaggle")


def read(path: Path, columns: list[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, rows and values of a whole table."""
    chunks = list(KaggleTable(str(path)).chunks(columns))
    ids = [one for chunk in chunks for one in chunk.ids]
    return ids, np.concatenate([chunk.row for chunk in chunks]), np.concatenate([chunk.values for chunk in chunks])


@pytest.mark.parametrize("block", [200_000, 1 << 24])
def test_values_are_the_bits_that_were_written(kaggle, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCK", block)
    ids, row, values = read(kaggle.folder / "test.csv", KAGGLE.input_columns)
    assert np.array_equal(row, kaggle.row) and ids[:2] == [f"test_{number}" for number in kaggle.row[:2]]
    assert values.tobytes() == kaggle.inputs.tobytes()
    _, row, values = read(kaggle.folder / "train.csv", KAGGLE.target_columns)
    assert np.array_equal(row, np.arange(len(kaggle.order)))
    assert values.tobytes() == kaggle.targets[kaggle.order].tobytes()


def test_parquet_is_the_same(kaggle, tmp_path: Path) -> None:
    columns = [[f"test_{number}" for number in kaggle.row], *kaggle.inputs.T.copy()]
    pq.write_table(pa.table(columns, names=["sample_id", *KAGGLE.input_columns]), tmp_path / "test.parquet")
    one, other = (read(path, KAGGLE.input_columns) for path in (tmp_path / "test.parquet", kaggle.folder / "test.csv"))
    assert one[0] == other[0] and np.array_equal(one[1], other[1]) and np.array_equal(one[2], other[2])


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("state_t_1,sample_id,state_t_0\n2,test_7,1\n4,test_5,3\n")
    table = KaggleTable(str(tmp_path / "a.csv"))
    (chunk,) = table.chunks(["state_t_0", "state_t_1"])
    assert (chunk.row.tolist(), chunk.values.tolist()) == ([7, 5], [[1, 2], [3, 4]])
    assert table.prefix == "test_" and table.names == ["state_t_1", "state_t_0"]


def test_a_real_sample_submission_is_read(climsim: Path) -> None:
    path = climsim / "kaggle" / "sample_submission_old.csv"
    ids, row, values = read(path, KAGGLE.target_columns)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    assert ids == [line[0] for line in lines[1:]] and row[0] == 169651
    assert KaggleTable(str(path)).names == lines[0][1:]
    assert values.tolist() == [[float(text) for text in line[1:]] for line in lines[1:]]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("sample_id,state_t_0,state_t_0", "'state_t_0' stand"),
        ("sample_id,sample_id,state_t_0", "'sample_id' stand"),
        ("id,state_t_0,state_t_1", "expected a column sample_id as in Kaggle's tables, found 'id', 'state_t_0'"),
    ],
)
def test_headers_that_are_none_of_kaggles_are_refused(header: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\ntest_1,1,1\n")
    with pytest.raises(InputError, match=message):
        KaggleTable(str(tmp_path / "a.csv"))


def test_missing_and_foreign_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sample_id,state_t_0,Unnamed: 0\ntest_1,1,1\n")
    table = KaggleTable(str(tmp_path / "a.csv"))
    with pytest.raises(InputError, match=r"misses 'state_u_3' and holds 'Unnamed: 0', which does not belong"):
        table.expect(["state_t_0", "state_u_3"])
    with pytest.raises(InputError, match=r"misses 'state_t_1', 'state_t_2'.* and 54 more and holds"):
        table.has(KAGGLE.input_columns[:60])
    assert not table.has(KAGGLE.target_columns)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["test_1", "2"], "expected a sample_id like test_123 like the first, found '2'"),
        (["test_1", "train_2"], "found 'train_2'"),
        (["test_1", ""], "found None"),
        (["test_1", "test_-2"], "found 'test_-2'"),
        (["test_1", "test_1.0"], r"found 'test_1\.0'"),
        (["17", "18"], "expected a sample_id like train_123 or test_456, found '17'"),
        (["test_9999999999"], "expected numbers of rows below 8589934592, found test_9999999999"),
        (["test_1", "test_2", "test_1"], "the row test_1 stands there twice"),
        (["test_1", "test_01"], "the row test_01 stands there twice"),
    ],
)
@pytest.mark.parametrize("block", [12, 1 << 24])
def test_ids_that_are_no_row_numbers_are_refused(
    ids: list[str], message: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BLOCK", block)
    (tmp_path / "a.csv").write_text("sample_id,state_t_0\n" + "".join(f"{one},1\n" for one in ids))
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.csv", [])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("nan", r"state_t_1 is nan in the row test_5 \(0 empty, 1 NaN and 0 infinite of 4 values"),
        ("", r"state_t_1 is empty in the row test_5 \(1 empty, 0 NaN and 0 infinite"),
        ("-inf", r"state_t_1 is -inf in the row test_5 \(0 empty, 0 NaN and 1 infinite"),
        ("1e999", r"state_t_1 is inf in the row test_5"),
    ],
)
def test_numbers_that_are_not_finite_are_refused(cell: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"sample_id,state_t_0,state_t_1\ntest_4,1,2\ntest_5,3,{cell}\n")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.csv", ["state_t_0", "state_t_1"])
    assert read(tmp_path / "a.csv", ["state_t_0"])[1].tolist() == [4, 5]  # a column that nobody asked for


def test_rows_seen_before_are_found_like_in_a_set() -> None:
    draw = np.random.default_rng(1)
    seen, known = _Seen(), set()
    for _ in range(50):
        row = np.concatenate(
            [draw.integers(0, 300, 20), draw.integers(0, 2**33, 20), draw.integers(2**20 - 5, 2**20 + 5, 3)]
        )
        expected = []
        for place, number in enumerate(row.tolist()):
            expected += [place] if number in known else []
            known.add(number)
        assert seen.add(row).tolist() == expected
