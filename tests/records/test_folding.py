"""Statistics of data sets folded together and compared: with one another, and with ClimSim's published ones."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.errors import DatasetError
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.folding import differences, folded_table
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location


def test_statistics_of_another_set_are_not_folded(work: Path, synthetic_source: Path, tmp_path: Path) -> None:
    build(prepare(Location(str(synthetic_source)), BuildSettings("v1")), tmp_path / "v1")
    with pytest.raises(DatasetError, match="holds the variable set 'v1', .* holds 'kaggle'; only equal sets"):
        folded_table([work / "data", tmp_path / "v1"], "training")
    assert folded_table([tmp_path / "v1", tmp_path / "v1"], "training").rows == 2 * 19 * 24


def test_a_data_set_is_compared_with_another_one_and_with_its_file(work: Path) -> None:
    data = Dataset.open(work / "data")
    paths = [work / "data", work / "data" / "statistics.nc"]
    for other in [*paths, *(f"file://{path}" for path in paths)]:
        found = differences(data.table("training"), other, "validation")
        (table,) = found["tables"]
        assert list(table["largest"]) == [item.name for item in data.variables.inputs + data.variables.targets]
        assert table["largest"]["state_t"]["mean"] > 0
        assert (table["files"], table["pooled"], found["left_out"]) == ([], False, {})


@pytest.fixture(scope="session")
def twelve_real(real_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fifth of the real pairs of files, by links, and a data set of them in ``data``."""
    folder = tmp_path_factory.mktemp("real")
    pairs = sorted(real_source.rglob("*.mlo.*.nc"))[::5]
    for mlo in pairs:
        for path in (mlo, mlo.with_name(mlo.name.replace(".mlo.", ".mli."))):
            link = folder / "raw" / path.relative_to(real_source)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    grid = next(real_source.glob("*_grid-info.nc"))
    (folder / "raw" / grid.name).symlink_to(grid)
    build(prepare(Location(str(folder / "raw")), BuildSettings()), folder / "data")
    return folder


def values_of(file: Path, name: str) -> np.ndarray:
    """A variable's numbers in float64, (level, column) of a step."""
    with netCDF4.Dataset(file) as content:
        content.set_auto_mask(False)
        return np.asarray(content[name][...], dtype=np.float64)


def test_real_steps_are_compared_with_all_published_tables(climsim: Path, twelve_real: Path) -> None:
    """The differences are computed a second time, from the files of the steps and of the tables."""
    folder = climsim / "normalizations"
    found = differences(Dataset.open(twelve_real / "data").table("training"), folder, "training")
    assert [table["pooled"] for table in found["tables"]] == [False, False, True]
    assert set(found["left_out"]) == {"output_scale.nc", "multirep_per_lev_min_norm.nc"}
    files = sorted((twelve_real / "raw").rglob("*.mli.*.nc"))
    for name in ("state_t", "state_v", "pbuf_ozone", "state_ps"):
        rows = np.concatenate([np.atleast_2d(values_of(file, name)) for file in files], axis=1)
        for table in found["tables"]:
            if name not in table["largest"]:
                assert table["pooled"] and name in table["not_held"]
                continue
            samples = rows.reshape(1, -1) if table["pooled"] else rows
            ours = {key: getattr(samples, key)(axis=1) for key in ("mean", "std", "min", "max")}
            theirs = [values_of(folder / file, name) for file in table["files"]]
            theirs_by = dict(zip(("mean", "std", "min", "max"), theirs, strict=False))
            for key, other in theirs_by.items():
                size = np.maximum(np.abs(ours[key]), np.abs(other))
                size = np.maximum(ours["std"], theirs_by["std"]) if key == "mean" else size
                gap = np.abs(ours[key] - other)
                expected = np.max(np.divide(gap, size, out=np.zeros_like(gap), where=size > 0))
                assert table["largest"][name][key] == pytest.approx(expected, rel=1e-6), (name, key, table["files"])
            assert all(table["largest"][name][key] is None for key in {*ours} - {*theirs_by})


def test_targets_are_not_compared_with_tables_of_inputs(climsim: Path, twelve_real: Path) -> None:
    data = Dataset.open(twelve_real / "data")
    targets = {item.name for item in data.variables.targets}
    for table in differences(data.table("training"), climsim / "normalizations", "training")["tables"]:
        assert targets <= set(table["not_held"]) and not targets & set(table["largest"])
        assert all(
            np.isfinite(value) for row in table["largest"].values() for value in row.values() if value is not None
        )


def test_a_file_alone_is_compared_by_what_it_holds(climsim: Path, twelve_real: Path) -> None:
    table, folder = Dataset.open(twelve_real / "data").table("training"), climsim / "normalizations"
    (alone,) = differences(table, folder / "multirep_per_lev_div.nc", "training")["tables"]
    whole = differences(table, folder, "training")["tables"][1]
    assert alone["not_ours"] == ("state_rh", "state_qn", "liq_partition", "cam_in_SNOWHICE")
    for name, row in alone["largest"].items():
        assert row == {"mean": None, "std": whole["largest"][name]["std"], "min": None, "max": None}
    with pytest.raises(DatasetError, match=r"output_scale\.nc: it holds factors .* 1004\.64"):
        differences(table, folder / "output_scale.nc", "training")
