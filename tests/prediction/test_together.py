"""Predictions side by side: what may be combined, what differs and in how many rows, how arguments are read."""

from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.together import Given, Together, parse_given
from subgrid.schema.variable_sets import variable_set

WIDTH = variable_set("v1").target_width
ROWS = np.random.default_rng(3).permutation(np.arange(1000, 1033))


def values(seed: int, rows: int = ROWS.size) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, WIDTH))


def test_rows_are_joined_on_their_numbers(store_prediction, tmp_path: Path) -> None:
    order = np.random.default_rng(4).permutation(ROWS.size)
    one = store_prediction(tmp_path / "one", ROWS, values(1))
    other = store_prediction(tmp_path / "other", ROWS[order], values(2)[order])
    together = Together([Given(one), Given(other)])
    found = list(together.chunks())
    assert np.array_equal(np.concatenate([rows[0].row for rows in found]), ROWS)
    assert np.array_equal(np.concatenate([rows[1].prediction for rows in found]), values(2))
    assert together.stored[1].rows is together.stored[0].rows  # held once, whatever the number of members


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variable_set": "kaggle"}, "two: predicts the variable set 'kaggle', .*one 'v1'"),
        (
            {"input_digest": "j", "input": "raw"},
            r"it was predicted from raw \(digest j\), .*one from data \(digest i\)",
        ),
        ({"checkpoint_digest": "one"}, "two: is of the same network as .*one .*give it a weight instead"),
        ({"rule": np.ones((33, 15))}, "it holds values of the cloud-water rule, unlike .*one"),
    ],
)
def test_what_differs_is_named(store_prediction, tmp_path: Path, changes: dict, message: str) -> None:
    width = 368 if changes.get("variable_set") == "kaggle" else WIDTH
    one = store_prediction(tmp_path / "one", ROWS, values(1))
    two = store_prediction(tmp_path / "two", ROWS, np.zeros((ROWS.size, width)), **changes)
    with pytest.raises((DatasetError, SettingsError), match=message):
        Together([Given(one), Given(two)])


def test_other_rows_are_counted(store_prediction, tmp_path: Path) -> None:
    one = store_prediction(tmp_path / "one", ROWS, values(1))
    two = store_prediction(tmp_path / "two", np.sort(ROWS)[3:] + 1, values(2)[3:], input_digest="j")
    message = "it lacks 4 of the 33 rows of .*one and has 1 others; it was predicted from"
    with pytest.raises(DatasetError, match=message):
        Together([Given(one), Given(two)])


@pytest.mark.parametrize("name", ["column", "time", "rule"])
def test_places_and_rule_must_be_equal_to_the_bit(store_prediction, tmp_path: Path, name: str) -> None:
    arrays = {"column": ROWS % 7, "time": ROWS * 1200, "rule": np.zeros((ROWS.size, 15))}
    one = store_prediction(tmp_path / "one", ROWS, values(1), **arrays)
    changed = arrays[name].copy()
    changed[[5, 8]] = -0.0 if name == "rule" else 6000
    two = store_prediction(tmp_path / "two", ROWS, values(2), **(arrays | {name: changed}))
    together = Together([Given(one), Given(two)])
    with pytest.raises(
        DatasetError, match=rf"two: {name} differs from that in .*one in 2 of 33 rows, .* row {ROWS[5]}:"
    ):
        list(together.chunks())


def test_one_prediction_is_no_ensemble(store_prediction, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs two predictions or more, found 1"):
        Together([Given(store_prediction(tmp_path / "one", ROWS, values(1)))])
    with pytest.raises(DatasetError, match="expected a prediction with a prediction.json, found none"):
        Together([Given(tmp_path / "one"), Given(tmp_path / "nowhere")])


def test_arguments_are_predictions_with_or_without_a_group(tmp_path: Path) -> None:
    for name in ("low-2", "low-1", "a=b", "odd*"):
        (tmp_path / name).mkdir()
    assert parse_given("some/where") == [Given(Path("some/where"))]
    assert parse_given("low=some/where") == [Given(Path("some/where"), "low")]
    assert parse_given("some/odd=name") == [Given(Path("some/odd=name"))]
    assert parse_given(f"low={tmp_path}/low-*") == [Given(tmp_path / "low-1", "low"), Given(tmp_path / "low-2", "low")]
    assert parse_given(f"low={tmp_path}/odd*") == [Given(tmp_path / "odd*", "low")]
    with pytest.raises(DatasetError, match="no folder fits the pattern"):
        parse_given(f"low={tmp_path}/high-*")


def test_a_folder_with_an_equals_sign_is_taken_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lr=1").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_given("lr=1") == [Given(Path("lr=1"))]
    assert parse_given("low=lr=1") == [Given(Path("lr=1"), "low")]
