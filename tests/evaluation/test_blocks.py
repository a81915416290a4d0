"""The scorecard by blocks of days: the same card as without blocks, and every row in the block of its day."""

import numpy as np
import pytest

from subgrid.errors import InputError, SettingsError
from subgrid.evaluation.blocks import DAY, Blocks
from subgrid.evaluation.rows import Frame, Rows
from subgrid.evaluation.scorecard import Scorecard
from subgrid.schema.variable_sets import variable_set

KAGGLE = variable_set("kaggle")
FRAME = Frame(KAGGLE, None)


def sample(rows: int, seed: int = 0, days: int = 40) -> Rows:
    random = np.random.default_rng(seed)
    truth = random.normal(size=(rows, 368)) + 3
    prediction = truth + random.normal(size=truth.shape) * 0.5
    time = random.integers(0, days * DAY, rows)
    number = np.arange(rows)
    return Rows(prediction, truth, number * 0 - 1, time, number, np.zeros((rows, 556)), rule=truth[:, 132:147] * 1.1)


def piece(rows: Rows, start: int, stop: int) -> Rows:
    return Rows(*(None if values is None else values[start:stop] for values in rows))


def test_the_card_is_that_of_all_rows() -> None:
    rows = sample(500)
    blocks = Blocks(FRAME, 3)
    for start in range(0, 500, 77):
        blocks.add(piece(rows, start, start + 77))
    expected = Scorecard.of(KAGGLE, rows.prediction, rows.truth, rows.rule).headline()
    assert blocks.card().headline() == pytest.approx(expected, rel=1e-12)
    assert blocks.card().rows == 500


def test_every_row_is_in_the_block_of_its_day() -> None:
    rows = sample(300)
    blocks = Blocks(FRAME, 7)
    blocks.add(rows)
    numbers, own, _ = blocks.sorted()
    expected, counts = np.unique(rows.time // (7 * DAY), return_counts=True)
    np.testing.assert_array_equal(numbers, expected)
    np.testing.assert_array_equal(own.rows[:, 0], counts)


def test_workers_merge() -> None:
    rows = sample(400)
    whole, one, other = (Blocks(FRAME) for _ in range(3))
    whole.add(rows)
    one.add(piece(rows, 0, 150))
    other.add(piece(rows, 150, 400))
    one.merge(other)
    np.testing.assert_allclose(one.sorted()[1].m2, whole.sorted()[1].m2, rtol=1e-10)
    assert one.card().headline() == pytest.approx(whole.card().headline(), rel=1e-12)


def test_unknown_times_are_one_block_that_does_not_count() -> None:
    rows = sample(20)._replace(time=np.full(20, -1))
    blocks = Blocks(FRAME)
    blocks.add(rows)
    assert (blocks.numbers.tolist(), blocks.count) == ([-1], 0)


def test_blocks_double_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sample(600, days=100)
    rows.time[:5] = -1
    fine, few, piece_of = Blocks(FRAME, 1), Blocks(FRAME, 1), Blocks(FRAME, 1)
    fine.add(rows)
    monkeypatch.setattr("subgrid.evaluation.blocks.MOST_BLOCKS", 30)
    for start in range(0, 400, 50):
        few.add(piece(rows, start, start + 50))
    piece_of.add(piece(rows, 400, 600))
    few.merge(piece_of)
    numbers, own, rule = few.sorted()
    assert few.days == 4 and numbers.tolist() == [-1, *range(25)]
    expected = [np.isin(fine.sorted()[0] // 4, [number]) for number in numbers]
    np.testing.assert_array_equal(own.rows, [fine.sorted()[1].rows[inside].sum(axis=0) for inside in expected])
    np.testing.assert_array_equal(rule.rows[:, 0], own.rows[:, 0])
    assert few.card().headline() == pytest.approx(fine.card().headline(), rel=1e-12)


def test_without_rows_there_is_an_empty_card() -> None:
    assert Blocks(FRAME).card().headline() == {"competition": None, "r2_308": None, "r2_294": None}


def test_nan_is_refused_by_name() -> None:
    rows = sample(5)
    rows.prediction[2, 60] = np.nan
    with pytest.raises(InputError, match="ptend_q0001_0: 1"):
        Blocks(FRAME).add(rows)


def test_blocks_of_other_lengths_do_not_merge() -> None:
    with pytest.raises(SettingsError, match="blocks of 5 and of 7 days"):
        Blocks(FRAME).merge(Blocks(FRAME, 7))
    with pytest.raises(SettingsError, match="blocks of 15 and of 5 days"):
        Blocks(FRAME, 15).merge(Blocks(FRAME))
    with pytest.raises(SettingsError, match="at least one day"):
        Blocks(FRAME, 0)


def test_the_same_rows_are_known_in_any_order_and_any_pieces() -> None:
    rows = sample(200)
    order = np.random.default_rng(1).permutation(200)
    mixed = Rows(*(None if values is None else values[order] for values in rows))
    one, other, less = (Blocks(FRAME) for _ in range(3))
    one.add(rows)
    for start in range(0, 200, 60):
        part = Blocks(FRAME)
        part.add(piece(mixed, start, start + 60))
        other.merge(part)
    less.add(piece(rows, 0, 199))
    assert one.same_rows(other) and not one.same_rows(less)
