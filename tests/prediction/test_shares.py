"""Weights by rule: equal, between groups, taken over from another ensemble."""

from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.ensemble import combine
from subgrid.prediction.members import Blend
from subgrid.prediction.shares import equal_weights, given_weights, parse_weights, units, weights_of
from subgrid.prediction.together import Given, Together
from subgrid.schema.variable_sets import variable_set

WIDTH = variable_set("v1").target_width
ROWS = np.arange(5)


@pytest.fixture
def together(store_prediction, tmp_path: Path):
    """``together("low", "low", "high")`` are as many predictions, ``0``, ``1``, ..., in these groups."""

    def open_them(*groups: str, names: str = "012345", rows: np.ndarray = ROWS) -> Together:
        given = []
        for name, group in zip(names, groups, strict=False):
            folder = tmp_path / f"{name}-{rows[0]}"
            changes = {"checkpoint_digest": name, "input_digest": str(rows[0])}
            given.append(Given(store_prediction(folder, rows, np.zeros((rows.size, WIDTH)), **changes), group))
        return Together(given)

    return open_them


def test_equal_weights(together) -> None:
    assert np.array_equal(equal_weights(together("", "", "")), np.full((3, 10), 1 / 3))


def test_weights_between_groups_are_equal_inside_them(together) -> None:
    members = together("low", "high", "low", "low")
    names, shares = units(members)
    assert names == ["low", "high"]
    assert shares == pytest.approx(np.array([[1 / 3, 0, 1 / 3, 1 / 3], [0, 1, 0, 0]]))
    found = given_weights(members, {"high": 0.65, "low": 0.35})
    assert found == pytest.approx(np.repeat([[0.35 / 3], [0.65], [0.35 / 3], [0.35 / 3]], 10, axis=1))


def test_thirds_to_three_places_are_thirds(together) -> None:
    found = given_weights(together("a", "b", "c"), {"a": 0.333, "b": 0.333, "c": 0.333})
    assert found.sum(axis=0) == pytest.approx(np.ones(10), abs=1e-15)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"low": 0.5, "high": 0.4}, r"not negative and sum to 1, found \[0.5, 0.4\]"),
        ({"low": 1.5, "high": -0.5}, "not negative and sum to 1"),
        ({"low": 0.5, "hi": 0.5}, "expected a weight for each group, found low, hi; the groups are: low, high"),
        ({"low": 1.0}, "expected a weight for each group"),
        ({"low": float("nan"), "high": 0.5}, "not negative and sum to 1"),
    ],
)
def test_weights_that_do_not_fit_the_groups_are_refused(together, weights: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        given_weights(together("low", "high"), weights)


def test_groups_are_for_all_or_for_none(together) -> None:
    with pytest.raises(SettingsError, match=r"expected a group, as in GROUP=.*1-0, since other members have one"):
        units(together("low", ""))
    with pytest.raises(SettingsError, match="expected --weights GROUP=NUMBER,.* or --fit TRUTH"):
        equal_weights(together("low", "high"))
    with pytest.raises(SettingsError, match="the groups are: none"):
        given_weights(together("", ""), {"low": 0.5, "high": 0.5})


def test_weights_are_read_from_a_word() -> None:
    assert parse_weights("low=0.35, high=6.5e-1") == {"low": 0.35, "high": 0.65}
    for odd in ("0.35,0.65", "low=", "low=a", "low", "low=0.5,low=0.5"):
        with pytest.raises(SettingsError, match="expected GROUP=NUMBER,GROUP=NUMBER"):
            parse_weights(odd)


def test_weights_are_taken_over_by_the_networks_digests(together, tmp_path: Path) -> None:
    known = np.random.default_rng(0).dirichlet(np.ones(3), size=10).T
    combine(together("", "", ""), known, tmp_path / "mean", Blend(method="hill"))
    other = together("", "", "", names="201", rows=ROWS + 7)  # of other rows, in another order
    found, blend = weights_of(tmp_path / "mean", other)
    assert np.array_equal(found, known[[2, 0, 1]])
    assert blend == Blend(method="hill", weights_from=str(tmp_path / "mean"))


def test_weights_of_other_networks_are_refused(together, tmp_path: Path, store_prediction) -> None:
    combine(together("", ""), np.full((2, 10), 0.5), tmp_path / "mean", Blend(method="equal"))
    message = r"not among its members: .*2-0; members without a prediction here: runs/1-0@1"
    with pytest.raises(SettingsError, match=message):
        weights_of(tmp_path / "mean", together("", "", names="02"))
    with pytest.raises(SettingsError, match="expected an ensemble to take weights from"):
        weights_of(tmp_path / "0-0", together("", ""))
    odd = store_prediction(tmp_path / "odd", ROWS, np.zeros((5, 368)), variable_set="kaggle")
    with pytest.raises(DatasetError, match="predicts the variable set 'kaggle'"):
        weights_of(odd, together("", ""))
