"""Cutting a data set: exact statistics, every group in one set, nothing copied, the whole can be joined again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.build import build
from subgrid.records.cut import cut
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset
from subgrid.records.verify import verify


def test_a_set_is_a_data_set_with_statistics_of_its_own_rows(built: Path, tmp_path: Path) -> None:
    manifest = cut(built, tmp_path / "set", Part(2, 3))
    found = Dataset.open(tmp_path / "set")
    assert found.digest == manifest.digest != Dataset.open(built).digest and verify(tmp_path / "set") == []
    inputs = np.concatenate([batch.inputs for batch in found.scan("training", 500)]).astype(np.float64)
    inputs = np.ldexp(inputs, -found.variables.input_exponents)
    difference = np.abs(found.table().inputs.mean - inputs.mean(axis=0))
    assert (difference <= 1e-6 * np.abs(inputs).max(axis=0)).all()  # rows are float32, the statistics are not
    assert cut(built, tmp_path / "set", Part(2, 3)) == manifest


def test_sets_are_the_parts_of_a_build(built: Path, tmp_path: Path, ready) -> None:  # type: ignore[no-untyped-def]
    """Their group files and shards in one folder are the finished build."""
    whole = tmp_path / "whole"
    for index in (1, 2, 3):
        cut(built, tmp_path / f"set-{index}", Part(index, 3))
        shutil.copytree(tmp_path / f"set-{index}", whole, dirs_exist_ok=True)
    for name in ("dataset.json", "statistics.nc"):
        (whole / name).unlink()
    assert build(ready(), whole).digest == Dataset.open(built).digest


def test_what_cannot_be_cut_is_refused(spoilt: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="too few groups for 20 sets"):
        cut(spoilt, tmp_path / "set", Part(13, 20))
    cut(spoilt, tmp_path / "one", Part(1, 2))
    with pytest.raises(DatasetError, match="holds another data set"):
        cut(spoilt, tmp_path / "one", Part(2, 2))
    next((spoilt / "parts").glob("training*.json")).unlink()
    with pytest.raises(DatasetError, match=r"parts: lacks training-"):
        cut(spoilt, tmp_path / "set", Part(1, 2))
