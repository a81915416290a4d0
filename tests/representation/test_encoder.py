"""The encoder against float64 numpy written from the formulas, variable by variable, on made-up and real columns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from subgrid.errors import SettingsError
from subgrid.representation import constants
from subgrid.representation.encoder import Encoder
from subgrid.representation.settings import RepresentationSettings
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

LEAP, PER_LEVEL = RepresentationSettings(), RepresentationSettings(name="per_level")
SCALES = {"state_t": 1.0, "state_q0001": 1e-3, "state_q0003": 1e-6, "state_ps": 1e4, "pbuf_ozone": 1e-6}


def made_up(variables: VariableSet, rows: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """Raw inputs (row, input_width) of all magnitudes: cloud water from 2**-190 up, CH4 and N2O constant below 27."""
    random = np.random.default_rng(seed)
    parts = []
    for item in variables.inputs:
        values = SCALES.get(item.name, 1.0) * (20 + spread * random.standard_cauchy((rows, item.levels)))
        if item.name == "state_q0002":
            values = np.exp2(np.linspace(-190, -12, 60) + 4 * spread * random.normal(size=(rows, 60)))
        if item.name in ("pbuf_CH4", "pbuf_N2O"):
            values = 1e-6 + 1e-8 * np.arange(60.0) + 1e-9 * spread * random.normal(size=(rows, 60))
            values[:, 27:] = 1e-6 + 1e-8 * np.arange(27, 60)
        parts.append(values)
    return np.concatenate(parts, axis=1)


def table_of(variables: VariableSet, raw: np.ndarray) -> Table:
    return Table(variables, Moments.of(raw.T.copy()), Moments.of(np.ones((variables.target_width, 2))))


def stored(variables: VariableSet, raw: np.ndarray, dtype: type = np.float32) -> torch.Tensor:
    return torch.from_numpy((raw * np.exp2(variables.input_exponents)).astype(dtype))


def clip_1(z: np.ndarray) -> np.ndarray:
    size = np.abs(z)
    return np.where(size > 30, np.sign(z) * (np.sqrt(size) + 30 - np.sqrt(30)), z)


def clip_2(z: np.ndarray) -> np.ndarray:
    size = np.abs(z)
    return np.where(size > 86, np.sign(z) * (np.log(np.maximum(size, 1)) + 86 - np.log(86)), z)


def deviation(values: np.ndarray, axis: int | None = 0) -> np.ndarray:
    constant = values.min(axis=axis) == values.max(axis=axis)
    return np.where(constant, np.inf, values.std(axis=axis))  # dividing by infinity gives the 0 that is wanted


def reference(variables: VariableSet, training: np.ndarray, raw: np.ndarray, leap: bool = True) -> np.ndarray:
    """What a network sees of ``raw``, float64 (row, 60, channel), statistics of ``training``."""
    per_level, pooled, logs, scalars, wind = [], [], [], [], []
    for item in variables.inputs:
        known, x = training[:, variables.input_slices[item.name]], raw[:, variables.input_slices[item.name]]
        z1 = (x - known.mean(axis=0)) / deviation(known)
        if item.levels == 1:
            scalars.append(clip_2(z1))
            continue
        s = z1 - (known.min(axis=0) - known.mean(axis=0)) / deviation(known) + 1
        per_level.append(clip_2(clip_1(z1)))
        pooled.append(clip_2((x - known.mean()) / deviation(known, None)))
        logs.append(clip_2(np.where(s >= 1, np.log(np.maximum(s, 1)), -np.log(np.maximum(2 - s, 1)))))
    if leap and "state_u" in variables.input_slices:
        u, v = (variables.input_slices[name] for name in ("state_u", "state_v"))
        speed = np.sqrt(raw[:, u] ** 2 + raw[:, v] ** 2)
        middle = (training[:, u].mean(axis=0) + training[:, v].mean(axis=0)) / 2
        wind.append(clip_2(clip_1((speed - middle) / (training[:, u].std(axis=0) + training[:, v].std(axis=0)))))
    blocks = np.stack(per_level + (wind + pooled + logs if leap else []), axis=2)
    repeated = np.broadcast_to(np.concatenate(scalars, axis=1)[:, None], (len(raw), 60, len(scalars)))
    return np.concatenate([blocks, repeated], axis=2)


@pytest.mark.parametrize("name", ["kaggle", "v1"])
@pytest.mark.parametrize("settings", [LEAP, PER_LEVEL])
def test_equals_the_formulas_in_float64(name: str, settings: RepresentationSettings) -> None:
    variables = variable_set(name)
    training, raw = made_up(variables, 300), made_up(variables, 200, seed=1, spread=30.0)
    encoder = Encoder(table_of(variables, training), settings)
    expected = reference(variables, training, raw, leap=settings.name == "leap")
    exact = encoder(stored(variables, raw, np.float64))
    assert exact.dtype == torch.float32 and exact.is_contiguous()
    assert exact.shape == expected.shape == (200, 60, sum(encoder.shape[1:]))
    assert np.abs(expected).max() > 86  # both clips are at work
    np.testing.assert_allclose(exact.numpy(), expected, rtol=1e-6, atol=1e-7)
    assert torch.equal(encoder(torch.from_numpy(raw), stored=False), exact)


def test_stored_float32_rows_lose_no_cloud_water() -> None:
    variables = variable_set("kaggle")
    training = made_up(variables, 300)
    encoder = Encoder(table_of(variables, training), LEAP)
    found, expected = encoder(stored(variables, training)).numpy(), reference(variables, training, training)
    for form in ("per_level", "signed_log"):
        channel = encoder.layout.index("state_q0002", form)
        np.testing.assert_allclose(found[..., channel], expected[..., channel], rtol=1e-5, atol=1e-6)
        assert (found[..., channel].std(axis=0) > 0.1).all()  # also where values are 2**-190


def test_constant_columns_are_zero_per_level_and_usable_pooled() -> None:
    variables = variable_set("kaggle")
    training = made_up(variables, 100)
    encoder = Encoder(table_of(variables, training), LEAP)
    changed = training.copy()
    changed[:, variables.input_slices["pbuf_CH4"]] *= 2
    found = encoder(torch.from_numpy(changed), stored=False)
    for form in ("per_level", "signed_log"):
        assert (found[:, 27:, encoder.layout.index("pbuf_CH4", form)] == 0).all()
        assert (found[:, :27, encoder.layout.index("pbuf_CH4", form)] != 0).all()
    assert (found[..., encoder.layout.index("pbuf_CH4", "pooled")] > 1).all()


def test_columns_constant_in_training_that_differ_are_counted() -> None:
    variables = variable_set("kaggle")
    raw = made_up(variables, 50)
    encoder = Encoder(table_of(variables, raw), PER_LEVEL)
    for inputs, is_stored in ((stored(variables, raw), True), (torch.from_numpy(raw), False)):
        assert encoder.differing(inputs, is_stored).sum() == 0
        assert encoder.differing(inputs, is_stored).dtype == torch.int64
    column = variables.input_columns.index("pbuf_N2O_40")
    raw[:7, column] *= 1.001
    raw[:, 0] += 1.0  # varied in training: no matter
    for inputs, is_stored in ((stored(variables, raw), True), (torch.from_numpy(raw), False)):
        counts = encoder.differing(inputs, is_stored)
        assert counts[column] == 7
        assert counts.sum() == 7


def test_fill_values_are_encoded_as_zero_and_do_not_count_as_differing() -> None:
    variables = variable_set("v2")
    raw, snow = made_up(variables, 40), variables.input_columns.index("cam_in_SNOWHICE")
    table = table_of(variables, raw)
    filled = raw.copy()
    filled[::2, snow] = 1e30
    encoder = Encoder(table, LEAP)
    found = encoder(stored(variables, filled))[:, :, encoder.layout.index("cam_in_SNOWHICE")]
    assert (found[::2] == 0).all()
    assert torch.equal(found[1::2], encoder(stored(variables, raw))[1::2, :, encoder.layout.index("cam_in_SNOWHICE")])

    column = np.arange(variables.input_width) == snow
    fields = {name: np.where(column, empty, getattr(table.inputs, name)) for name, empty in
              (("mean", 0.0), ("m2", 0.0), ("minimum", np.inf), ("maximum", -np.inf))}  # fmt: skip
    nothing_seen = Moments(np.where(column, 0, table.inputs.count), **fields)
    encoder = Encoder(Table(variables, nothing_seen, table.targets), LEAP)
    assert (encoder(stored(variables, filled))[:, :, encoder.layout.index("cam_in_SNOWHICE")] == 0).all()
    assert encoder.differing(stored(variables, filled))[snow] == 20  # what is not fill was never seen


def test_nan_in_gives_nan_out() -> None:
    variables = variable_set("kaggle")
    raw = made_up(variables, 20)
    encoder = Encoder(table_of(variables, raw), LEAP)
    raw[3, 5] = np.nan
    assert torch.isnan(encoder(stored(variables, raw))).any(dim=(1, 2)).nonzero().flatten().tolist() == [3]


def test_without_float64_the_result_is_finite_and_close(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = variable_set("kaggle")
    training, raw = made_up(variables, 300), made_up(variables, 200, seed=1)
    encoder = Encoder(table_of(variables, training), LEAP)
    exact = encoder(stored(variables, raw))
    monkeypatch.setattr(constants, "has_float64", lambda device: False)
    narrow = encoder.to("cpu")(stored(variables, raw))
    assert encoder.level_mean.dtype == torch.float32
    assert torch.isfinite(narrow).all()
    np.testing.assert_allclose(narrow, exact, rtol=1e-4, atol=2e-4)
    far = encoder(stored(variables, np.where(training > 1e-8, training, 0.01)))
    assert torch.isfinite(far).all()


def test_exports_with_a_free_batch_size() -> None:
    variables = variable_set("kaggle")
    raw = made_up(variables, 30)
    encoder = Encoder(table_of(variables, raw), LEAP)
    rows = torch.export.Dim("rows", min=2)
    exported = torch.export.export(encoder, (stored(variables, raw[:5]),), dynamic_shapes=({0: rows},))
    np.testing.assert_allclose(exported.module()(stored(variables, raw)), encoder(stored(variables, raw)), atol=1e-6)


def test_strided_rows_as_a_reader_gives_them() -> None:
    variables = variable_set("kaggle")
    raw = made_up(variables, 16)
    encoder = Encoder(table_of(variables, raw), LEAP)
    wide = torch.zeros(16, 1024)
    wide[:, 64 : 64 + variables.input_width] = stored(variables, raw)
    strided = wide[:, 64 : 64 + variables.input_width]
    assert torch.equal(encoder(strided), encoder(strided.clone()))


def test_a_set_without_profiles_is_refused() -> None:
    full = variable_set("v1")
    bare = VariableSet("bare", tuple(item for item in full.inputs if item.levels == 1), full.targets)
    with pytest.raises(SettingsError, match="bare"):
        Encoder(Table.zero(bare), LEAP)


def test_real_columns_are_finite_of_the_expected_size_and_equal_the_formulas(real_source: Path) -> None:
    netCDF4 = pytest.importorskip("netCDF4")
    variables, steps = variable_set("kaggle"), []
    for path in sorted((real_source / "train").glob("*/*.mli.*.nc"))[::20]:
        with netCDF4.Dataset(path) as file:
            file.set_auto_mask(False)
            steps.append(np.concatenate([np.atleast_2d(file[item.name][...]) for item in variables.inputs]).T)
    raw = np.concatenate(steps).astype(np.float64)
    training, unseen = raw[:-384], raw[-384:]
    encoder = Encoder(table_of(variables, training), LEAP)
    known = encoder(stored(variables, training)).numpy()
    assert known.shape == (len(training), 60, 44)
    assert np.isfinite(known).all()
    # Standardised values of the training rows: mean 0 and std 1 but for what the clips take.
    per_level = known[..., [encoder.layout.index(name) for name in ("state_t", "state_u", "pbuf_ozone")]]
    np.testing.assert_allclose(per_level.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(per_level.std(axis=0), 1.0, rtol=1e-2)
    logs = known[..., [encoder.layout.index(item.name, "signed_log") for item in encoder.layout.profiles]]
    assert logs.min() > -1e-4  # the minimum itself is rounded when stored, a few 1e-5 of a std at CH4_26
    found = encoder(torch.from_numpy(unseen), stored=False).numpy()
    assert np.isfinite(found).all() and np.abs(found).max() < 150
    np.testing.assert_allclose(found, reference(variables, training, unseen), rtol=1e-6, atol=1e-6)
    assert encoder.differing(stored(variables, training)).sum() == 0


def test_a_set_of_profiles_alone_needs_no_scalars() -> None:
    full = variable_set("v1")
    bare = VariableSet("bare", tuple(item for item in full.inputs if item.levels > 1), full.targets)
    raw = made_up(bare, 40)
    found = Encoder(table_of(bare, raw), LEAP)(stored(bare, raw))
    assert found.shape == (40, 60, 6)
    assert torch.isfinite(found).all()
