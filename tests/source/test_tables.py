"""Tables as streams: numbers as Python reads them, whatever the blocks; what is cut or is no number is refused."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import InputError
from subgrid.source import tables
from subgrid.source.tables import CsvTable, ParquetTable, is_table, open_table


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def numbers(path: Path, names: list[str]) -> np.ndarray:
    """All values of some columns, (row, column)."""
    parts = [
        np.stack([batch.column(name).to_numpy() for name in names], 1)
        for batch in open_table(str(path)).batches([], names)
    ]
    return np.concatenate(parts)


FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=0, max_value=2.3e-308),  # denormals
    st.integers(0, 2**52).map(lambda word: struct.unpack("<d", struct.pack("<Q", word))[0]),
)
TEXTS = st.one_of(
    FLOATS.map(repr),
    st.tuples(FLOATS, st.sampled_from(["%.17g", "%.16e", "%.40e", "%.3e", "%+.17g"])).map(
        lambda pair: pair[1] % pair[0]
    ),
    st.from_regex(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(st.lists(TEXTS, min_size=1, max_size=30))
def test_numbers_are_those_of_python(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "floats.csv"
    path.write_text("a\n" + "".join(f"{text}\n" for text in texts))
    assert [bits(value) for value in numbers(path, ["a"])[:, 0]] == [bits(float(text)) for text in texts]


@pytest.mark.parametrize("text", ["1e-316", "-4.9406564584124654e-324", "2.2250738585072011e-308", "1e23", "-0.0"])
def test_numbers_that_readers_get_wrong(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"a\n{text}\n")
    assert bits(numbers(tmp_path / "a.csv", ["a"])[0, 0]) == bits(float(text))


@pytest.fixture(params=["csv", "parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A file of 200 rows, a column of text and three of numbers, and the numbers."""
    values = np.random.default_rng(2).normal(size=(200, 3)) * 10.0 ** np.arange(-200, 0)[:, None]
    path = tmp_path / f"table.{request.param}"
    if request.param == "csv":
        lines = [f"r{row},{','.join(map(repr, line))}" for row, line in enumerate(values.tolist())]
        path.write_text("id,a,b,c\n" + "\n".join(lines) + "\n")
    else:
        columns = {
            "id": [f"r{row}" for row in range(200)],
            **{name: values[:, place] for place, name in enumerate("abc")},
        }
        pq.write_table(pa.table(columns), path, row_group_size=70)
    return path, values


@pytest.mark.parametrize("block", [70, 500, 1 << 24])
def test_blocks_leave_no_trace(table, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path, values = table
    monkeypatch.setattr(tables, "BLOCK", block)
    opened = open_table(str(path))
    batches = list(opened.batches(["id"], ["c", "a"]))
    assert (len(batches) > 5) == (block < 1000)
    assert [batch.column_names for batch in batches] == [["id", "c", "a"]] * len(batches)
    whole = pa.concat_tables(batches)
    assert whole["id"].to_pylist() == [f"r{row}" for row in range(200)]
    assert np.array_equal(np.stack([whole["c"], whole["a"]], 1), values[:, [2, 0]])
    done = []
    assert opened.survey(lambda now, size: done.append((now, size))).rows == 200
    assert done[-1] == (path.stat().st_size, path.stat().st_size)


def test_identity_is_of_the_bytes(table, tmp_path: Path) -> None:
    path, _ = table
    before = open_table(str(path)).survey().digest
    copy = path.with_name(f"elsewhere{path.suffix}")
    copy.write_bytes(path.read_bytes())
    assert open_table(str(copy)).survey().digest == before
    data = bytearray(path.read_bytes())
    data[100] ^= 1  # the size stays
    copy.write_bytes(data)
    assert open_table(str(copy)).survey().digest != before


def test_windows_lines_marks_and_quotes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeff"id","a"\r\n"r0",1.5\r\nr1,-2\r\n'.encode())
    (batch,) = open_table(str(path)).batches(["id"], ["a"])
    assert batch.to_pydict() == {"id": ["r0", "r1"], "a": [1.5, -2.0]}


def test_an_empty_cell_is_null(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,a\nr0,\n,2\n")
    (batch,) = open_table(str(tmp_path / "a.csv")).batches(["id"], ["a"])
    assert batch.to_pydict() == {"id": ["r0", None], "a": [None, 2.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,a\nr0,1\nr1,2", "the last line does not end with a line break; the file was cut"),
        ("id,a\nr0,1\nr1\n", r"line 3 \(r1\) has 1 values where the first line names 2 columns"),
        ("id,a\nr0,1,2\n", r"line 2 \(r0\) has 3 values"),
        ("id,a\nr0,1\nr1,x1\n", r"line 3 \(r1\): expected a number for a, found 'x1'"),
        ("id,a\nr0,1\n\nr1,2\n", "lines 2 to 4 hold 2 rows; empty lines"),
        ("id,a\nr0,1\n\n", "lines 2 to 3 hold 1 rows; empty lines"),
        ("id,a", "expected a line of column names, found 'id,a' without"),
        ("", "expected a line of column names, found ''"),
    ],
)
def test_damaged_text_is_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(open_table(str(path)).batches(["id"], ["a"]))


@pytest.mark.parametrize("block", [16, 40, 1 << 24])
def test_lines_are_counted_over_blocks(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCK", block)
    (tmp_path / "a.csv").write_text("id,a\n" + "".join(f"r{row},1\n" for row in range(20)) + "r20,?\n")
    with pytest.raises(InputError, match=r"line 22 \(r20\)"):
        list(open_table(str(tmp_path / "a.csv")).batches(["id"], ["a"]))


def test_a_cut_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,a\nr0,1.25")
    with pytest.raises(InputError, match="the file was cut"):
        open_table(str(tmp_path / "a.csv")).survey()


def test_every_place_of_a_cut_is_refused_or_loses_whole_lines(tmp_path: Path) -> None:
    text = "id,a\nr0,1.5\nr1,2.5\n"
    for size in range(len(text)):
        (tmp_path / "a.csv").write_text(text[:size])
        try:
            rows = sum(batch.num_rows for batch in open_table(str(tmp_path / "a.csv")).batches(["id"], ["a"]))
        except InputError:
            continue
        assert text[size - 1] == "\n" and rows == text[:size].count("\n") - 1


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\n")
    with pytest.raises(InputError, match="expected a csv file in UTF-8"):
        open_table(str(tmp_path / "a.csv"))


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_LONGEST_LINE", 100)
    monkeypatch.setattr(tables, "BLOCK", 64)
    (tmp_path / "a.csv").write_text("id,a\nr0," + "1" * 300 + "\n")
    with pytest.raises(InputError, match="a line is longer than 100 bytes"):
        list(open_table(str(tmp_path / "a.csv")).batches(["id"], ["a"]))


def test_parquet_of_other_types_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": ["r0"], "n": [3], "s": pa.array([0.1], pa.float32()), "t": ["x"]}), path)
    opened = open_table(str(path))
    (batch,) = opened.batches(["id"], ["n", "s"])
    assert batch["n"].to_pylist() == [3.0] and batch["s"].to_pylist() == [float(np.float32(0.1))]
    with pytest.raises(InputError, match="expected numbers in the column t, found string"):
        list(opened.batches(["id"], ["t"]))
    with pytest.raises(InputError, match="expected text in the column n, found int64"):
        list(opened.batches(["n"], []))


def test_parquet_that_is_cut_or_flipped_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": np.arange(1000.0)}), path, compression="zstd")
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    with pytest.raises(InputError, match="not a parquet file, or one that was cut"):
        open_table(str(path))
    path.write_bytes(data[:40] + bytes(100) + data[140:])
    with pytest.raises(InputError, match="cannot be read as a table of numbers"):
        list(open_table(str(path)).batches([], ["a"]))


def test_names_decide_the_kind(tmp_path: Path) -> None:
    assert is_table("x/test.CSV") and is_table("s3://b/test.parquet") and not is_table("test.csv.zip")
    with pytest.raises(InputError, match=r"expected a table whose name ends with \.csv or \.parquet; unpack archives"):
        open_table("test.csv.zip")
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        open_table(str(tmp_path / "none.csv"))
    (tmp_path / "f.csv").mkdir()
    with pytest.raises(InputError, match="expected a table, found a folder"):
        open_table(str(tmp_path / "f.csv"))


def test_a_table_elsewhere_is_read_like_a_local_one(table) -> None:
    import fsspec

    path, values = table
    with fsspec.open(f"memory://tables/{path.name}", "wb") as file:
        file.write(path.read_bytes())
    opened = open_table(f"memory://tables/{path.name}")
    assert isinstance(opened, CsvTable | ParquetTable)
    whole = pa.concat_tables(list(opened.batches([], ["a"])))
    assert np.array_equal(whole["a"], values[:, 0])
    assert opened.survey() == open_table(str(path)).survey()
