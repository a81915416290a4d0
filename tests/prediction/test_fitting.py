"""Weights fitted on one half of the blocks of days: known ones are found again, the gain is that of the other half."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score

from subgrid.errors import DatasetError, SettingsError
from subgrid.evaluation.scorecard import compared_columns
from subgrid.prediction.columns import TruthChunk, open_columns
from subgrid.prediction.fitting import FitSettings, fit, fitting_blocks
from subgrid.prediction.together import Given, Together
from subgrid.schema.variable_sets import variable_set

KAGGLE = variable_set("kaggle")
DAYS = 5 * 86_400


@pytest.fixture(scope="module")
def truth(work: Path) -> TruthChunk:
    """All 456 rows of the small data set, by time: 19 steps some six days apart."""
    columns = open_columns(str(work / "data"), KAGGLE)
    chunks = list(columns.truth(columns.row_numbers()))
    order = np.argsort(np.concatenate([chunk.row for chunk in chunks]))
    row, targets, column, time = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])[order]
        for name in ("row", "targets", "column", "time")
    )
    return TruthChunk(row=row, targets=targets, column=column, time=time, inputs=np.zeros((row.size, 0)))


@pytest.fixture
def made(store_prediction, truth: TruthChunk, tmp_path: Path):
    """``made(a, b, ...)`` are predictions with these errors in standard deviations of each target."""

    def make(*errors: np.ndarray, groups: str = "", **changes: object) -> Together:
        given = []
        for place, error in enumerate(errors):
            folder = tmp_path / f"m{place}"
            values = truth.targets + error * truth.targets.std(axis=0)
            arrays = {"column": truth.column, "time": truth.time, "variable_set": "kaggle"} | changes
            store_prediction(folder, truth.row, values, **arrays)
            given.append(Given(folder, groups[place : place + 1]))
        return Together(given)

    return make


def errors(truth: TruthChunk, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *truth.targets.shape))


@pytest.mark.parametrize("method", ["least-squares", "hill"])
def test_known_weights_are_found_again(made, truth: TruthChunk, work: Path, method: str) -> None:
    """0.3 a + 0.7 b is the truth but for noise; c only adds to it."""
    shared, noise = errors(truth, 1)[0], 0.05 * errors(truth, 2, seed=1)
    together = made(0.7 * shared + noise[0], -0.3 * shared + noise[1], errors(truth, 1, seed=2)[0])
    weights, told = fit(together, FitSettings(str(work / "data"), method))
    assert weights == pytest.approx(np.repeat([[0.3], [0.7], [0.0]], 14, axis=1), abs=0.03)
    gain = told.gain["r2_294"]
    assert gain.fitted is not None and gain.fitted > 0.99
    assert gain.low is not None and gain.equal is not None and 0 < gain.low < gain.fitted - gain.equal


def test_halves_are_alternate_blocks_and_the_gain_is_of_the_other(made, truth: TruthChunk, work: Path) -> None:
    found = errors(truth, 3) * np.array([0.5, 0.7, 0.9])[:, None, None]
    together = made(*found)
    weights, told = fit(together, FitSettings(str(work / "data"), by="variable"))
    blocks = truth.time // DAYS
    fitted = np.isin(blocks, np.unique(blocks)[::2])
    assert (told.rows, told.test_rows) == (fitted.sum(), (~fitted).sum())
    assert told.test_blocks == np.unique(blocks[~fitted]).size
    scaled = found * truth.targets.std(axis=0)
    columns = [column for column in compared_columns(KAGGLE) if np.ptp(truth.targets[~fitted][:, column]) > 0]
    for expected, share in (
        (told.gain["r2_294"].equal, np.full((3, 14), 1 / 3)),
        (told.gain["r2_294"].fitted, weights),
    ):
        by_column = np.repeat(share, [item.levels for item in KAGGLE.targets], axis=1)
        mean = truth.targets + (by_column[:, None] * scaled).sum(axis=0)
        r2 = r2_score(truth.targets[~fitted][:, columns], mean[~fitted][:, columns], multioutput="raw_values")
        assert expected == pytest.approx(np.maximum(r2, 0).mean(), rel=1e-6)
    for place, name in enumerate(("ptend_t", "ptend_q0001")):  # the optimum's conditions, on the fitted half alone
        here = KAGGLE.target_slices[name]
        scored = [column for column in range(here.start, here.stop) if column in set(compared_columns(KAGGLE))]
        scored = [column for column in scored if np.ptp(truth.targets[fitted][:, column]) > 0]
        part = scaled[:, fitted][:, :, scored]
        m2 = truth.targets[fitted][:, scored].var(axis=0) * fitted.sum()
        products = np.einsum("irc,jrc,c->ij", part, part, 1 / np.maximum(m2, (part**2).sum(axis=1).mean(axis=0)))
        gradient, value = products @ weights[:, place], weights[:, place] @ products @ weights[:, place]
        assert gradient[weights[:, place] > 0] == pytest.approx(value, rel=1e-6)
        assert gradient.min() >= value * (1 - 1e-6)


def test_groups_are_fitted_as_their_means(made, truth: TruthChunk, work: Path) -> None:
    shared, noise = errors(truth, 1)[0], errors(truth, 1, seed=1)[0]
    together = made(0.7 * shared + noise, -0.3 * shared, 0.7 * shared - noise, groups="lhl")
    weights, _ = fit(together, FitSettings(str(work / "data"), by="all"))
    assert weights == pytest.approx(np.repeat([[0.15], [0.7], [0.15]], 14, axis=1), abs=1e-6)


def test_raw_steps_are_a_truth_as_well(made, truth: TruthChunk, work: Path, synthetic_source: Path) -> None:
    together = made(*errors(truth, 2))
    done: list[tuple[int, int]] = []
    settings = FitSettings(str(synthetic_source), by="all")
    weights, _ = fit(together, settings, lambda *report: done.append(report))
    again, _ = fit(together, FitSettings(str(work / "data"), by="all"))
    assert weights == pytest.approx(again, abs=1e-4)  # a truth in float64 and one in float32
    assert done[-1] == (456, 456)


def test_a_truth_that_lacks_rows_is_refused(store_prediction, truth: TruthChunk, work: Path, tmp_path: Path) -> None:
    row = np.append(truth.row, 10**9)
    arrays = {"column": np.append(truth.column, 0), "time": np.append(truth.time, 10**9), "variable_set": "kaggle"}
    folders = [store_prediction(tmp_path / name, row, np.zeros((row.size, 368)), **arrays) for name in "ab"]
    message = "data: holds no truth for 1 of the 457 predicted rows; the first is row 1000000000"
    with pytest.raises(DatasetError, match=message):
        fit(Together([Given(folder) for folder in folders]), FitSettings(str(work / "data")))


def test_rows_of_unknown_time_or_of_one_block_cannot_be_halved(made, truth: TruthChunk, work: Path) -> None:
    together = made(*errors(truth, 2), time=np.full(truth.row.size, -1))
    with pytest.raises(SettingsError, match="m0: holds rows of unknown time; .* take them over with --like"):
        fit(together, FitSettings(str(work / "data")))
    together = made(*errors(truth, 2))
    with pytest.raises(SettingsError, match="holds rows of one block of 1000 days"):
        fit(together, FitSettings(str(work / "data"), block_days=1000))
    assert np.array_equal(fitting_blocks(together.stored[0], 5), np.unique(truth.time // DAYS)[::2])
