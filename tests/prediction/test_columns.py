"""Columns of data sets and of raw folders, against files read with netCDF4 and against each other."""

import json
import shutil
from pathlib import Path
from typing import Any

import fsspec
import netCDF4
import numpy as np
import pytest

from servers import web_server
from subgrid.errors import DatasetError, InputError
from subgrid.prediction.columns import DatasetColumns, InputChunk, KaggleColumns, RawColumns, open_columns
from subgrid.records.reader import Dataset
from subgrid.schema.variable_sets import variable_set
from subgrid.source import retries
from subgrid.source.locations import Location

KAGGLE = variable_set("kaggle")
STEPS, COLUMNS = 20, 24


@pytest.fixture
def raw(synthetic_source: Path) -> RawColumns:
    found = open_columns(str(synthetic_source), KAGGLE)
    assert isinstance(found, RawColumns)
    return found


@pytest.fixture
def built(work: Path) -> DatasetColumns:
    found = open_columns(str(work / "data"), KAGGLE)
    assert isinstance(found, DatasetColumns)
    return found


def gathered(chunks: list[InputChunk]) -> tuple[np.ndarray, ...]:
    """Row, column, time and inputs of all chunks, sorted by row."""
    row, column, time, inputs = (
        np.concatenate(arrays) for arrays in zip(*((c.row, c.column, c.time, c.inputs) for c in chunks), strict=True)
    )
    order = np.argsort(row)
    return row[order], column[order], time[order], inputs[order]


def values(path: Path, name: str) -> np.ndarray:
    """A variable as (column, level)."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return np.asarray(file[name][...], dtype=np.float64).reshape(-1, COLUMNS).T


def rounded(found: np.ndarray, exact: np.ndarray, exponents: np.ndarray) -> None:
    """Asserts the bound of storage: 2**-24 of a value, and what is below 2**-126 in stored units is 0."""
    lost = np.abs(exact) < np.ldexp(1.0, -126 - exponents)
    assert (found[lost] == 0).all()
    assert (np.abs(found - exact)[~lost] <= 2.0**-24 * np.abs(exact)[~lost]).all()


def test_raw_columns_are_what_stands_in_the_files(raw: RawColumns, synthetic_source: Path) -> None:
    row, column, time, inputs = gathered(list(raw.inputs(10)))
    files = sorted(synthetic_source.rglob("*.mli.*.nc"))
    assert (raw.rows, raw.columns, len(files)) == (STEPS * COLUMNS, COLUMNS, STEPS)
    assert np.array_equal(row, raw.row_numbers())
    assert np.array_equal(row, time // 1200 * COLUMNS + column)
    for name in ("state_t", "state_q0002", "pbuf_SOLIN", "pbuf_N2O"):
        expected = np.concatenate([values(path, name) for path in files])
        assert np.array_equal(inputs[:, KAGGLE.input_slices[name]], expected)


def test_raw_truth_is_the_change_over_a_step(raw: RawColumns, synthetic_source: Path) -> None:
    chunks = list(raw.truth(raw.row_numbers()))
    complete = [path for path in sorted(synthetic_source.rglob("*.mlo.*.nc"))]
    assert len(chunks) == len(complete) == STEPS - 1
    for chunk, after in zip(chunks, complete, strict=True):
        before = after.with_name(after.name.replace(".mlo.", ".mli."))
        heating = (values(after, "state_t") - values(before, "state_t")) / 1200
        assert np.array_equal(chunk.targets[:, KAGGLE.target_slices["ptend_t"]], heating)
        assert np.array_equal(chunk.targets[:, KAGGLE.target_slices["cam_out_PRECC"]], values(after, "cam_out_PRECC"))


def test_a_step_without_mlo_has_inputs_and_no_truth(raw: RawColumns, synthetic_source: Path) -> None:
    complete = {path.name.replace(".mlo.", ".mli.") for path in synthetic_source.rglob("*.mlo.*.nc")}
    place = [path.name in complete for path in sorted(synthetic_source.rglob("*.mli.*.nc"))].index(False)
    rows = raw.row_numbers()[place * COLUMNS : (place + 1) * COLUMNS]
    assert np.array_equal(raw.without_truth, rows)
    assert list(raw.truth(rows)) == []
    assert np.isin(rows, np.concatenate([chunk.row for chunk in raw.inputs(100)])).all()


def test_a_step_without_mli_has_no_columns(raw: RawColumns, synthetic_source: Path, tmp_path: Path) -> None:
    for path in synthetic_source.rglob("*.nc"):
        (tmp_path / path.name).symlink_to(path)
    sorted(tmp_path.glob("*.mli.*.nc"))[3].unlink()
    found = RawColumns(Location(str(tmp_path)), KAGGLE)
    assert found.rows == raw.rows - COLUMNS
    assert np.array_equal(found.row_numbers(), np.delete(raw.row_numbers(), slice(3 * COLUMNS, 4 * COLUMNS)))


def test_a_data_set_and_its_raw_folder_hold_the_same_columns(raw: RawColumns, built: DatasetColumns) -> None:
    row, column, time, stored = gathered(list(built.inputs(50)))
    raw_row, raw_column, raw_time, inputs = gathered(list(raw.inputs(COLUMNS)))
    place = np.searchsorted(raw_row, row)
    assert np.array_equal(row, raw_row[place]) and np.array_equal(row, built.row_numbers())
    assert row.size == built.rows == (STEPS - 1) * COLUMNS
    assert np.array_equal(column, raw_column[place]) and np.array_equal(time, raw_time[place])
    rounded(np.ldexp(stored.astype(np.float64), -KAGGLE.input_exponents), inputs[place], KAGGLE.input_exponents)


def test_truth_of_both_is_the_same(raw: RawColumns, built: DatasetColumns) -> None:
    sides = []
    for columns in (raw, built):
        chunks = list(columns.truth(raw.row_numbers()))
        row = np.concatenate([chunk.row for chunk in chunks])
        sides.append((np.sort(row), np.concatenate([chunk.targets for chunk in chunks])[np.argsort(row)]))
    assert np.array_equal(sides[0][0], sides[1][0])
    rounded(sides[1][1], sides[0][1], KAGGLE.target_exponents)


@pytest.mark.parametrize("batch", [1, 7, 24, 1000])
def test_no_chunk_is_larger_than_asked(raw: RawColumns, built: DatasetColumns, batch: int) -> None:
    for columns, stored in ((raw, False), (built, True)):
        sizes = [chunk.row.size for chunk in columns.inputs(batch)]
        assert max(sizes) <= batch and sum(sizes) == columns.rows
        assert next(iter(columns.inputs(batch))).stored is stored


def test_only_wanted_rows_are_given(raw: RawColumns, built: DatasetColumns) -> None:
    wanted = np.sort(built.row_numbers()[::17])
    for columns in (raw, built):
        found = np.sort(np.concatenate([chunk.row for chunk in columns.truth(wanted)]))
        assert np.array_equal(found, wanted)
        assert list(columns.truth(np.empty(0, dtype=np.int64))) == []
        assert list(columns.truth(np.array([-5, 10**15]))) == []


def test_a_split_is_a_part_and_all_splits_are_the_whole(work: Path, built: DatasetColumns) -> None:
    parts = [DatasetColumns(Dataset.open(work / "data"), split) for split in ("training", "validation")]
    assert [part.rows for part in parts] == [16 * COLUMNS, 3 * COLUMNS]
    together = np.sort(np.concatenate([part.row_numbers() for part in parts]))
    assert np.array_equal(together, built.row_numbers())
    assert len({part.digest for part in (*parts, built)}) == 3


def test_another_variable_set_is_refused(work: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected rows of the variable set 'v1', found 'kaggle'"):
        open_columns(str(work / "data"), variable_set("v1"))


def test_a_split_that_is_not_there_is_refused(work: Path, synthetic_source: Path) -> None:
    with pytest.raises(DatasetError, match=r"no split 'test'; it has training, validation"):
        open_columns(str(work / "data"), KAGGLE, "test")
    with pytest.raises(InputError, match=r"raw steps have no splits; leave out --split validation"):
        open_columns(str(synthetic_source), KAGGLE, "validation")


def test_an_unfinished_build_is_not_taken(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "data", tmp_path / "data")
    (tmp_path / "data" / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="an unfinished build"):
        open_columns(str(tmp_path / "data"), KAGGLE)


def test_a_folder_without_steps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="no raw steps found"):
        open_columns(str(tmp_path), KAGGLE)
    with pytest.raises(InputError, match="no such folder"):
        open_columns(str(tmp_path / "nowhere"), KAGGLE)


def test_steps_of_the_same_dates_are_not_the_same_columns(synthetic_source: Path, tmp_path: Path) -> None:
    shutil.copytree(synthetic_source, tmp_path / "source")
    before = open_columns(str(tmp_path / "source"), KAGGLE).digest
    assert open_columns(str(tmp_path / "source"), KAGGLE).digest == before
    first = min((tmp_path / "source").rglob("*.mli.*.nc"))
    data = bytearray(first.read_bytes())
    data[-1] ^= 1
    first.write_bytes(data)
    assert open_columns(str(tmp_path / "source"), KAGGLE).digest != before


def test_steps_of_the_hub_are_those_of_one_commit(
    hub: Any, synthetic_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pushed while they are read is not; where it is another text, the columns stay the same."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
    names = Location(str(synthetic_source)).names()
    hub.files = {name: (synthetic_source / name).read_bytes() for name in names}
    opened, first = {}, hub.commit
    for commit, changes in (
        (first, {}),
        ("e" * 40, {"README.md": b"new"}),
        ("f" * 40, {name: hub.files[name][:-6] + b"\x01" + hub.files[name][-5:] for name in names if ".mli." in name}),
    ):
        hub.older, hub.commit, hub.files = {**hub.older, hub.commit: hub.files}, commit, {**hub.files, **changes}
        huggingface_hub.HfFileSystem.clear_instance_cache()
        opened[commit] = open_columns("hf://datasets/LEAP/ClimSim_low-res", KAGGLE)
    huggingface_hub.HfFileSystem.clear_instance_cache()
    one, same, other = (opened[commit] for commit in (first, "e" * 40, "f" * 40))
    assert one.digest == same.digest != other.digest
    local = open_columns(str(synthetic_source), KAGGLE)
    assert gathered(list(one.inputs(50)))[3].tobytes() == gathered(list(local.inputs(50)))[3].tobytes()


def test_what_stands_at_a_web_server_is_asked_for_again(
    synthetic_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the looks at files that tell them from others; what stays wrong is told."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 3)
    broken: dict[str, int] = {}
    last = max(path.name for path in synthetic_source.rglob("*.mli.*"))
    status = ["503"]

    def fault(path: str) -> str:
        broken[path] = broken.get(path, 0) + 1
        return status[0] if ".mli." in path and broken[path] <= 2 else ""

    with web_server(synthetic_source, fault) as url:
        assert open_columns(url, KAGGLE).rows == STEPS * COLUMNS
        broken[next(path for path in broken if last in path)], status[0] = -99, "403"
        with pytest.raises(InputError, match=rf"{last}: cannot be looked up \(ClientResponseError: 403"):
            open_columns(url, KAGGLE)


def test_kaggles_tables_are_columns(kaggle) -> None:
    columns = open_columns(str(kaggle.folder / "test.csv"), KAGGLE)
    assert isinstance(columns, KaggleColumns)
    assert (columns.rows, columns.ids, columns.has_inputs, columns.has_truth) == (240, "test_", True, False)
    row, column, time, inputs = gathered(list(columns.inputs(50)))
    assert np.array_equal(row, np.sort(kaggle.row)) and np.array_equal(row, columns.row_numbers())
    assert (column == -1).all() and (time == -1).all()
    assert inputs.tobytes() == kaggle.inputs[np.argsort(kaggle.row)].tobytes()
    assert max(chunk.row.size for chunk in columns.inputs(50)) == 50 and not next(columns.inputs(50)).stored


def test_kaggles_truth_is_that_of_the_rows_wanted(kaggle) -> None:
    columns = open_columns(str(kaggle.folder / "train.csv"), KAGGLE)
    (chunk,) = columns.truth(np.array([-3, 4, 17, 18, 99_999]))
    assert chunk.row.tolist() == [4, 17, 18] and (chunk.column == -1).all()
    assert np.array_equal(chunk.targets, kaggle.targets[kaggle.order[[4, 17, 18]]])
    with pytest.raises(InputError, match=r"test\.csv: expected the columns ptend_t_0 \.\.\. cam_out_SOLLD, found none"):
        list(open_columns(str(kaggle.folder / "test.csv"), KAGGLE).truth(np.array([1])))


def test_a_table_has_the_columns_of_smaller_sets_and_not_of_larger(kaggle) -> None:
    columns = open_columns(str(kaggle.folder / "test.csv"), variable_set("v1"))
    (chunk,) = columns.inputs(1000)
    places = [KAGGLE.input_columns.index(name) for name in variable_set("v1").input_columns]
    assert np.array_equal(chunk.inputs, kaggle.inputs[:, places])
    with pytest.raises(InputError, match="misses 'cam_in_SNOWHICE'"):
        open_columns(str(kaggle.folder / "test.csv"), variable_set("v2"))
