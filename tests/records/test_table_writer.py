"""Tables that are written: every float64 comes back, by Python's own reading."""

import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import SettingsError
from subgrid.records.table_writer import check_table_name, table_writer

FLOATS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)


@given(st.lists(FLOATS, min_size=1, max_size=60))
def test_text_is_the_shortest_that_gives_the_bits_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "out.csv"
    with table_writer(path, False, ["a"]) as add:
        add([f"test_{row}" for row in range(len(values))], np.array(values)[:, None])
    texts = [line.split(",")[1] for line in path.read_text().splitlines()[1:]]
    assert [struct.pack("<d", float(text)) for text in texts] == [struct.pack("<d", value) for value in values]
    for text, value in zip(texts, values, strict=True):
        digits = [word.lstrip("-").split("e")[0].replace(".", "").strip("0") for word in (text, repr(value))]
        assert digits[0] == digits[1]


@pytest.mark.parametrize("parquet", [False, True])
def test_chunks_follow_each_other(parquet: bool, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(7, 3))
    with table_writer(tmp_path / "out", parquet, ["a", "b", "c"]) as add:
        add(["test_4", "test_2"], values[:2])
        add(["test_9", "test_1", "test_3", "test_0", "test_7"], values[2:])
    ids = ["test_4", "test_2", "test_9", "test_1", "test_3", "test_0", "test_7"]
    if parquet:
        table = pq.read_table(tmp_path / "out")
        assert table.column_names == ["sample_id", "a", "b", "c"] and table["sample_id"].to_pylist() == ids
        assert np.array_equal(np.stack(table.columns[1:], 1), values)
    else:
        lines = [f"{one},{','.join(map(repr, row))}" for one, row in zip(ids, values.tolist(), strict=True)]
        assert (tmp_path / "out").read_bytes().decode() == "\n".join(["sample_id,a,b,c", *lines, ""])


@pytest.mark.parametrize("name", ["out", "out.csv.gz", "out.txt", "csv"])
def test_names_say_the_form(name: str) -> None:
    check_table_name(Path("a/out.csv"))
    check_table_name(Path("a/out.parquet"))
    with pytest.raises(SettingsError, match=r"expected a name that ends with \.csv or \.parquet"):
        check_table_name(Path(name))
