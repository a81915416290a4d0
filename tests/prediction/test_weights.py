"""The competition's weights: counts that are known, the published file, what a file may be."""

from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import InputError, SettingsError
from subgrid.prediction.weights import (
    compare_weights,
    kind_of,
    make_weights,
    new_weights,
    read_weights,
    weights_of,
    write_weights,
)
from subgrid.records.reader import Dataset
from subgrid.representation.targets import old_weights
from subgrid.schema.variable_sets import variable_set

KAGGLE = variable_set("kaggle")
NAMES = KAGGLE.target_columns
UNSCORED = {f"ptend_{name}_{level}" for name in ("q0001", "q0002", "q0003", "u", "v") for level in range(12)}


def test_new_weights_are_zero_for_sixty_columns() -> None:
    weights = new_weights(KAGGLE)
    assert {name for name, weight in zip(NAMES, weights, strict=True) if weight == 0} == UNSCORED
    assert set(weights) == {0.0, 1.0} and weights.sum() == 308


def test_weights_of_a_data_set_are_one_over_its_spread(work: Path) -> None:
    data = Dataset.open(work / "data")
    targets = np.concatenate([batch.targets for batch in data.scan("training", 100)]).astype(float)
    std = np.ldexp(targets, -KAGGLE.target_exponents).std(axis=0)  # rounded to float32, so not to the last digit
    weights = weights_of(data.table("training"))
    for place, name in enumerate(NAMES):
        if name in UNSCORED:
            assert weights[place] == 0
        else:
            assert weights[place] == pytest.approx(min(1 / std[place], 1e15) if std[place] else 1e15, rel=1e-5)
    assert np.array_equal(make_weights(KAGGLE, data.table("training")), weights)


def test_the_published_weights_have_their_zeros_and_their_cap(climsim: Path) -> None:
    published = read_weights(str(climsim / "kaggle" / "sample_submission_old.csv"), KAGGLE)
    assert np.array_equal(published, old_weights(KAGGLE)) and np.array_equal(make_weights(KAGGLE), published)
    zero = {name for name, weight in zip(NAMES, published, strict=True) if weight == 0}
    assert zero == UNSCORED | {"ptend_q0002_12", "ptend_q0002_13", "ptend_q0002_14"}
    assert (published > 0.999e15).sum() == 11
    assert kind_of(published, KAGGLE, "sample") == "old"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    weights = np.random.default_rng(4).lognormal(sigma=20, size=368)
    write_weights(tmp_path / "new" / "w.csv", weights, KAGGLE, "made up")
    assert np.array_equal(read_weights(str(tmp_path / "new" / "w.csv"), KAGGLE), weights)
    write_weights(tmp_path / "new" / "w.csv", new_weights(KAGGLE), KAGGLE, "made up")
    assert np.array_equal(read_weights(str(tmp_path / "new" / "w.csv"), KAGGLE), new_weights(KAGGLE))
    assert (tmp_path / "new" / "w.csv").read_text().splitlines()[:3] == [
        "# Weights of the competition's target columns, made up", "column,weight", "ptend_t_0,1.0",
    ]  # fmt: skip


def test_sets_are_recognised_and_others_described() -> None:
    assert kind_of(new_weights(KAGGLE), KAGGLE, "x") == "new"
    assert kind_of(old_weights(KAGGLE) * (1 + 1e-8), KAGGLE, "x") == "old"
    sixty = old_weights(KAGGLE)
    sixty[NAMES.index("ptend_q0002_12")] = 1e15
    with pytest.raises(InputError, match=r"distinct values with 62 zeros; 1 columns differ .* ptend_q0002_12"):
        kind_of(sixty, KAGGLE, "x")
    with pytest.raises(InputError, match="found 1 distinct values with 0 zeros; 368 columns differ"):
        kind_of(np.full(368, 0.5), KAGGLE, "x")


def test_differences_are_relative_and_by_variable() -> None:
    one, other = old_weights(KAGGLE), old_weights(KAGGLE)
    other[KAGGLE.target_slices["ptend_u"].start + 33] *= 1.25
    other[NAMES.index("ptend_q0002_13")] = 1e15
    found = compare_weights(one, other, KAGGLE)
    assert found.largest["ptend_u"] == pytest.approx(0.2) and found.columns["ptend_u"] == "ptend_u_33"
    assert found.largest["ptend_q0002"] == 1 and found.largest["ptend_t"] == found.largest["cam_out_SOLS"] == 0
    assert (found.zeros, found.capped) == ((63, 62), (11, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a line of column names, found ''"),
        ("# notes\n", "expected a sample submission, or lines of a column and its weight"),
        ("column,weight\nptend_t_0,1\n", "367 targets are missing, 0 names are foreign"),
        ("column,weight\nptend_t_0,one\n", "could not convert"),
        ("column,weight\nptend_t_0\n", "not enough values"),
        ("sample_id,ptend_t_0\ntest_1,2\n", "misses 'ptend_t_1'"),
    ],
)
def test_files_that_are_no_weights_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_weights(str(tmp_path / "w.csv"), KAGGLE)
    with pytest.raises(SettingsError, match="is there and is no file of weights"):
        write_weights(tmp_path / "w.csv", new_weights(KAGGLE), KAGGLE, "x")
    assert (tmp_path / "w.csv").read_text() == text
    with pytest.raises(InputError, match="cannot be read"):
        read_weights(str(tmp_path / "none.txt"), KAGGLE)
