"""Sets of variables against the tables of Kaggle and ClimSim, typed here by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.schema.variable_sets import VARIABLE_SETS, scored_columns, variable_set

KAGGLE, V1, V2 = (VARIABLE_SETS[name] for name in ("kaggle", "v1", "v2"))

KAGGLE_INPUTS = {
    "state_t": 0, "state_q0001": 60, "state_q0002": 120, "state_q0003": 180, "state_u": 240, "state_v": 300,
    "state_ps": 360, "pbuf_SOLIN": 361, "pbuf_LHFLX": 362, "pbuf_SHFLX": 363, "pbuf_TAUX": 364, "pbuf_TAUY": 365,
    "pbuf_COSZRS": 366, "cam_in_ALDIF": 367, "cam_in_ALDIR": 368, "cam_in_ASDIF": 369, "cam_in_ASDIR": 370,
    "cam_in_LWUP": 371, "cam_in_ICEFRAC": 372, "cam_in_LANDFRAC": 373, "cam_in_OCNFRAC": 374, "cam_in_SNOWHLAND": 375,
    "pbuf_ozone": 376, "pbuf_CH4": 436, "pbuf_N2O": 496,
}  # fmt: skip
KAGGLE_TARGETS = {
    "ptend_t": 0, "ptend_q0001": 60, "ptend_q0002": 120, "ptend_q0003": 180, "ptend_u": 240, "ptend_v": 300,
    "cam_out_NETSW": 360, "cam_out_FLWDS": 361, "cam_out_PRECSC": 362, "cam_out_PRECC": 363,
    "cam_out_SOLS": 364, "cam_out_SOLL": 365, "cam_out_SOLSD": 366, "cam_out_SOLLD": 367,
}  # fmt: skip


def test_kaggles_offsets() -> None:
    assert {name: part.start for name, part in KAGGLE.input_slices.items()} == KAGGLE_INPUTS
    assert {name: part.start for name, part in KAGGLE.target_slices.items()} == KAGGLE_TARGETS
    assert (KAGGLE.input_width, KAGGLE.target_width) == (556, 368)
    assert KAGGLE.input_slices["pbuf_N2O"] == slice(496, 556) and KAGGLE.input_slices["state_ps"] == slice(360, 361)


def test_widths_are_the_published_ones() -> None:
    assert (V1.input_width, V1.target_width) == (124, 128)
    assert (V2.input_width, V2.target_width) == (557, 368)
    v2_only = set(V2.input_columns) - set(KAGGLE.input_columns)
    assert v2_only == {"cam_in_SNOWHICE"} and V2.target_columns == KAGGLE.target_columns
    assert V2.input_slices["cam_in_SNOWHICE"].start == 375 and V2.input_slices["cam_in_SNOWHLAND"].start == 376
    assert [item.name for item in V1.inputs] == [
        *("state_t", "state_q0001", "state_ps", "pbuf_SOLIN", "pbuf_LHFLX", "pbuf_SHFLX"),
    ]
    assert V1.target_columns[120:] == [
        f"cam_out_{name}" for name in ["NETSW", "FLWDS", "PRECSC", "PRECC", "SOLS", "SOLL", "SOLSD", "SOLLD"]
    ]


@pytest.mark.parametrize("variables", [KAGGLE, V1, V2], ids=lambda variables: variables.name)
def test_slices_names_and_exponents_belong_together(variables) -> None:  # type: ignore[no-untyped-def]
    sides = (
        (variables.inputs, variables.input_slices, variables.input_columns, variables.input_exponents),
        (variables.targets, variables.target_slices, variables.target_columns, variables.target_exponents),
    )
    for items, slices, names, exponents in sides:
        place = 0
        for item in items:
            assert slices[item.name] == slice(place, place + item.levels)
            assert names[slices[item.name]] == item.column_names()
            assert (exponents[slices[item.name]] == item.exponent).all()
            place += item.levels
        assert len(names) == len(set(names)) == exponents.size == place and exponents.dtype == np.int64
    assert variables.input_width == len(variables.input_columns)
    assert variables.target_width == len(variables.target_columns)


def test_the_competitions_columns_in_the_competitions_order(climsim: Path) -> None:
    with (climsim / "kaggle" / "sample_submission_old.csv").open() as file:
        header = next(csv.reader(file))
    assert header[1:] == KAGGLE.target_columns


def test_308_columns_are_scored() -> None:
    scored = scored_columns(KAGGLE)
    assert scored.dtype == bool and scored.sum() == 308 and scored.shape == (368,)
    expected = [f"ptend_{name}_{level}" for name in ("q0001", "q0002", "q0003", "u", "v") for level in range(12)]
    assert [name for name, flag in zip(KAGGLE.target_columns, scored, strict=True) if not flag] == expected
    assert scored_columns(V2).tolist() == scored.tolist()
    assert scored_columns(V1).sum() == 128 - 12


def test_the_old_weights_of_scored_columns_are_not_all_zero(climsim: Path) -> None:
    """The first weights left out what the new ones leave out, and ptend_q0002_12 ... 14 besides."""
    with (climsim / "kaggle" / "sample_submission_old.csv").open() as file:
        weights = np.array(next(iter(list(csv.reader(file))[1:]))[1:], dtype=np.float64)
    also = [
        name for name, zero in zip(KAGGLE.target_columns, (weights == 0) & scored_columns(KAGGLE), strict=True) if zero
    ]
    assert not weights[~scored_columns(KAGGLE)].any() and also == [f"ptend_q0002_{level}" for level in (12, 13, 14)]


def test_an_unknown_set_is_told_with_those_known() -> None:
    assert variable_set("v1") is V1
    with pytest.raises(SettingsError, match="unknown variable set 'v3'; known are: kaggle, v1, v2"):
        variable_set("v3")
