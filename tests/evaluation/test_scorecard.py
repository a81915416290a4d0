"""The three figures against scikit-learn on the very arrays, the cloud-water rule, chunks, other sets."""

import json

import numpy as np
import pytest
from sklearn.metrics import r2_score

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.evaluation.scorecard import Scorecard, compared_columns, competition_columns, ruled_columns
from subgrid.schema.variable_sets import scored_columns, variable_set

VARIABLES = variable_set("kaggle")
NAMES = VARIABLES.target_columns
RULED = [NAMES.index(f"ptend_q0002_{level}") for level in range(12, 27)]
WEIGHTS = np.array(
    [
        0.0
        if name.rpartition("_")[2].isdigit() and int(name.rpartition("_")[2]) < 12 and "ptend_t" not in name
        else 1.0
        for name in NAMES
    ]
)


def sample(rows: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, truth, rule of made-up columns: some below 0, one without variance, real magnitudes."""
    random = np.random.default_rng(seed)
    scale = np.where(np.array(["q000" in name for name in NAMES]), 1e-9, 1e-2)
    scale[RULED] = 10.0 ** np.linspace(-60, -15, 15)
    truth = random.normal(size=(rows, 368)) * scale
    truth[:, NAMES.index("ptend_q0003_12")] = 0.0
    prediction = truth + random.normal(size=(rows, 368)) * scale * np.linspace(0.1, 1.1, 368)
    return prediction, truth, truth[:, RULED] * (1 + 0.01 * random.normal(size=(rows, 15)))


def test_the_columns_of_the_figures() -> None:
    assert WEIGHTS.sum() == 308
    np.testing.assert_array_equal(competition_columns(VARIABLES), np.flatnonzero(WEIGHTS))
    compared = set(np.flatnonzero(WEIGHTS)) - {NAMES.index(f"ptend_q0002_{level}") for level in range(12, 26)}
    assert set(compared_columns(VARIABLES)) == compared and len(compared) == 294
    np.testing.assert_array_equal(ruled_columns(VARIABLES), RULED)
    assert competition_columns(variable_set("v1")) is None
    assert ruled_columns(variable_set("v1")).size == 0


@pytest.mark.parametrize("ruled", [True, False])
def test_the_competitions_figure_equals_scikit_learn_on_the_submission(ruled: bool) -> None:
    prediction, truth, rule = sample()
    submitted = prediction.copy()
    if ruled:
        submitted[:, RULED] = rule
    expected = r2_score(truth * WEIGHTS, submitted * WEIGHTS)
    card = Scorecard.of(VARIABLES, prediction, truth, rule if ruled else None)
    assert card.headline()["competition"] == pytest.approx(expected, abs=1e-10)
    assert card.has_rule is ruled


def test_r2_308_and_r2_294_equal_their_words() -> None:
    prediction, truth, rule = sample()
    each = r2_score(truth, prediction, multioutput="raw_values")
    with_rule = each.copy()
    with_rule[RULED] = r2_score(truth[:, RULED], rule, multioutput="raw_values")
    defined = scored_columns(VARIABLES) & (truth.std(axis=0) > 0)
    compared = defined.copy()
    compared[RULED[:-1]] = False
    card = Scorecard.of(VARIABLES, prediction, truth, rule)
    assert card.headline()["r2_308"] == pytest.approx(with_rule[defined].mean(), abs=1e-10)
    assert card.headline()["r2_294"] == pytest.approx(np.maximum(each, 0)[compared].mean(), abs=1e-10)
    assert card.undefined() == ["ptend_q0003_12"]
    below = {NAMES[index]: each[index] for index in np.flatnonzero(compared & (each < 0))}
    assert len(below) > 3
    assert card.below_zero() == pytest.approx(below, abs=1e-10)
    assert list(card.below_zero().values()) == sorted(card.below_zero().values())


def test_perfect_predictions_and_climatology() -> None:
    _, truth, _ = sample()
    perfect = Scorecard.of(VARIABLES, truth, truth, truth[:, RULED])
    assert perfect.headline() == pytest.approx({"competition": 1.0, "r2_308": 1.0, "r2_294": 1.0}, abs=1e-12)
    mean = Scorecard.of(VARIABLES, np.broadcast_to(truth.mean(axis=0), truth.shape), truth)
    assert mean.headline() == pytest.approx({"competition": 61 / 368, "r2_308": 0.0, "r2_294": 0.0}, abs=1e-10)


def test_chunks_parts_and_saved_states_give_the_same() -> None:
    prediction, truth, rule = sample()
    whole = Scorecard.of(VARIABLES, prediction, truth, rule)
    card = Scorecard.zero(VARIABLES)
    for start in range(0, 300, 77):
        chunk = slice(start, start + 77)
        card = card.update(prediction[chunk], truth[chunk], rule[chunk])
    half = Scorecard.of(VARIABLES, prediction[:150], truth[:150], rule[:150])
    half = Scorecard.from_state(json.loads(json.dumps(half.state())))
    parts = half + Scorecard.of(VARIABLES, prediction[150:], truth[150:], rule[150:])
    for other in (card, parts):
        assert other.rows == 300
        assert other.headline() == pytest.approx(whole.headline(), abs=1e-10)
    assert Scorecard.from_state(whole.state()).to_json() == whole.to_json()


def test_score_json_has_the_figures_at_the_top_and_no_nan() -> None:
    card = Scorecard.of(VARIABLES, *sample())
    data = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert {name: data[name] for name in ("competition", "r2_308", "r2_294")} == card.headline()
    assert (data["rows"], data["rule"], data["undefined"]) == (300, True, ["ptend_q0003_12"])
    assert data["below_zero"]["count"] == len(data["below_zero"]["columns"])
    assert data["by_level"]["ptend_q0003"]["r2"][12] is None
    assert len(data["by_variable"]) == 14
    assert data["rule_r2"]["ptend_q0002_26"] > 0.99


def test_a_set_without_the_columns_has_null_figures_and_whole_tables() -> None:
    variables = variable_set("v1")
    truth = np.random.default_rng(0).normal(size=(40, 128))
    card = Scorecard.zero(variables).update(truth + 0.1, truth, None)
    assert card.headline() == {"competition": None, "r2_308": None, "r2_294": None}
    assert card.to_json()["by_variable"]["ptend_q0001"]["r2"] > 0.9
    assert (Scorecard.of(variables, truth, truth) + card).rows == 80
    assert Scorecard.of(variable_set("v2"), *sample()).headline() == Scorecard.of(VARIABLES, *sample()).headline()


def test_an_empty_card_has_no_figures() -> None:
    data = Scorecard.zero(VARIABLES).to_json()
    assert (data["competition"], data["r2_308"], data["r2_294"], data["rows"]) == (None, None, None, 0)


def test_misfits_are_refused_by_name() -> None:
    prediction, truth, rule = sample(20)
    with pytest.raises(InputError, match=r"\(20, 15\)"):
        Scorecard.of(VARIABLES, prediction, truth, rule[:, :14])
    with pytest.raises(SettingsError, match="rule"):
        _ = Scorecard.of(VARIABLES, prediction, truth, rule) + Scorecard.of(VARIABLES, prediction, truth)
    with pytest.raises(SettingsError, match="'v2'"):
        _ = Scorecard.zero(VARIABLES) + Scorecard.zero(variable_set("v2"))
    with pytest.raises(DatasetError, match="368"):
        Scorecard.from_state({**Scorecard.zero(VARIABLES).state(), "variables": "v1"})
    rule[3, 2] = np.nan
    with pytest.raises(InputError, match=r"ptend_q0002_14 \(rule\): 1"):
        Scorecard.of(VARIABLES, prediction, truth, rule)
    prediction[0, 361] = np.nan
    with pytest.raises(InputError, match="cam_out_FLWDS: 1"):
        Scorecard.of(VARIABLES, prediction, truth)
