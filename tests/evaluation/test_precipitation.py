"""The distribution of rain and snow against numpy over all rows at once."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.evaluation.precipitation import BINS, PAIR_BINS, QUANTILES, Precipitation
from subgrid.evaluation.rows import Field, Frame, Rows
from subgrid.schema.variable_sets import variable_set

KAGGLE = variable_set("kaggle")
RAIN = KAGGLE.target_slices["cam_out_PRECC"].start
MM = 86_400_000.0


def fields(frame: Frame, rows: Rows) -> dict[str, Field]:
    part = Precipitation(frame)
    part.add(rows)
    return part.fields()


@pytest.fixture
def found(real_frame: Frame, noisy_rows: Rows) -> dict[str, Field]:
    return fields(real_frame, noisy_rows)


@pytest.fixture
def rain(noisy_rows: Rows) -> list[np.ndarray]:
    """Truth and prediction in mm/day."""
    return [noisy_rows.truth[:, RAIN] * MM, noisy_rows.prediction[:, RAIN] * MM]


@pytest.fixture
def area(real_frame: Frame, noisy_rows: Rows) -> np.ndarray:
    return real_frame.grid.area[noisy_rows.column]


def test_means_extremes_and_shares(found: dict[str, Field], rain: list[np.ndarray], area: np.ndarray) -> None:
    for source, rate in enumerate(rain):
        expected = {
            "mean": np.average(rate, weights=area),
            "highest": rate.max(),
            "lowest": rate.min(),
            "negative": np.average(rate < 0, weights=area),
            "negative_mean": np.average(np.minimum(rate, 0), weights=area),
            "dry": np.average(rate < 0.1, weights=area),
        }
        for name, value in expected.items():
            assert found[f"precipitation_{name}"].values[0, source] == pytest.approx(value, rel=1e-9), name
    assert found["precipitation_negative"].values[0].tolist()[0] == 0 < found["precipitation_negative"].values[0, 1]


def test_histograms_hold_every_row_once(found: dict[str, Field], rain: list[np.ndarray], area: np.ndarray) -> None:
    edges, pair_edges = (np.clip(bins.edges, -1e9, 1e9) for bins in (BINS, PAIR_BINS))
    for source, rate in enumerate(rain):
        expected = np.histogram(rate, edges, weights=area)[0] / area.sum()
        np.testing.assert_allclose(found["precipitation_histogram"].values[0, source], expected, atol=1e-15)
    expected = np.histogram2d(*rain, (pair_edges, pair_edges), weights=area)[0] / area.sum()
    np.testing.assert_allclose(found["precipitation_pairs"].values[0], expected, atol=1e-15)
    assert found["precipitation_edge"].values.size == BINS.size + 1 and BINS.size == 503
    assert found["pair_edge"].values.size == PAIR_BINS.size + 1 and PAIR_BINS.size == 53


def test_exceedance_is_the_share_at_or_above(found: dict[str, Field], rain: list[np.ndarray], area: np.ndarray) -> None:
    thresholds = found["precipitation_threshold"].values
    assert thresholds[0] == 0.1 and thresholds[-1] == pytest.approx(1e4)
    for source, rate in enumerate(rain):
        expected = [(area * (rate >= threshold)).sum() / area.sum() for threshold in thresholds]
        np.testing.assert_allclose(found["precipitation_exceedance"].values[0, source], expected, atol=1e-14)


def test_quantiles_are_right_to_a_bin_of_a_real_distribution(
    real_frame: Frame, found: dict[str, Field], rain: list[np.ndarray], area: np.ndarray
) -> None:
    for source, rate in enumerate(rain):
        order = np.argsort(rate)
        below = np.cumsum(area[order]) / area.sum()
        exact = rate[order][np.searchsorted(below, QUANTILES)]
        wet = exact > 0.1
        assert wet.sum() >= 7
        np.testing.assert_allclose(found["precipitation_quantile"].values[0, source][wet], exact[wet], rtol=0.0233)
    dry = found["precipitation_quantile"].values[1, 0, 0]  # half the columns have no snow
    assert dry == 0


def test_snow_is_part_of_precipitation_in_the_truth(found: dict[str, Field], noisy_rows: Rows) -> None:
    assert found["precipitation"].values.tolist() == ["cam_out_PRECC", "cam_out_PRECSC"]
    mean = found["precipitation_mean"].values[:, 0]
    assert 0 < mean[1] < mean[0] and 1.5 < mean[0] < 4.0  # mm/day: a year's real mean is about 2.6
    snow = KAGGLE.target_slices["cam_out_PRECSC"].start
    assert found["precipitation_highest"].values[1, 0] == pytest.approx(noisy_rows.truth[:, snow].max() * MM)


def test_without_a_grid_every_row_counts_the_same(real_frame: Frame, noisy_rows: Rows, rain: list[np.ndarray]) -> None:
    found = fields(Frame(KAGGLE, None), noisy_rows)
    assert found["precipitation_mean"].values[0, 1] == pytest.approx(rain[1].mean())
    unknown = fields(real_frame, noisy_rows._replace(column=np.full(len(noisy_rows.row), -1)))
    np.testing.assert_allclose(found["precipitation_pairs"].values, unknown["precipitation_pairs"].values)


def test_no_rows_no_fields(real_frame: Frame) -> None:
    assert Precipitation(real_frame).fields() == {}


@given(st.lists(st.integers(1, 399), max_size=8))
@settings(max_examples=40)
def test_chunked_in_any_way_it_stays_the_same(
    real_frame: Frame, same_in_chunks: Callable[..., None], cuts: list[int]
) -> None:
    same_in_chunks(lambda: Precipitation(real_frame), cuts)
