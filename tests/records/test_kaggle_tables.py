"""A data set as the competition's tables, read by Python alone and compared with what the data set's reader gives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.records.extract import ExtractSettings, extract
from subgrid.records.kaggle_tables import KaggleFile, write_kaggle_file
from subgrid.records.reader import Dataset


def read_csv(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Names, ids and values of a table."""
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    return header, [line[0] for line in lines], np.array([[float(text) for text in line[1:]] for line in lines])


def physical(data: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of a split in stored order, by division in float64."""
    found = list(data.scan(split, 100))
    exponents = (data.variables.input_exponents, data.variables.target_exponents)
    sides = (np.concatenate([getattr(batch, side) for batch in found]) for side in ("inputs", "targets"))
    return tuple(side / 2.0**exponent for side, exponent in zip(sides, exponents, strict=True))


def test_tables_hold_the_rows_of_their_split(built: Path, tmp_path: Path) -> None:
    data, names = Dataset.open(built), Dataset.open(built).variables
    found = extract(data, tmp_path / "out", ExtractSettings("kaggle"))
    assert [path.name for path in found] == ["sample_submission.csv", "solution.csv", "test.csv", "train.csv"]
    tables = {path.stem: read_csv(path) for path in found}
    inputs, targets = names.input_columns, names.target_columns
    assert tables["train"][0] == ["sample_id", *inputs, *targets]
    assert tables["train"][1] == [f"train_{row}" for row in range(384)]
    np.testing.assert_array_equal(tables["train"][2], np.hstack(physical(data, "training")))
    for name, columns, values in zip(
        ("test", "solution"), (inputs, targets), physical(data, "validation"), strict=True
    ):
        assert tables[name][:2] == (["sample_id", *columns], [f"test_{row}" for row in range(72)])
        np.testing.assert_array_equal(tables[name][2], values)
    header, ids, weights = tables["sample_submission"]
    assert (header, ids) == tables["solution"][:2]
    zeros = {f"ptend_{name}_{level}" for name in ("q0001", "q0002", "q0003", "u", "v") for level in range(12)}
    assert (weights == [float(name not in zeros) for name in targets]).all()


def test_a_split_alone_and_again(built: Path, tmp_path: Path) -> None:
    found = extract(Dataset.open(built), tmp_path / "out", ExtractSettings("kaggle", "training"))
    assert [path.name for path in found] == ["train.csv"]
    before = found[0].stat().st_mtime_ns
    assert extract(Dataset.open(built), tmp_path / "out", ExtractSettings("kaggle", "training")) == found
    assert found[0].stat().st_mtime_ns == before


def test_half_a_table_has_no_name(tmp_path: Path) -> None:
    def stopped() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield np.ones((2, 1)), np.ones((2, 1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_kaggle_file(tmp_path / "test.csv", KaggleFile("test_", ["a"], lambda values: values[0]), stopped())
    assert list(tmp_path.iterdir()) == []


def test_float32_is_refused(built: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="leave out --float32"):
        extract(Dataset.open(built), tmp_path / "out", ExtractSettings("kaggle", single=True))
    assert not (tmp_path / "out").exists()
