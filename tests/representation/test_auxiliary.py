"""The auxiliary files against the rows themselves, read with xarray alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.reader import Dataset
from subgrid.representation.auxiliary import write_auxiliary
from subgrid.schema.grid import Grid
from subgrid.source.locations import Location


@pytest.fixture(scope="session")
def data(synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("auxiliary") / "data"
    build(prepare(Location(str(synthetic_source)), BuildSettings(), validation="every=5"), folder)
    return folder


def test_the_files_say_what_the_rows_hold(data: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(data)
    paths = write_auxiliary(tmp_path / "out", [dataset], {"training": dataset.table()})
    assert [path.name for path in paths] == ["grid.nc", "statistics.nc", "target_limits.nc", "weights.nc"]
    targets = np.concatenate([batch.targets for split in dataset.splits for batch in dataset.scan(split, 500)])
    targets = np.ldexp(targets.astype(np.float64), -dataset.variables.target_exponents)
    with xarray.open_dataset(paths[2]) as limits:
        for name, place in dataset.variables.target_slices.items():
            for limit, expected in (("minimum", targets.min(axis=0)), ("maximum", targets.max(axis=0))):
                found = limits[name].sel(limit=limit).values
                np.testing.assert_allclose(np.atleast_1d(found), expected[place], rtol=1e-6)
        assert limits.ptend_t.attrs["units"] == "K/s" and limits.attrs["data"] == dataset.digest
    with xarray.open_dataset(paths[3]) as weights:
        assert weights.ptend_q0001.sel(weights="final").values.tolist() == [0.0] * 12 + [1.0] * 48
        assert weights.ptend_t.sel(weights="final").values.tolist() == [1.0] * 60
        assert float(weights.ptend_q0002.sel(weights="first")[14]) == 0.0 < float(weights.ptend_t[0, 0])
    with xarray.open_dataset(paths[0]) as grid:
        np.testing.assert_array_equal(grid.lat, dataset.grid.lat)
        assert grid.lat.attrs["units"] == "degrees_north" and Grid.read(paths[0]).digest == dataset.grid.digest
    with xarray.open_dataset(paths[1]) as statistics:
        mean = statistics.state_t.sel(split="training", statistic="mean").values
        np.testing.assert_array_equal(mean, dataset.table().inputs.mean[:60])
        pooled = float(statistics.state_t_pooled.sel(split="training", statistic="max"))
        assert pooled == dataset.table().inputs.maximum[:60].max()


def test_what_was_interrupted_is_written_again_and_strangers_are_refused(data: Path, tmp_path: Path) -> None:
    dataset = Dataset.open(data)
    write_auxiliary(tmp_path, [dataset], {"training": dataset.table()})
    (tmp_path / ".lock").touch()  # of a command that was interrupted here
    (tmp_path / "weights.nc").rename(tmp_path / ".weights.nc.partial-0123abcd")
    write_auxiliary(tmp_path, [dataset], {"training": dataset.table()})
    assert (tmp_path / "weights.nc").exists()
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SettingsError, match=r"nothing else, found thesis\.tex; choose another one"):
        write_auxiliary(tmp_path, [dataset], {"training": dataset.table()})


def test_data_sets_on_different_grids_are_refused(data: Path, tmp_path: Path) -> None:
    one, other = Dataset.open(data), Dataset.open(shutil.copytree(data, tmp_path / "other"))
    other.manifest = other.manifest.model_copy(update={"grid": "f" * 64})
    with pytest.raises(DatasetError, match="stands on another grid"):
        write_auxiliary(tmp_path / "out", [one, other], {"training": one.table()})
