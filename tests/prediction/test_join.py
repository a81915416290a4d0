"""A prediction beside its truth: rows of both belong together, and can be gone through again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, InputError
from subgrid.prediction.join import Joined
from subgrid.records.reader import Dataset


def test_rows_belong_together(work: Path) -> None:
    joined = Joined(work / "prediction", str(work / "data"))
    data = {}
    for batch in Dataset.open(work / "data").scan("validation", 7):
        data |= dict(zip(batch.row, zip(batch.inputs, batch.targets, batch.time, strict=True), strict=True))
    variables, seen = joined.frame.variables, 0
    for rows in joined:
        found = joined.stored.at(rows.row)
        np.testing.assert_array_equal(rows.prediction, found.prediction)
        np.testing.assert_array_equal(rows.rule, found.rule)
        np.testing.assert_array_equal(rows.confidence, found.confidence)
        for place, row in enumerate(rows.row):
            inputs, targets, time = data[row]
            np.testing.assert_array_equal(
                rows.truth[place], np.ldexp(targets.astype(np.float64), -variables.target_exponents)
            )
            np.testing.assert_array_equal(
                rows.inputs[place], np.ldexp(inputs.astype(np.float64), -variables.input_exponents)
            )
            assert rows.time[place] == time
        seen += len(rows.row)
    assert seen == joined.rows == 72
    assert sum(len(rows.row) for rows in joined) == 72  # again


def test_raw_steps_bring_their_grid(work: Path, synthetic_source: Path) -> None:
    joined = Joined(work / "prediction", str(synthetic_source), rule=False)
    assert joined.frame.grid is not None and joined.frame.grid.columns == 24
    data = Joined(work / "prediction", str(work / "data"))
    one, other = ({row: truth for rows in source for row, truth in zip(rows.row, rows.truth, strict=True)}
                  for source in (joined, data))  # fmt: skip
    assert one.keys() == other.keys()
    for row, truth in one.items():
        np.testing.assert_allclose(other[row], truth, rtol=2**-23, atol=2**-190)  # what a float32 of x * 2**64 may lose
    assert all(rows.rule is None for rows in joined)


def test_several_grids_are_refused_and_none_is_none(work: Path, synthetic_source: Path, tmp_path: Path) -> None:
    shutil.copytree(synthetic_source / "train", tmp_path / "train")
    assert Joined(work / "prediction", str(tmp_path)).frame.grid is None
    for name in "ab":
        (tmp_path / f"{name}_grid-info.nc").symlink_to(next(synthetic_source.glob("*_grid-info.nc")))
    with pytest.raises(InputError, match="expected one grid file"):
        Joined(work / "prediction", str(tmp_path))


def test_rows_of_a_table_are_not_rows_of_a_simulation(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "prediction", tmp_path / "p")
    manifest = json.loads((tmp_path / "p" / "prediction.json").read_text())
    (tmp_path / "p" / "prediction.json").write_text(json.dumps({**manifest, "ids": "test_"}))
    with pytest.raises(DatasetError, match="holds rows of a simulation, the prediction is of rows test_N"):
        Joined(tmp_path / "p", str(work / "data"))
