"""The target transform against float64 numpy, its inverse, its masks, and the competition's old weights."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from subgrid.representation import constants, targets
from subgrid.representation.settings import RepresentationSettings
from subgrid.representation.targets import TargetTransform, old_weights
from subgrid.schema.variable_sets import variable_set
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

VARIABLES = variable_set("kaggle")
NAMES = VARIABLES.target_columns
UNSCORED = [f"ptend_{name}_{level}" for name in ("q0001", "q0002", "q0003", "u", "v") for level in range(12)]
STD, OLD = RepresentationSettings(), RepresentationSettings(target_scale="old_weights")


@pytest.fixture(scope="module")
def raw() -> np.ndarray:
    """Raw targets (row, 368): cloud-water tendencies from 2**-200 up, ptend_u_30 constant."""
    random = np.random.default_rng(3)
    values = 5.0 + random.normal(size=(400, 368)) * 10.0 ** random.integers(-8, 3, 368)
    cloud = VARIABLES.target_slices["ptend_q0002"]
    values[:, cloud] = random.normal(size=(400, 60)) * np.exp2(np.linspace(-200, -30, 60))
    values[:, NAMES.index("ptend_u_30")] = 1 / 3
    return values


@pytest.fixture(scope="module")
def table(raw: np.ndarray) -> Table:
    return Table(VARIABLES, Moments.of(np.ones((556, 2))), Moments.of(raw.T.copy()))


def stored(raw: np.ndarray, dtype: type = np.float64) -> torch.Tensor:
    return torch.from_numpy((raw * np.exp2(VARIABLES.target_exponents)).astype(dtype))


def named(mask: torch.Tensor) -> set[str]:
    return {name for name, chosen in zip(NAMES, mask.tolist(), strict=True) if chosen}


def test_trained_leaves_out_unscored_masked_and_constant_columns(table: Table) -> None:
    vanishing = [f"ptend_q0002_{level}" for level in range(12, 26)]
    assert named(~TargetTransform(table, STD).trained) == {*UNSCORED, *vanishing, "ptend_u_30"}
    none = RepresentationSettings(masked={})
    assert named(~TargetTransform(table, none).trained) == {*UNSCORED, "ptend_u_30"}
    further = np.array([name == "ptend_t_0" for name in NAMES])
    assert named(~TargetTransform(table, none, further).trained) == {*UNSCORED, "ptend_u_30", "ptend_t_0"}
    unweighted = [f"ptend_q0002_{level}" for level in (12, 13, 14)]
    old = RepresentationSettings(masked={}, target_scale="old_weights")
    assert named(~TargetTransform(table, old).trained) == {*UNSCORED, *unweighted, "ptend_u_30"}


@pytest.mark.parametrize("settings", [STD, OLD])
def test_normalise_equals_the_formula(table: Table, raw: np.ndarray, settings: RepresentationSettings) -> None:
    transform = TargetTransform(table, settings)
    trained = transform.trained.numpy()
    with np.errstate(divide="ignore"):
        scale = 1 / raw.std(axis=0) if settings.target_scale == "std" else old_weights(VARIABLES)
    expected = (raw - raw.mean(axis=0)) * scale
    found = transform.normalise(stored(raw))
    assert found.dtype == torch.float32
    rounding = 1e-14 * np.abs(raw).max(axis=0) * scale  # of y - mean in float64
    assert (np.abs(found.numpy() - expected) <= 1e-7 * np.abs(expected) + rounding)[:, trained].all()
    assert (found[:, ~transform.trained] == 0).all()
    from_float32 = transform.normalise(stored(raw, np.float32))
    assert torch.isfinite(from_float32).all()


@pytest.mark.parametrize("settings", [STD, RepresentationSettings(masked={}), OLD])
def test_physical_undoes_normalise_in_float64(table: Table, raw: np.ndarray, settings: RepresentationSettings) -> None:
    transform = TargetTransform(table, settings)
    found = transform.physical(transform.normalise(stored(raw)))
    trained = transform.trained.numpy()
    assert found.dtype == torch.float64
    spread = 1 / old_weights(VARIABLES)[trained] if settings.target_scale == "old_weights" else raw.std(axis=0)[trained]
    size = np.abs(raw - raw.mean(axis=0))[:, trained]
    error = np.abs(found.numpy() - raw)[:, trained]
    assert (error <= 1.2e-7 * size + 1e-15 * np.abs(raw[:, trained]) + 1e-14 * spread).all()
    mean = np.broadcast_to(raw.mean(axis=0), raw.shape)
    np.testing.assert_allclose(found.numpy()[:, ~trained], mean[:, ~trained], rtol=1e-12)


def test_tiny_tendencies_survive_where_float32_has_nothing(table: Table, raw: np.ndarray) -> None:
    transform = TargetTransform(table, RepresentationSettings(masked={}))
    column = NAMES.index("ptend_q0002_12")
    assert raw.astype(np.float32)[:, column].any() == 0
    found = transform.physical(transform.normalise(stored(raw, np.float32)))
    np.testing.assert_allclose(found.numpy()[:, column], raw[:, column], rtol=1e-5, atol=1e-5 * raw[:, column].std())


def test_the_soft_clip_has_the_winners_values() -> None:
    """y < A: A - ln(1 + A - y); y > B: B + ln(1 + y - B); written down in numpy, with slope 1 at both ends."""
    low, high = np.array([-2.0, -1.1, 0.0]), np.array([1.0, 3.3, 0.0])
    y = np.concatenate([np.linspace(-50, 50, 2001), [-1e12, 1e12]])[:, None] * np.ones(3)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.where(y < low, low - np.log(1 + low - y), np.where(y > high, high + np.log(1 + y - high), y))
    found = targets.soft_clip_targets(*(torch.from_numpy(array) for array in (y, low, high))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)
    assert (np.diff(found[:2001], axis=0) > 0).all()
    assert found[2000, 0] == pytest.approx(1 + np.log(50))
    within = (y >= low) & (y <= high)
    assert (found[within] == y[within]).all()


@pytest.mark.parametrize("settings", [STD, OLD])
@pytest.mark.parametrize("ratio", [1.1, 1.2, 1.0])
def test_rows_with_a_ratio_are_clipped_beyond_it(
    table: Table, raw: np.ndarray, settings: RepresentationSettings, ratio: float
) -> None:
    transform = TargetTransform(table, settings)
    trained = transform.trained.numpy()
    far = raw[:40].copy()
    far[:20] = raw.mean(axis=0) + 30 * (far[:20] - raw.mean(axis=0))
    clip = torch.tensor([ratio, 0.0] * 20)
    scale = np.where(
        trained, 1 / np.where(trained, raw.std(axis=0), 1) if settings == STD else old_weights(VARIABLES), 0
    )
    y = (far - raw.mean(axis=0)) * scale
    low, high = (ratio * (extreme - raw.mean(axis=0)) * scale for extreme in (raw.min(axis=0), raw.max(axis=0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        clipped = np.where(y < low, low - np.log(1 + low - y), np.where(y > high, high + np.log(1 + y - high), y))
    expected = np.where(clip.numpy()[:, None] > 0, clipped, y)
    assert (np.abs(expected - y) > 1).any(axis=0)[trained].mean() > 0.5
    found = transform.normalise(stored(far), clip)
    rounding = 1e-13 * np.abs(far).max(axis=0) * scale + 1e-15  # the logarithm above is of 1 + something
    assert (np.abs(found.numpy() - expected) <= 2e-7 * np.abs(expected) + rounding)[:, trained].all()
    assert (found[:, ~transform.trained] == 0).all()
    assert torch.equal(found[1::2], transform.normalise(stored(far))[1::2])
    assert torch.equal(transform.normalise(stored(far), torch.zeros(40)), transform.normalise(stored(far)))


def test_the_soft_clip_lets_nan_through(table: Table, raw: np.ndarray) -> None:
    far = raw[:1].copy()
    far[0, 5] = np.nan
    found = TargetTransform(table, STD).normalise(stored(far), torch.tensor([1.1]))
    assert torch.isnan(found).nonzero().tolist() == [[0, 5]]


def test_far_values_are_limited_and_nan_is_loud(table: Table, raw: np.ndarray) -> None:
    transform = TargetTransform(table, RepresentationSettings(masked={}))
    far = raw[:2].copy()
    far[0, NAMES.index("ptend_q0002_12")] = 1e-5
    far[1, 0] = np.nan
    found = transform.normalise(stored(far))
    assert found[0].isfinite().all() and found.abs().nan_to_num().max() == pytest.approx(1e30)
    assert torch.isnan(found).sum() == 1


def test_without_float64_physical_still_is(table: Table, raw: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    transform = TargetTransform(table, STD)
    exact = transform.physical(transform.normalise(stored(raw)))
    monkeypatch.setattr(constants, "has_float64", lambda device: False)
    monkeypatch.setattr(targets, "has_float64", lambda device: False)
    transform.to("cpu")
    assert transform.mean.dtype == torch.float32
    narrow = transform.physical(transform.normalise(stored(raw, np.float32)))
    assert narrow.dtype == torch.float64
    # The mean itself is rounded to float32 on such a device: compare within columns whose mean does not drown the rest.
    spread, mean = raw.std(axis=0), np.abs(raw.mean(axis=0))
    clear = spread > 1e-3 * mean
    np.testing.assert_allclose(
        narrow.numpy()[:, clear], exact.numpy()[:, clear], rtol=0, atol=3e-4 * spread[clear].max()
    )


def test_old_weights_are_the_published_ones_to_the_last_digit(climsim: Path) -> None:
    with (climsim / "kaggle" / "sample_submission_old.csv").open() as file:
        row = next(csv.DictReader(file))
    found = old_weights(VARIABLES)
    assert [float(row[name]) for name in NAMES] == found.tolist()
    assert len(row) == 369


def test_old_weights_have_the_known_zeros_and_cap() -> None:
    found = dict(zip(NAMES, old_weights(VARIABLES), strict=True))
    zeros = {*UNSCORED, *(f"ptend_q0002_{level}" for level in (12, 13, 14))}
    assert {name for name, weight in found.items() if weight == 0} == zeros
    assert {name for name, weight in found.items() if weight == 1e15} == {f"ptend_q0002_{k}" for k in range(15, 26)}
    assert found["ptend_t_0"] == pytest.approx(30981, rel=1e-4)
    assert found["cam_out_SOLLD"] == pytest.approx(0.033632131, rel=1e-8)
    assert old_weights(variable_set("v1")).size == 128
