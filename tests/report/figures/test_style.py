"""The look: units, ticks of the levels' axis, colours that are told apart by eyes with a colour-vision deficiency."""

import itertools

import numpy as np
import pytest

from subgrid.report.figures.style import (
    SERIES,
    colour,
    context,
    display,
    even_limit,
    levels_axis,
    new_figure,
    r2_colours,
    short,
    title,
)
from subgrid.schema.variable_sets import variable_set


def test_units_are_those_of_a_day() -> None:
    assert display("ptend_t") == (86_400.0, "K day⁻¹")
    assert display("cam_out_PRECC") == (86_400_000.0, "mm day⁻¹")
    assert display("cam_out_NETSW") == (1.0, "W m⁻²")
    assert display("state_u") == (1.0, "m s⁻¹")
    assert display("something else") == (1.0, "")


def test_every_target_has_words() -> None:
    for item in variable_set("v2").targets:
        assert title(item.name) != item.name
        assert len(short(item.name)) <= 18


# Machado, Oliveira and Fernandes (2009), complete deficiency, on linear RGB.
DEFICIENCIES = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colour_: str, matrix: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as an eye with this matrix sees it."""
    value = np.array([int(colour_[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", DEFICIENCIES)
def test_the_first_runs_are_told_apart(kind: str) -> None:
    seen = [lab(colour(place), DEFICIENCIES[kind]) for place in range(4)]
    nearest = min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2))
    assert nearest > 12, f"{kind}: two of the first four runs look alike ({nearest:.1f})"


def test_colours_begin_anew_after_the_last() -> None:
    assert colour(len(SERIES)) == colour(0)


def test_colours_of_r2_grow_lighter() -> None:
    from matplotlib.colors import to_hex

    colours, steps = r2_colours()
    lightness = [lab(to_hex(colours(steps(value))), np.eye(3))[0] for value in np.linspace(0.05, 0.95, 10)]
    assert (np.diff(lightness) > 3).all()


@pytest.mark.parametrize("apart", [3, 6, 10])
def test_ticks_stand_at_their_pressures_and_apart(apart: float) -> None:
    pressure = np.geomspace(10.0, 99_000.0, 60)
    axes = new_figure(2).subplots()
    levels_axis(axes, pressure, apart)
    places, labels = axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()]
    for place, label in zip(places, labels, strict=True):
        # 60 levels of equal ratio: level n has 0.1 hPa x 9900**(n / 59)
        assert abs(place - 59 * np.log(float(label) / 0.1) / np.log(9900)) < 0.1
    assert np.diff(sorted(places)).min() >= apart
    assert "1000" in labels


def test_the_limit_of_an_even_scale() -> None:
    assert even_limit(np.array([-3.0, 1.0, np.nan])) == pytest.approx(2.98)
    assert even_limit(np.zeros(4)) == 1.0
    assert even_limit(np.full(3, np.nan)) == 1.0


def test_settings_end_with_the_block() -> None:
    import matplotlib

    before = matplotlib.rcParams["font.size"]
    with context():
        assert matplotlib.rcParams["svg.fonttype"] == "none"
    assert matplotlib.rcParams["font.size"] == before
