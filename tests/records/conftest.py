"""A small data set of the made-up steps, and raw steps as netCDF4 reads them: the second implementation to test by."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Prepared, build, prepare
from subgrid.schema.variable_sets import VariableSet
from subgrid.source.locations import Location

Raw = dict[str, tuple[np.ndarray, np.ndarray]]

SHARD_SIZE = 150_000
"""Bytes: 24 columns a step make 11 training and 2 validation groups of 16 and 3 steps."""


@pytest.fixture(scope="session")
def ready(synthetic_source: Path) -> Callable[..., Prepared]:
    """Prepares a build of the made-up steps (or of ``source``); other settings are those of ``BuildSettings``."""

    def prepared(source: Path = synthetic_source, validation: str | None = "every=5", **settings: object) -> Prepared:
        chosen = BuildSettings(**{"shard_size": SHARD_SIZE, **settings})
        return prepare(Location(str(source)), chosen, validation=validation)

    return prepared


@pytest.fixture(scope="session")
def built(ready: Callable[..., Prepared], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished data set in 13 groups, built in one go; for reading only."""
    folder = tmp_path_factory.mktemp("built") / "data"
    build(ready(), folder)
    return folder


@pytest.fixture
def spoilt(built: Path, tmp_path: Path) -> Path:
    """A copy of the data set that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "spoilt"))


@pytest.fixture
def copied(synthetic_source: Path, tmp_path: Path) -> Path:
    """The made-up steps once more; a test may remove files or put others in their place, but not write into them."""
    return Path(shutil.copytree(synthetic_source, tmp_path / "copied", copy_function=os.link))


@pytest.fixture(scope="session")
def raw_steps() -> Callable[[Path, VariableSet], Raw]:
    """Reads all complete steps of a folder: by label, inputs and targets in float64, (column of a row, grid column)."""

    def stacked(file: netCDF4.Dataset, names: list[str]) -> np.ndarray:
        return np.concatenate([np.atleast_2d(np.asarray(file[name][...], dtype=np.float64)) for name in names])

    def read(source: Path, variables: VariableSet) -> Raw:
        found = {}
        inputs = [item.name for item in variables.inputs]
        for after in sorted(source.rglob("*.mlo.*.nc")):
            with (
                netCDF4.Dataset(after.with_name(after.name.replace(".mlo.", ".mli."))) as mli,
                netCDF4.Dataset(after) as mlo,
            ):
                mli.set_auto_mask(False)
                mlo.set_auto_mask(False)
                targets = []
                for item in variables.targets:
                    if item.name.startswith("ptend_"):
                        state = [item.name.replace("ptend_", "state_")]
                        targets.append((stacked(mlo, state) - stacked(mli, state)) / 1200)
                    else:
                        targets.append(stacked(mlo, [item.name]))
                found[after.name.split(".mlo.")[1].removesuffix(".nc")] = stacked(mli, inputs), np.concatenate(targets)
        return found

    return read


@pytest.fixture(scope="session")
def written_out() -> Callable[..., list[int]]:
    """A permutation of 0 ... count-1 by its documented rule, in Python's integers: sorted by SplitMix64 of the key."""
    gamma, word = 0x9E3779B97F4A7C15, 2**64 - 1

    def mixed(value: int) -> int:
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & word
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & word
        return value ^ (value >> 31)

    def permuted(count: int, *key: int) -> list[int]:
        state = len(key)
        for number in key:
            state = mixed((state + (number + 1) * gamma) & word)
        return sorted(range(count), key=lambda number: mixed((state + number * gamma) & word))

    return permuted
