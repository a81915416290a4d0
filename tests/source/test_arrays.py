"""Pairs of arrays, physical and normalised, against numpy on the whole arrays and ClimSim's own tables."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from subgrid.errors import InputError
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.source.arrays import ArrayPair, Normalisation
from subgrid.source.blocks import blocks
from subgrid.source.columns import StepReader
from subgrid.source.locations import Location
from subgrid.source.steps import list_steps

V1, COLUMNS = variable_set("v1"), 384


@pytest.fixture(scope="session")
def steps(real_source: Path) -> tuple[np.ndarray, np.ndarray]:
    """Four real steps as ClimSim flattens them: (time x grid column, variable column), physical."""
    reader = StepReader(Location(str(real_source)), V1)
    complete = [step for step in list_steps(Location(str(real_source))) if step.complete][::17]
    found = [reader.read(step) for step in complete]
    inputs, targets = (np.concatenate([getattr(one, side).T for one in found]) for side in ("inputs", "targets"))
    return inputs, targets


def table(climsim: Path, name: str, variables: VariableSet, side: str) -> np.ndarray:
    """One of the published tables by xarray's own reader of netCDF, column by column."""
    with netCDF4.Dataset(climsim / "normalizations" / name) as file:
        file.set_auto_mask(False)
        return np.concatenate([np.ravel(file[item.name][...]) for item in getattr(variables, side)])


def write(folder: Path, inputs: np.ndarray, targets: np.ndarray, name: str = "train") -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}_input.npy", inputs)
    np.save(folder / f"{name}_target.npy", targets)
    return folder


def read(pair: ArrayPair) -> tuple[np.ndarray, np.ndarray]:
    """All rows, block by block."""
    reader = pair.reader(V1, COLUMNS)
    found = [reader(block) for block in pair.survey(V1, COLUMNS)]
    return tuple(np.concatenate([getattr(one, side).T for one in found]) for side in ("inputs", "targets"))  # type: ignore[return-value]


def found(place: Path) -> ArrayPair:
    pair = ArrayPair.find(str(place))
    assert pair is not None
    return pair


@pytest.mark.parametrize("dtype", ["<f8", "<f4", ">f8"])
def test_physical_values_come_as_they_are(steps: tuple[np.ndarray, np.ndarray], tmp_path: Path, dtype: str) -> None:
    stored = [side.astype(dtype) for side in steps]
    pair = found(write(tmp_path, *stored))
    assert not pair.placed
    for values, expected in zip(read(pair), stored, strict=True):
        np.testing.assert_array_equal(values, expected.astype(np.float64))


def test_climsim_s_normalisation_is_undone(steps: tuple[np.ndarray, np.ndarray], climsim: Path, tmp_path: Path) -> None:
    """Normalised by numpy as the paper says, with the published tables; float32, as the public arrays are."""
    mean, high, low = (table(climsim, f"input_{kind}.nc", V1, "inputs") for kind in ("mean", "max", "min"))
    scale = table(climsim, "output_scale.nc", V1, "targets")
    normal = [((steps[0] - mean) / (high - low)).astype("<f4"), (steps[1] * scale).astype("<f4")]
    write(tmp_path, *normal)
    how = Normalisation.read(climsim / "normalizations", V1)
    inputs, targets = read(ArrayPair(tmp_path, "train", how))
    assert (np.abs(inputs - steps[0]) <= 1.2e-7 * (np.abs(steps[0] - mean) + 1e-9 * (high - low)) * 1.01).all()
    np.testing.assert_allclose(targets, steps[1], rtol=1.2e-7, atol=1e-42)
    np.testing.assert_allclose(inputs, normal[0].astype("f8") * (high - low) + mean, rtol=1e-15)


def test_where_a_column_is_constant_zero_gives_the_mean_back(climsim: Path) -> None:
    wide = variable_set("kaggle")
    how = Normalisation.read(climsim / "normalizations", wide)
    constant = how.span == 0
    methane = wide.input_slices["pbuf_CH4"]
    assert constant[methane].sum() == 33 and (0 * how.span + how.mean)[methane][constant[methane]].min() > 1e-7


def test_normalised_values_are_not_taken_for_physical(
    steps: tuple[np.ndarray, np.ndarray], climsim: Path, tmp_path: Path
) -> None:
    pair = found(write(tmp_path, steps[0] / steps[0].max(axis=0), steps[1]))
    with pytest.raises(InputError, match=r"state_t must lie within 50 .* if the pair is normalised.*--normalised"):
        read(pair)
    pair = found(write(tmp_path, *steps))
    with pytest.raises(InputError, match=r"state_t must lie within .*was it normalised by these tables"):
        read(ArrayPair(pair.folder, pair.stem, Normalisation.read(climsim / "normalizations", V1)))


def test_row_numbers_say_where_rows_lie(steps: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    write(tmp_path, *steps)
    numbers = np.random.default_rng(0).permutation(len(steps[0])) + 10**6
    np.save(tmp_path / "train_row.npy", numbers)
    pair = found(tmp_path / "train_input.npy")
    row, column, time = pair.reader(V1, COLUMNS)(blocks(2)[1]).places or ()
    np.testing.assert_array_equal(row, numbers[COLUMNS : 2 * COLUMNS])
    np.testing.assert_array_equal(time // 1200 * COLUMNS + column, row)
    assert pair.placed


def test_what_is_no_pair_is_told(steps: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    assert ArrayPair.find(str(tmp_path)) is None and ArrayPair.find("gs://bucket/raw") is None
    inputs, targets = steps
    pair = found(write(tmp_path, inputs[:, :123], targets))
    with pytest.raises(InputError, match=r"\(1536, 124\) and \(1536, 128\) .*'v1', found \(1536, 123\)"):
        pair.rows(V1)
    write(tmp_path, inputs, targets[:-1])
    with pytest.raises(InputError, match=r"found \(1536, 124\) and \(1535, 128\)"):
        pair.rows(V1)
    write(tmp_path, inputs, targets)
    with pytest.raises(InputError, match=r"--variables v1 fits"):
        pair.rows(variable_set("v2"))
    content = (tmp_path / "train_input.npy").read_bytes()
    (tmp_path / "train_input.npy").write_bytes(content[:-8])
    with pytest.raises(InputError, match=r"train_input\.npy: not a whole \.npy file"):
        pair.rows(V1)
    write(tmp_path, inputs.astype("i8"), targets)
    with pytest.raises(InputError, match=r"expected floats, \(row, column\), found int64"):
        pair.rows(V1)
    np.save(tmp_path / "train_input.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a whole .npy file of numbers"):
        pair.rows(V1)
    write(tmp_path, inputs, targets, "val")
    with pytest.raises(InputError, match=r"holds train_input\.npy, val_input\.npy; name the one"):
        ArrayPair.find(str(tmp_path))
    (tmp_path / "val_target.npy").unlink()
    with pytest.raises(InputError, match=r"val_target\.npy: no such file"):
        ArrayPair.find(str(tmp_path / "val_input.npy"))


def test_nan_is_loud(steps: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    targets = steps[1].copy()
    targets[700, 61] = np.nan
    with pytest.raises(InputError, match=r"ptend_q0001_1 of the pair is nan in row 700 \(1 such values"):
        read(found(write(tmp_path, steps[0], targets)))


def test_tables_that_do_not_fit_are_told(climsim: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"input_mean\.nc: expected one of ClimSim's published tables"):
        Normalisation.read(tmp_path, V1)
