"""The confidence head: expected errors against found ones, and scores of the rows that are trusted most."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrid.errors import SettingsError
from subgrid.evaluation.calibration import RANKING_BINS, RELIABILITY_BINS, SHARES, Calibration
from subgrid.evaluation.rows import Field, Frame, Rows
from subgrid.schema.variable_sets import scored_columns, variable_set

KAGGLE = variable_set("kaggle")
COMPARED = np.setdiff1d(np.flatnonzero(scored_columns(KAGGLE)), np.arange(120 + 12, 120 + 26))


@pytest.fixture(scope="module")
def scale(real_rows: Rows) -> np.ndarray:
    """The truth's standard deviation, as a run has it; a few columns untrained."""
    spread = real_rows.truth.std(axis=0)
    spread[[3, 200, 366]] = 0.0
    return spread


def fields(frame: Frame, rows: Rows, scale: np.ndarray) -> dict[str, Field]:
    part = Calibration(frame, scale)
    part.add(rows)
    return part.fields()


@pytest.fixture(scope="module")
def found(real_frame: Frame, noisy_rows: Rows, scale: np.ndarray) -> dict[str, Field]:
    return fields(real_frame, noisy_rows, scale)


@pytest.fixture(scope="module")
def errors(noisy_rows: Rows, scale: np.ndarray) -> np.ndarray:
    """Absolute errors in normalised units, NaN in columns that are not trained or not compared."""
    unit = np.where((scale > 0) & np.isin(np.arange(368), COMPARED), scale, np.nan)
    return np.abs(noisy_rows.prediction - noisy_rows.truth) / unit


def test_found_errors_of_each_bin(found: dict[str, Field], noisy_rows: Rows, errors: np.ndarray) -> None:
    edges = found["confidence_edge"].values
    trained = np.isfinite(errors)
    expected = noisy_rows.confidence
    for index in (0, 20, 34, 40):
        inside = (expected >= edges[index]) & (expected < edges[index + 1]) & trained
        assert found["confidence_share"].values[index] == pytest.approx(inside.sum() / trained.sum())
        if inside.any():
            assert found["confidence_found"].values[index] == pytest.approx(errors[inside].mean())
        else:
            assert np.isnan(found["confidence_found"].values[index])
        for place, name in enumerate(KAGGLE.target_slices.values()):
            here = inside[:, name]
            mean = found["confidence_found_by_variable"].values[place, index]
            share = found["confidence_share_by_variable"].values[place, index]
            assert share == pytest.approx(here.sum() / max(trained[:, name].sum(), 1), nan_ok=True) or np.isnan(share)
            assert not here.any() or mean == pytest.approx(errors[:, name][here].mean())
    assert np.nansum(found["confidence_share"].values) == pytest.approx(1.0)


def test_a_network_that_knows_its_errors_lies_on_the_diagonal(found: dict[str, Field]) -> None:
    """The made-up confidence is the mean error times a lognormal of sigma 0.3."""
    many = found["confidence_share"].values > 0.03
    middle = np.sqrt(found["confidence_edge"].values[:-1][many] * found["confidence_edge"].values[1:][many])
    ratio = found["confidence_found"].values[many] / middle
    assert many.sum() >= 8 and (ratio > 0.7).all() and (ratio < 1.4).all()


def test_means_by_variable(found: dict[str, Field], noisy_rows: Rows, errors: np.ndarray) -> None:
    for place, name in enumerate(KAGGLE.target_slices.values()):
        here = np.isfinite(errors[:, name])
        values = [found[f"confidence_mean_{what}"].values[place] for what in ("expected", "found")]
        if here.any():
            wanted = [noisy_rows.confidence[:, name].astype(float)[here].mean(), errors[:, name][here].mean()]
            np.testing.assert_allclose(values, wanted, rtol=1e-9)
        else:
            assert np.isnan(values).all()


def test_the_score_of_the_rows_kept(found: dict[str, Field], noisy_rows: Rows, errors: np.ndarray) -> None:
    """Against rows sorted by their mean expected error: right to the rows of one bin of the ranking."""
    trained = np.isfinite(errors[0])
    order = np.argsort(noisy_rows.confidence[:, trained].astype(float).mean(axis=1), kind="stable")
    chosen = np.flatnonzero(trained)
    for index, share in enumerate(SHARES):
        rows = order[: round(share * len(order))]
        truth, prediction = noisy_rows.truth[rows][:, chosen], noisy_rows.prediction[rows][:, chosen]
        r2 = 1 - ((truth - prediction) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)
        slack = {"rel": 1e-9} if share == 1 else {"abs": 0.02}
        assert found["kept_r2"].values[index] == pytest.approx(np.maximum(r2, 0).mean(), **slack)
        skill = 1 - ((truth - prediction) ** 2).mean(0) / noisy_rows.truth[:, chosen].var(0)
        assert found["kept_skill"].values[index] == pytest.approx(np.maximum(skill, 0).mean(), **slack)
        slack = {"rel": 1e-9} if share == 1 else {"rel": 0.01}
        assert found["kept_mae"].values[index] == pytest.approx(errors[rows][:, trained].mean(), **slack)
        last = noisy_rows.confidence[rows[-1]][trained].mean()
        assert last * 0.999 <= found["kept_expected"].values[index] <= last * 1.07
    assert found["kept"].values.tolist()[:2] == [1.0, 0.95] and found["kept"].values[-1] == 0.1
    assert (np.diff(found["kept_mae"].values) < 0).all()


def test_by_variable_at_all_rows_it_is_the_plain_score(found: dict[str, Field], noisy_rows: Rows) -> None:
    place = KAGGLE.target_slices["cam_out_FLWDS"].start
    truth, error = noisy_rows.truth[:, place], noisy_rows.prediction[:, place] - noisy_rows.truth[:, place]
    r2 = 1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()
    names = [item.name for item in KAGGLE.targets]
    assert found["kept_r2_by_variable"].values[names.index("cam_out_FLWDS"), 0] == pytest.approx(r2, rel=1e-9)
    assert np.isnan(found["kept_r2_by_variable"].values[names.index("cam_out_SOLSD")]).all()  # untrained here
    assert found["kept_r2_by_variable"].axes == ("variable", "kept")


def test_rows_without_a_confidence_give_nothing(real_frame: Frame, real_rows: Rows, scale: np.ndarray) -> None:
    assert fields(real_frame, real_rows, scale) == {}
    assert fields(real_frame, real_rows._replace(confidence=np.ones_like(real_rows.truth)), np.zeros(368)) == {}


def test_columns_that_vary_only_among_the_rest_are_left_out(real_frame: Frame, noisy_rows: Rows) -> None:
    """Half the rows, which expect least, have the same truth in all columns: R2 is not defined there, not very low."""
    truth = noisy_rows.truth.copy()
    expected = np.ones_like(noisy_rows.confidence)
    truth[::2], expected[::2] = truth[0] * 1.1, 0.1
    rows = noisy_rows._replace(truth=truth, confidence=expected)
    found = fields(real_frame, rows, np.ones(368))["kept_r2"].values
    assert np.isnan(found[-1]) and np.isfinite(found[0])


@pytest.mark.parametrize("scale", [np.ones(367), np.full(368, np.nan), -np.ones(368)])
def test_a_scale_that_cannot_be_is_refused(real_frame: Frame, scale: np.ndarray) -> None:
    with pytest.raises(SettingsError, match="368 finite values"):
        Calibration(real_frame, scale)


def test_negative_and_very_large_expectations_are_counted_at_the_ends(
    real_frame: Frame, noisy_rows: Rows, scale: np.ndarray
) -> None:
    confidence = noisy_rows.confidence.copy()
    confidence[:, 60:] = -1.0
    confidence[:, :60] = 1e9
    share = fields(real_frame, noisy_rows._replace(confidence=confidence), scale)["confidence_share"].values
    trained = (scale > 0) & np.isin(np.arange(368), COMPARED)
    assert share[-1] == pytest.approx(trained[:60].sum() / trained.sum()) and share[0] == pytest.approx(1 - share[-1])
    assert RELIABILITY_BINS.size == share.size and RANKING_BINS.size == 450


@given(st.lists(st.integers(1, 399), max_size=8))
@settings(max_examples=12)
def test_chunked_in_any_way_it_stays_the_same(
    real_frame: Frame, scale: np.ndarray, same_in_chunks: Callable[..., None], cuts: list[int]
) -> None:
    same_in_chunks(lambda: Calibration(real_frame, scale), cuts)
