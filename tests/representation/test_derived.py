"""Derived channels against the formulas in float64 numpy, level by level, on made-up and on real columns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from subgrid.errors import SettingsError
from subgrid.physics import moisture, pressure
from subgrid.representation.encoder import Encoder
from subgrid.representation.layout import Layout
from subgrid.representation.settings import DERIVED, RepresentationSettings
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import variable_set
from subgrid.source.synthetic.grid import fibonacci_grid
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

KAGGLE = variable_set("kaggle")
ALL = RepresentationSettings(name="per_level", derived=("humidity", "buoyancy", "shear", "stability", "phase"))
NAMES = ("t", "q0001", "q0002", "q0003", "u", "v")
CP, G, LV, RD, RV = 1004.64, 9.80616, 2.501e6, 287.0, 461.0
TENDENCIES = np.random.default_rng(7).normal(0, 1, size=(KAGGLE.target_width, 5)) * 1e-8
TENDENCIES[KAGGLE.target_slices["ptend_q0002"].start + 3] = 0.0  # a level without a deviation


def weather(rows: int) -> np.ndarray:
    """Raw inputs (row, input_width) of plausible columns: cold and dry aloft, some layers saturated, clouds in some."""
    random = np.random.default_rng(4)
    raw = random.uniform(0, 1, size=(rows, KAGGLE.input_width))
    level = np.arange(60.0)

    def put(name: str, values: np.ndarray) -> None:
        raw[:, KAGGLE.input_slices[name]] = values

    surface = random.uniform(6e4, 1.04e5, size=(rows, 1))
    temperature = 180 + 110 * (level / 59) ** 1.5 + random.normal(0, 8, size=(rows, 60))
    put("state_ps", surface)
    put("state_t", temperature)
    saturated = (
        0.622 * 611 * np.exp(17.3 * (temperature - 273.16) / (temperature - 35.9)) / (surface * (level + 1) / 60)
    )
    put("state_q0001", random.uniform(0, 1.3, size=(rows, 60)) * np.minimum(saturated, 0.03))
    for name in ("state_q0002", "state_q0003"):
        put(name, np.exp2(random.uniform(-190, -12, size=(rows, 60))) * random.integers(0, 2, size=(rows, 60)))
    for name in ("state_u", "state_v"):
        put(name, random.normal(0, 12, size=(rows, 60)).cumsum(axis=1) / 4)
    return raw


def expected(raw: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """The channels by name, (row, level), from the formulas and the functions of ``physics``, a loop over levels."""
    t, qv, ql, qi, u, v = (
        raw[:, KAGGLE.input_slices[f"state_{name}"]] for name in ["t", "q0001", "q0002", "q0003", "u", "v"]
    )
    surface = raw[:, KAGGLE.input_slices["state_ps"].start]
    middle, edges = pressure.midpoint_pressure(grid, surface), pressure.interface_pressure(grid, surface)
    qs = moisture.saturation_humidity(t, middle)
    s, z, ground = np.empty_like(t), np.empty_like(t), np.zeros(len(raw))
    for level in range(59, -1, -1):
        virtual = t[:, level] * (1 + (RV / RD - 1) * qv[:, level])
        height = ground + RD / G * virtual * np.log(edges[:, level + 1] / middle[:, level])
        ground = ground + RD / G * virtual * np.log(edges[:, level + 1] / np.maximum(edges[:, level], 1.0))
        s[:, level], z[:, level] = CP * t[:, level] + G * height, height
    h, hs = s + LV * qv, s + LV * qs
    f, qc = moisture.liquid_fraction(t), ql + qi

    def down(x: np.ndarray) -> np.ndarray:
        return np.append(np.diff(x, axis=1), np.zeros((len(x), 1)), axis=1)

    def bounded_richardson(climb: np.ndarray) -> np.ndarray:
        """N2 / S2 with N2 = g / (cp T) x (climb of an energy with height), mapped to -1 ... 1."""
        rise = 1e-3 - down(z)
        ri = G / (CP * t) * -climb / rise / ((down(u) ** 2 + down(v) ** 2) / rise**2 + 1e-6)
        return ri / (np.abs(ri) + 0.5)

    def in_deviations(tendency: np.ndarray, name: str) -> np.ndarray:
        std = TENDENCIES[KAGGLE.target_slices[name]].std(axis=1)
        x = np.divide(tendency, std, out=np.zeros_like(tendency), where=std > 0)
        x = np.where(np.abs(x) > 30, np.sign(x) * (np.sqrt(np.abs(x)) + 30 - np.sqrt(30)), x)
        return np.where(np.abs(x) > 86, np.sign(x) * (np.log(np.maximum(np.abs(x), 1)) + 86 - np.log(86)), x)

    return {
        "relative_humidity": 2 * np.clip(qv / qs, 0, 1.5) - 1,
        "saturation": np.clip(10 * (qv / qs - 1), -1, 1),
        "liquid_fraction": 2 * moisture.liquid_fraction(t) - 1,
        "condensate": (np.log10(ql + qi + 1e-12) + 12) / 5 - 1,
        "parcel_energy": np.clip((h[:, -1:] - hs) / 2e4, -3, 3),
        "saturation_deficit": np.clip((h - hs) / 1e4, -6, 6),
        "saturated_step": np.clip(down(hs) / 1e3, -5, 5),
        "moist_step": np.clip(down(h) / 1e3, -5, 5),
        "shear_u": np.clip(down(u) / 2, -5, 5),
        "shear_v": np.clip(down(v) / 2, -5, 5),
        "richardson": bounded_richardson(down(s + CP * (RV / RD - 1) * t * qv)),
        "moist_richardson": bounded_richardson(down(hs) / (1 + LV**2 * qs / (CP * RV * t**2))),
        "liquid_excess": in_deviations((f * qc - ql) / 1200, "ptend_q0002"),
        "ice_excess": in_deviations(((1 - f) * qc - qi) / 1200, "ptend_q0003"),
    }


def encoder_of(raw: np.ndarray, grid: Grid | None, settings: RepresentationSettings = ALL) -> Encoder:
    return Encoder(Table(KAGGLE, Moments.of(raw.T.copy()), Moments.of(TENDENCIES)), settings, grid)


def compare(encoder: Encoder, encoded: torch.Tensor, raw: np.ndarray, grid: Grid) -> None:
    for name, values in expected(raw, grid).items():
        found = encoded[:, :, encoder.layout.index(name, "derived")].numpy()
        np.testing.assert_allclose(found, values, rtol=2e-6, atol=2e-6, err_msg=name)


def test_equal_the_formulas_on_made_up_columns() -> None:
    grid, raw = fibonacci_grid(24), weather(50)
    encoder = encoder_of(raw, grid)
    encoded = encoder(torch.from_numpy(raw), stored=False)
    assert encoded.shape == (50, 60, 9 + 14 + 16) and encoded.dtype == torch.float32
    compare(encoder, encoded, raw, grid)
    bare = encoder_of(raw, None, RepresentationSettings(name="per_level"))
    plain = [encoder.layout.channels.index(channel) for channel in bare.layout.channels]
    assert torch.equal(encoded[:, :, plain], bare(torch.from_numpy(raw), stored=False))
    all_channels = {name: values.std() for name, values in expected(raw, grid).items()}
    assert min(all_channels.values()) > 0.05  # nothing that is compared is held at a limit throughout


def test_equal_the_formulas_on_real_columns(real_source: Path) -> None:
    import netCDF4

    grid = Grid.read(next(real_source.glob("*grid-info.nc")))
    path = next(real_source.rglob("*.mli.*.nc"))
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        parts = [np.asarray(file[item.name][...]).reshape(-1, grid.columns) for item in KAGGLE.inputs]
    raw = np.concatenate(parts).T.astype(np.float64)
    encoder = encoder_of(raw, grid)
    encoded = encoder(torch.from_numpy(raw), stored=False)
    compare(encoder, encoded, raw, grid)
    assert torch.isfinite(encoded).all()


def test_nan_stays_nan() -> None:
    grid, raw = fibonacci_grid(24), weather(3)
    encoder = encoder_of(raw, grid)
    raw[1, KAGGLE.input_slices["state_q0001"].start + 30] = np.nan
    encoded = encoder(torch.from_numpy(raw), stored=False)
    for name in ("relative_humidity", "saturation", "saturation_deficit", "moist_step"):
        assert torch.isnan(encoded[1, 30, encoder.layout.index(name, "derived")]), name
    assert torch.isfinite(encoded[[0, 2]]).all()


def test_groups_come_in_one_order_and_once() -> None:
    settings = RepresentationSettings(derived=("shear", "humidity"))
    assert settings.derived == ("humidity", "shear")
    names = [channel.variable for channel in Layout(KAGGLE, settings).channels if channel.form == "derived"]
    assert names == [*DERIVED["humidity"], *DERIVED["shear"]]
    with pytest.raises(ValidationError, match="stands twice: shear, shear"):
        RepresentationSettings(derived=("shear", "shear"))


def test_what_they_need_is_asked_for_by_name() -> None:
    with pytest.raises(SettingsError, match=r"derived needs state_q0002, .*'v1' is without"):
        _ = Layout(variable_set("v1"), ALL).shape
    with pytest.raises(SettingsError, match="needs a grid"):
        encoder_of(weather(3), None)
