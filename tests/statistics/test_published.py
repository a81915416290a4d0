"""ClimSim's published tables: the real ones, read a second time with xarray; and small ones that are wrong."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from subgrid.errors import DatasetError
from subgrid.schema.variable_sets import VARIABLE_SETS
from subgrid.statistics.published import NAMES, is_published, read_published

SETS = [VARIABLE_SETS[name] for name in ("kaggle", "v1", "v2")]
INPUTS = SETS[0].inputs


def values_of(folder: Path, file: str, name: str) -> np.ndarray:
    """A variable of a file, whether xarray takes it for a coordinate or not."""
    with xr.open_dataset(folder / file) as content:
        return np.atleast_1d(content[name].values)


@pytest.fixture
def folder(climsim: Path) -> Path:
    """The folder of the published tables."""
    return climsim / "normalizations"


@pytest.mark.parametrize("variables", SETS, ids=lambda variables: variables.name)
def test_the_tables_of_inputs_are_read_level_by_level(folder: Path, variables) -> None:  # type: ignore[no-untyped-def]
    first = read_published(folder, variables.inputs).tables[0]
    assert first.files == ("input_mean.nc", "input_std.nc", "input_min.nc", "input_max.nc") and not first.pooled
    assert set(first.values) == {item.name for item in variables.inputs}
    for name, found in first.values.items():
        assert set(found) == ({"min"} if name == "cam_in_SNOWHICE" else {"mean", "std", "min", "max"})
        for statistic, numbers in found.items():
            np.testing.assert_array_equal(numbers, values_of(folder, f"input_{statistic}.nc", name))
    filled = {"cam_in_SNOWHICE": ("mean", "std", "max")} if variables.name == "v2" else {}
    assert first.filled == filled
    assert ("cam_in_SNOWHICE" in first.foreign) == (not filled) and "state_pmid" in first.foreign


def test_the_tables_of_the_kaggle_edition_name_what_is_none_of_ours(folder: Path) -> None:
    _, levels, pooled = read_published(folder, INPUTS).tables
    assert levels.files == ("multirep_per_lev_sub.nc", "multirep_per_lev_div.nc") and not levels.pooled
    assert levels.foreign == ("state_rh", "state_qn", "liq_partition", "cam_in_SNOWHICE")
    assert pooled.files == ("multirep_per_col_sub.nc", "multirep_per_col_div.nc") and pooled.pooled
    assert pooled.foreign == ("state_rh", "state_qn")
    expected = values_of(folder, "multirep_per_lev_sub.nc", "state_t")
    np.testing.assert_array_equal(levels.values["state_t"]["mean"], expected)
    assert expected[[0, -1]] == pytest.approx([215.623, 288.444], abs=1e-3)
    assert pooled.values["state_t"]["mean"] == pytest.approx([247.144], abs=1e-3)
    assert pooled.values["state_t"]["std"].shape == (1,)


def test_sub_and_div_are_means_and_standard_deviations(folder: Path) -> None:
    """Of the same simulation as ``input_mean`` and ``input_std``, and pooled they follow from these."""
    first, levels, pooled = (table.values for table in read_published(folder, INPUTS).tables)
    for name in ("state_t", "state_u", "state_v", "pbuf_ozone"):
        mean, std = first[name]["mean"], first[name]["std"]
        assert np.abs(levels[name]["mean"] - mean).max() < 0.01 * std.max()
        np.testing.assert_allclose(levels[name]["std"], std, rtol=0.02)
        whole = np.sqrt((std**2 + mean**2).mean() - mean.mean() ** 2)
        assert abs(pooled[name]["mean"] - mean.mean()) < 0.01 * whole
        np.testing.assert_allclose(pooled[name]["std"], whole, rtol=0.02)


def test_the_two_that_hold_no_statistic_are_what_is_said_of_them(folder: Path) -> None:
    left_out = read_published(folder, INPUTS).left_out
    assert set(left_out) == {"output_scale.nc", "multirep_per_lev_min_norm.nc"}
    assert (values_of(folder, "output_scale.nc", "ptend_t") == 1004.64).all()
    low, mean = (values_of(folder, f"input_{name}.nc", "state_t") for name in ("min", "mean"))
    wrong = values_of(folder, "multirep_per_lev_min_norm.nc", "state_t")
    # Their minimum at some levels is that of other steps, so a few lie apart.
    assert np.median(np.abs(wrong - (low - mean) / mean)) < 1e-3
    std = values_of(folder, "input_std.nc", "state_t")
    assert (np.abs(wrong - (low - mean) / std) > 1).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_file_of_the_folder_is_enough(folder: Path, name: str) -> None:
    assert is_published(folder / name) and is_published(folder)
    if name in ("output_scale.nc", "multirep_per_lev_min_norm.nc"):
        with pytest.raises(DatasetError, match=f"nothing of a data set can be compared with {name}: it "):
            read_published(folder / name, INPUTS)
        return
    (table,) = read_published(folder / name, INPUTS).tables
    last = name.removesuffix(".nc").split("_")[-1]
    assert table.files == (name,)
    assert {key for found in table.values.values() for key in found} == {{"sub": "mean", "div": "std"}.get(last, last)}


def test_a_folder_may_hold_some_of_them(folder: Path, tmp_path: Path) -> None:
    for name in ("input_mean.nc", "input_max.nc"):
        shutil.copyfile(folder / name, tmp_path / name)
    (table,) = read_published(tmp_path, INPUTS).tables
    assert set(table.values["state_t"]) == {"mean", "max"}


def small(path: Path, **variables: np.ndarray) -> Path:
    """A file of variables, each with a dimension of its own name, as the Kaggle edition has them."""
    xr.Dataset({name: ((name,) if values.ndim else (), values) for name, values in variables.items()}).to_netcdf(path)
    return path


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected a data set, a statistics\.nc, .*, found none of them$"):
        read_published(tmp_path, INPUTS)
    wrong = {
        r"state_t, found ptend_t$": {"ptend_t": np.ones(60)},
        r"state_t has shape \(30,\) where \(60,\) was expected": {"state_t": np.ones(30)},
        r"state_t holds NaN": {"state_t": np.full(60, np.nan)},
    }
    for message, variables in wrong.items():
        with pytest.raises(DatasetError, match=rf"input_max\.nc: expected ClimSim's published table.*{message}"):
            read_published(small(tmp_path / "input_max.nc", **variables), INPUTS)
    with pytest.raises(DatasetError, match="state_t differs between levels"):
        read_published(small(tmp_path / "multirep_per_col_sub.nc", state_t=np.arange(60.0)), INPUTS)
    (tmp_path / "input_std.nc").write_text("no NetCDF")
    with pytest.raises(DatasetError, match=r"input_std\.nc: expected ClimSim's published table"):
        read_published(tmp_path / "input_std.nc", INPUTS)
    assert not is_published(tmp_path / "statistics.nc")
