"""The bootstrap over blocks: against draws made by hand, its coverage, and the pairing of two predictions."""

import numpy as np
import pytest

from subgrid.errors import SettingsError
from subgrid.evaluation.blocks import DAY, Blocks
from subgrid.evaluation.intervals import differences, intervals
from subgrid.evaluation.rows import Frame, Rows
from subgrid.evaluation.scorecard import Scorecard
from subgrid.schema.variable_sets import variable_set

KAGGLE = variable_set("kaggle")


def sample(days: int, a_day: int = 20, seed: int = 0, noise: float = 0.5) -> Rows:
    """Rows whose error is larger on some days than on others."""
    random = np.random.default_rng(seed)
    time = np.repeat(np.arange(days), a_day) * DAY
    truth = random.normal(size=(time.size, 368))
    size = noise * (1 + 0.5 * random.normal(size=days))[time // DAY, None]
    number = np.arange(time.size)
    return Rows(truth + size * random.normal(size=truth.shape), truth, number, time, number, np.zeros((time.size, 556)))


def blocks_of(rows: Rows, days: int = 1) -> Blocks:
    blocks = Blocks(Frame(KAGGLE, None), days)
    blocks.add(rows)
    return blocks


def test_an_interval_is_that_of_rows_drawn_by_hand() -> None:
    rows = sample(6)
    random, drawn = np.random.default_rng(0), []
    for counts in random.multinomial(6, np.full(6, 1 / 6), size=300):  # the same generator: the same draws
        chosen = np.concatenate([np.tile(np.flatnonzero(rows.time // DAY == day), n) for day, n in enumerate(counts)])
        drawn.append(Scorecard.of(KAGGLE, rows.prediction[chosen], rows.truth[chosen]).headline()["r2_308"])
    found = intervals(blocks_of(rows), draws=300)["r2_308"]
    assert (found.low, found.high) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")), rel=1e-9
    )
    assert found.value == pytest.approx(Scorecard.of(KAGGLE, rows.prediction, rows.truth).headline()["r2_308"])


def test_intervals_hold_the_true_score_as_often_as_they_say() -> None:
    true = intervals(blocks_of(sample(5_000, a_day=1, seed=999)), draws=2)["cam_out_FLWDS"].value
    inside = 0
    for seed in range(60):
        found = intervals(blocks_of(sample(60, a_day=4, seed=seed)), draws=100)["cam_out_FLWDS"]
        inside += found.low <= true <= found.high
    assert 0.85 <= inside / 60 <= 1.0


def test_one_block_gives_no_interval() -> None:
    found = intervals(blocks_of(sample(3), days=30))["r2_294"]
    assert np.isfinite(found.value) and np.isnan([found.low, found.high, found.above]).all()


def test_a_difference_is_sharper_than_two_intervals() -> None:
    worse = sample(40, noise=0.6)
    better = worse._replace(prediction=worse.truth + 0.95 * (worse.prediction - worse.truth))
    one, other = blocks_of(worse), blocks_of(better)
    found = differences(one, other)["r2_294"]
    assert found.value == pytest.approx(intervals(other)["r2_294"].value - intervals(one)["r2_294"].value, abs=1e-12)
    assert 0 < found.low <= found.value <= found.high and found.above == 1
    alone = intervals(one)["r2_294"]
    assert found.high - found.low < 0.5 * (alone.high - alone.low)


def test_a_prediction_is_as_good_as_itself() -> None:
    blocks = blocks_of(sample(10))
    assert all(item[:3] == (0, 0, 0) for item in differences(blocks, blocks).values())


def test_other_rows_are_refused() -> None:
    for other in (sample(10, a_day=19), sample(9)):
        with pytest.raises(SettingsError, match="of the same rows"):
            differences(blocks_of(sample(10)), blocks_of(other))


def test_a_column_that_varies_in_one_block_alone_is_left_out_of_the_other_draws() -> None:
    rows = sample(12, a_day=6)
    rows.truth[rows.time // DAY != 4, 300] = 1e-9 / 3  # equal means: what the fold makes of them must be no variance
    rows.truth[rows.time // DAY != 4, 310] = 7.7
    random, drawn = np.random.default_rng(0), []
    for counts in random.multinomial(12, np.full(12, 1 / 12), size=200):
        chosen = np.concatenate([np.tile(np.flatnonzero(rows.time // DAY == day), n) for day, n in enumerate(counts)])
        drawn.append(Scorecard.of(KAGGLE, rows.prediction[chosen], rows.truth[chosen]).headline())
    found = intervals(blocks_of(rows), draws=200)
    for name in ("competition", "r2_308", "r2_294"):
        expected = np.quantile([one[name] for one in drawn], [0.025, 0.975], method="inverted_cdf")
        assert (found[name].low, found[name].high) == pytest.approx(tuple(expected), rel=1e-9)


def test_other_rows_in_equal_number_are_refused() -> None:
    rows = sample(10)
    with pytest.raises(SettingsError, match="rows that are not the same"):
        differences(blocks_of(rows), blocks_of(rows._replace(row=rows.row + 1)))


def test_a_score_that_most_draws_leave_undefined_has_no_interval() -> None:
    rows = sample(10)
    rows.truth[rows.time // DAY != 4, 361] = 3.0
    found = intervals(blocks_of(rows))["cam_out_FLWDS"]
    assert np.isfinite(found.value) and np.isnan([found.low, found.high]).all()
