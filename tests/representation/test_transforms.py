"""Soft clips and signed log: check values, oddness, continuity, growth, inverses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from subgrid.representation import transforms

NUMBERS = st.floats(-1e12, 1e12)


def apply(function, *values: float) -> float:  # type: ignore[no-untyped-def]
    return function(*(torch.tensor(value, dtype=torch.float64) for value in values)).item()


def test_check_values_of_the_write_up() -> None:
    assert apply(transforms.soft_clip_1, 100.0) == pytest.approx(34.52277, abs=5e-6)
    assert apply(transforms.soft_clip_2, 100.0) == pytest.approx(86.15082, abs=5e-6)
    assert apply(transforms.soft_clip_1, 3779.0) == pytest.approx(86.0, abs=5e-3)


@given(NUMBERS)
def test_clips_equal_their_piecewise_formulas(z: float) -> None:
    def clip(grow, cutoff: float) -> float:  # type: ignore[no-untyped-def]
        if z > cutoff:
            return grow(z) + cutoff - grow(cutoff)
        return -grow(-z) - cutoff + grow(cutoff) if z < -cutoff else z

    assert apply(transforms.soft_clip_1, z) == pytest.approx(clip(math.sqrt, 30.0), rel=1e-13, abs=0)
    assert apply(transforms.soft_clip_2, z) == pytest.approx(clip(math.log, 86.0), rel=1e-13, abs=0)


@given(NUMBERS, NUMBERS)
def test_signed_log_equals_its_two_branches(z: float, m: float) -> None:
    s = z - m + 1
    expected = math.log(s) if s >= 1 else -math.log(2 - s)
    assert apply(transforms.signed_log, z - m) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["soft_clip_1", "soft_clip_2", "signed_log"])
@given(z=NUMBERS)
def test_odd_and_undone_by_the_inverse(name: str, z: float) -> None:
    forward, inverse = getattr(transforms, name), getattr(transforms, f"inverse_{name}")
    assert apply(forward, -z) == -apply(forward, z)
    # Next to 0 the signed log loses relative, not absolute, digits nowhere: log1p and expm1 keep them.
    assert apply(inverse, apply(forward, z)) == pytest.approx(z, rel=1e-12, abs=1e-300)


@given(NUMBERS, st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_standardise_is_undone_by_its_inverse(x: float, mean: float, std: float) -> None:
    z = apply(transforms.standardise, x, mean, 1 / std)
    assert z == pytest.approx((x - mean) / std, rel=1e-12)
    assert apply(transforms.unstandardise, z, mean, std) == pytest.approx(x, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(("name", "cutoff", "slope"), [("soft_clip_1", 30.0, 0.0913), ("soft_clip_2", 86.0, 0.01163)])
def test_continuous_with_the_known_change_of_slope(name: str, cutoff: float, slope: float) -> None:
    clip, step = getattr(transforms, name), 1e-6
    assert apply(clip, cutoff) == cutoff
    assert (apply(clip, cutoff + step) - cutoff) / step == pytest.approx(slope, rel=1e-2)
    assert (cutoff - apply(clip, cutoff - step)) / step == pytest.approx(1.0, rel=1e-6)


def test_clips_pass_tiny_values_bit_for_bit_infinity_in_order_and_nan_loudly() -> None:
    tiny = torch.tensor([2.0**-300, -(2.0**-300), 0.0], dtype=torch.float64)
    for name in ("soft_clip_1", "soft_clip_2"):
        clip = getattr(transforms, name)
        assert torch.equal(clip(tiny), tiny)
        assert clip(torch.tensor(math.inf)).item() == math.inf
        assert math.isnan(clip(torch.tensor(math.nan)).item())
        grown = clip(torch.logspace(-3, 300, 2000, dtype=torch.float64))
        assert (grown.diff() > 0).all()
