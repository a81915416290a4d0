"""One step as arrays, against netCDF4 and the formula written out; and everything that must stop a build."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.errors import InputError
from subgrid.schema.variable_sets import VARIABLE_SETS
from subgrid.source.columns import StepReader
from subgrid.source.locations import Location
from subgrid.source.steps import Step, list_steps, time_of

KAGGLE = VARIABLE_SETS["kaggle"]
LABEL = "0008-01-11-01200"
MLI, MLO = (f"train/0008-01/E3SM-MMF.{kind}.{LABEL}.nc" for kind in ("mli", "mlo"))
STEP = Step(time_of(LABEL), MLI, MLO)


def read_plainly(path: Path) -> dict[str, np.ndarray]:
    """All variables through netCDF4, as they are."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        return {name: np.asarray(item[...]) for name, item in file.variables.items()}


@pytest.fixture
def raw(real_source: Path, tmp_path: Path) -> Path:
    """A folder with the two files of one real step, to be damaged."""
    for name in (MLI, MLO):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real_source / name, tmp_path / name)
    return tmp_path


def rewrite(path: Path, change: Callable[[dict[str, np.ndarray]], None], kind: str = "NETCDF3_64BIT_DATA") -> None:
    """Write a step file anew with changed variables; a dimension is named after its size."""
    variables = read_plainly(path)
    change(variables)
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for size in sorted({size for values in variables.values() for size in values.shape}):
            file.createDimension(f"d{size}", size)
        for name, values in variables.items():
            entry = file.createVariable(name, values.dtype, tuple(f"d{size}" for size in values.shape))
            entry[...] = values


def poke(path: Path, name: str, values: list[float]) -> None:
    """Overwrite the last values of one variable of a file, in place."""
    with netCDF4.Dataset(path, "a") as file:
        file.set_auto_mask(False)
        array = np.asarray(file[name][...])
        array.reshape(-1)[-len(values) :] = values
        file[name][...] = array


def reader(folder: Path, name: str = "kaggle", columns: int | None = 384) -> StepReader:
    return StepReader(Location(str(folder)), VARIABLE_SETS[name], columns)


def refused(folder: Path, message: str, columns: int | None = 384, name: str = "kaggle") -> None:
    """The step is refused in these words."""
    with pytest.raises(InputError, match=message):
        reader(folder, name, columns).read(STEP)


def named(folder: Path, file: str, words: str) -> str:
    """A pattern: the file's whole path, then the words somewhere."""
    return f"^{re.escape(str(folder / file))}: .*{words}"


@pytest.mark.parametrize("name", list(VARIABLE_SETS))
def test_a_step_is_what_netcdf4_and_the_formula_give(real_source: Path, name: str) -> None:
    variables = VARIABLE_SETS[name]
    steps = reader(real_source, name)
    for step in [step for step in list_steps(Location(str(real_source))) if step.mlo][::20]:
        found = steps.read(step)
        before, after = read_plainly(real_source / step.mli), read_plainly(real_source / step.mlo)
        inputs = np.concatenate([np.atleast_2d(before[item.name]) for item in variables.inputs])
        targets = [
            (after[item.state] - before[item.state]) / 1200.0 if item.state else after[item.name][None]
            for item in variables.targets
        ]
        assert found.inputs.dtype == found.targets.dtype == np.float64 and found.inputs.flags.c_contiguous
        np.testing.assert_array_equal(found.inputs, inputs)
        np.testing.assert_array_equal(found.targets, np.concatenate(targets))
        assert found.time == step.time and not found.other_time


def test_all_kinds_of_netcdf_give_the_same(raw: Path) -> None:
    expected = reader(raw).read(STEP)
    for kind in ("NETCDF3_64BIT_OFFSET", "NETCDF4", "NETCDF4_CLASSIC"):
        for name in (MLI, MLO):
            rewrite(raw / name, lambda variables: None, kind)
        found = reader(raw).read(STEP)
        np.testing.assert_array_equal(found.inputs, expected.inputs)
        np.testing.assert_array_equal(found.targets, expected.targets)
        assert found.inputs.dtype == np.float64 and not found.other_time


def test_inputs_alone_need_no_mlo(raw: Path) -> None:
    expected = reader(raw).read(STEP).inputs
    (raw / MLO).unlink()
    alone = Step(STEP.time, MLI, "")
    found = reader(raw).read(alone, targets=False)
    np.testing.assert_array_equal(found.inputs, expected)
    assert found.targets is None
    with pytest.raises(InputError, match=named(raw, MLI, "the step has no mlo file, so it has no targets")):
        reader(raw).read(alone)
    refused(raw, named(raw, MLO, "the file is not there"))


@pytest.mark.parametrize("name", [MLI, MLO])
def test_a_file_that_was_cut_is_refused_by_name(raw: Path, name: str) -> None:
    """netCDF4 opens the first three of these files and gives zeros for what is not there."""
    whole = (raw / name).read_bytes()
    for size, words in (
        (len(whole) - 1, f"cut short: its header implies {len(whole)} bytes, it has {len(whole) - 1}"),
        (len(whole) // 2, "cut short"),
        (2200, "the file (is cut short|ends inside its header)"),
        (1000, "ends inside its header"),
        (5, "ends inside its header"),
        (2, "not a netCDF file"),
        (0, "not a netCDF file"),
    ):
        (raw / name).write_bytes(whole[:size])
        refused(raw, named(raw, name, words))


def test_a_cut_file_is_found_behind_whole_ones(raw: Path) -> None:
    """A reader that knows the header from the step before looks at the size all the same."""
    steps = reader(raw)
    steps.read(STEP)
    (raw / MLO).write_bytes((raw / MLO).read_bytes()[:-1])
    with pytest.raises(InputError, match=named(raw, MLO, "cut short")):
        steps.read(STEP)


@pytest.mark.parametrize(
    "content", [b"<html>Not found</html>", b"\x89HDF\r\n\x1a\n" + bytes(500), b"CDF\x07" + bytes(99)]
)
def test_what_is_no_netcdf_is_refused(raw: Path, content: bytes) -> None:
    (raw / MLI).write_bytes(content)
    refused(raw, named(raw, MLI, "not a netCDF file, or a damaged one"))


def test_a_cut_hdf5_file_is_refused(raw: Path) -> None:
    rewrite(raw / MLI, lambda variables: None, "NETCDF4")
    (raw / MLI).write_bytes((raw / MLI).read_bytes()[:-1])
    refused(raw, named(raw, MLI, "not a netCDF file, or a damaged one"))


@pytest.mark.parametrize(
    ("file", "variable"), [(MLI, "pbuf_ozone"), (MLI, "state_ps"), (MLO, "cam_out_SOLS"), (MLO, "state_v")]
)
def test_a_missing_variable_is_named(raw: Path, file: str, variable: str) -> None:
    rewrite(raw / file, lambda variables: variables.pop(variable))
    refused(raw, named(raw, file, f"expected a variable {variable}, found .*state_t"), columns=384)
    refused(raw, named(raw, file, f"expected a variable {variable}"), columns=None)


def test_a_variable_that_the_set_does_not_need_may_be_missing(raw: Path) -> None:
    rewrite(raw / MLI, lambda variables: [variables.pop(name) for name in ("pbuf_ozone", "cam_in_SNOWHICE", "ymd")])
    assert not reader(raw, "v1").read(STEP).other_time
    refused(raw, "expected a variable pbuf_ozone")


@pytest.mark.parametrize("file", [MLI, MLO])
def test_a_wrong_number_of_levels_is_refused(raw: Path, file: str) -> None:
    def cut(variables: dict[str, np.ndarray]) -> None:
        variables["state_u"] = variables["state_u"][:59]

    rewrite(raw / file, cut)
    refused(raw, named(raw, file, r"state_u must have shape \(60, 384\) \(levels, grid columns\), found \(59, 384\)"))


def test_a_transposed_variable_is_refused(raw: Path) -> None:
    def turn(variables: dict[str, np.ndarray]) -> None:
        variables["state_u"] = variables["state_u"].T.copy()

    rewrite(raw / MLI, turn)
    refused(raw, r"state_u must have shape \(60, 384\) .*found \(384, 60\)")


def test_a_grid_that_does_not_fit_is_refused(raw: Path) -> None:
    refused(
        raw, named(raw, MLI, r"state_t must have shape \(60, 21600\).*found \(60, 384\).*the grid of"), columns=21_600
    )
    rewrite(raw / MLO, lambda v: v.update({name: x[..., :100] for name, x in v.items() if x.ndim}))
    refused(raw, named(raw, MLO, r"must have shape .*384.*, found .*100"), columns=None)


@pytest.mark.parametrize(
    ("file", "variable", "values", "words"),
    [
        (MLI, "state_q0002", [np.nan] * 3, "state_q0002 holds 3 NaN and 0 infinite values of 23040"),
        (MLI, "pbuf_TAUX", [np.inf, -np.inf, np.nan], "pbuf_TAUX holds 1 NaN and 2 infinite values of 384"),
        (MLO, "state_t", [np.nan], "state_t holds 1 NaN and 0 infinite values of 23040"),
        (MLO, "cam_out_PRECC", [np.inf], "cam_out_PRECC holds 0 NaN and 1 infinite values of 384"),
        (MLI, "state_t", [0.0] * 5, r"state_t must lie within 50 \.\.\. 3000 K, but 5 of 23040 values do not"),
        (MLO, "cam_out_FLWDS", [1e30], "cam_out_FLWDS must lie within .* but 1 of 384 values do not"),
        (MLO, "state_q0001", [0.9], "state_q0001 must lie within .* 1 of 23040"),
    ],
)
def test_nan_infinity_and_nonsense_are_named(
    raw: Path, file: str, variable: str, values: list[float], words: str
) -> None:
    poke(raw / file, variable, values)
    refused(raw, named(raw, file, words))


def test_fill_of_snow_on_ice_passes_and_its_nan_does_not(raw: Path) -> None:
    found = reader(raw, "v2").read(STEP).inputs[VARIABLE_SETS["v2"].input_slices["cam_in_SNOWHICE"]]
    assert (found == 1e30).any() and (found < 100).any()
    poke(raw / MLI, "cam_in_SNOWHICE", [np.nan])
    refused(raw, "cam_in_SNOWHICE holds 1 NaN", name="v2")
    assert reader(raw).read(STEP).inputs.shape == (556, 384)  # the kaggle set does not read it


@pytest.mark.parametrize("file", [MLI, MLO])
@pytest.mark.parametrize(("name", "value"), [("ymd", 80_112), ("tod", 2400)])
def test_another_date_inside_is_noted_and_the_name_holds(raw: Path, file: str, name: str, value: int) -> None:
    poke(raw / file, name, [value])
    found = reader(raw).read(STEP)
    assert found.other_time and found.time == STEP.time


def test_a_step_outlives_the_next_one(real_source: Path) -> None:
    """Files are read into the same memory again; what was given out must not change with it."""
    steps, one = [step for step in list_steps(Location(str(real_source))) if step.mlo][:2], reader(real_source)
    first = one.read(steps[0])
    kept = first.inputs.copy(), first.targets.copy()
    one.read(steps[1])
    np.testing.assert_array_equal(first.inputs, kept[0])
    np.testing.assert_array_equal(first.targets, kept[1])
    np.testing.assert_array_equal(first.limits, [kept[0].min(axis=1), kept[0].max(axis=1)])


def test_the_first_file_sets_the_grid_where_none_is_given(raw: Path) -> None:
    steps = reader(raw, columns=None)
    assert steps.read(STEP).inputs.shape == (556, 384) and steps.columns == 384


def test_a_remote_location_reads_the_same(raw: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    for name in (MLI, MLO):
        system.pipe_file(f"/columns/{name}", (raw / name).read_bytes())
    try:
        found = StepReader(Location("memory://columns"), KAGGLE).read(STEP)
        with pytest.raises(InputError, match="memory://columns/gone.nc: the file is not there"):
            StepReader(Location("memory://columns"), KAGGLE).read(Step(0, "gone.nc", ""))
    finally:
        system.rm("/columns", recursive=True)
    np.testing.assert_array_equal(found.targets, reader(raw).read(STEP).targets)


def test_tendencies_outlive_no_change_of_the_inputs(raw: Path) -> None:
    """Reading targets in place must not touch inputs: state_t is read for both."""
    whole = reader(raw).read(STEP)
    alone = reader(raw).read(STEP, targets=False)
    np.testing.assert_array_equal(whole.inputs, alone.inputs)
