"""Scores of predictions, against scikit-learn on the same arrays; joined on rows, whatever their order."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

from subgrid.errors import DatasetError
from subgrid.prediction.columns import DatasetColumns, open_columns
from subgrid.prediction.predict import predict
from subgrid.prediction.score import ScoreSettings, climatology, score
from subgrid.prediction.store import PredictionManifest, StoredPrediction
from subgrid.prediction.writer import PredictionWriter
from subgrid.records.reader import Dataset
from subgrid.schema.variable_sets import scored_columns, variable_set
from subgrid.training.checkpoint import load_emulator

KAGGLE = variable_set("kaggle")
RULED = slice(120 + 12, 120 + 27)
SCORED = np.flatnonzero(scored_columns(KAGGLE))


def joined(prediction: Path, truth: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, rule and truth of all predicted rows that have a truth, sorted by row."""
    stored = StoredPrediction.open(prediction)
    chunks = list(open_columns(str(truth), KAGGLE).truth(stored.rows))
    row = np.concatenate([chunk.row for chunk in chunks])
    targets = np.concatenate([chunk.targets for chunk in chunks])[np.argsort(row)]
    found = stored.at(np.sort(row))
    assert found.rule is not None
    return found.prediction, found.rule, targets


def headline(prediction: np.ndarray, truth: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """The three figures with scikit-learn; the 60 columns that the competition does not weigh count 1 each."""
    scores = r2_score(truth, prediction, multioutput="raw_values")
    with np.errstate(invalid="ignore"):
        strict = r2_score(truth, prediction, multioutput="raw_values", force_finite=False)
    varying = [column for column in SCORED if np.ptp(truth[:, column]) > 0]
    compared = [column for column in varying if not RULED.start <= column < RULED.stop - 1]
    own, truth = own[:, compared], truth[:, compared]
    floored = np.maximum(r2_score(truth, own, multioutput="raw_values", force_finite=False), 0)
    return {
        "competition": (scores[SCORED].sum() + 60) / 368,
        "r2_308": strict[varying].mean(),
        "r2_294": floored.mean(),
    }


@pytest.fixture(scope="module")
def raw_prediction(work: Path, synthetic_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the whole raw folder, with the step that has no mlo."""
    out = tmp_path_factory.mktemp("raw") / "prediction"
    predict(*load_emulator(work / "run"), open_columns(str(synthetic_source), KAGGLE), out)
    return out


def test_scores_are_those_of_scikit_learn(raw_prediction: Path, synthetic_source: Path) -> None:
    own, rule, truth = joined(raw_prediction, synthetic_source)
    ruled = own.copy()
    ruled[:, RULED] = rule
    found = score(raw_prediction, str(synthetic_source))
    assert found.rows == truth.shape[0] == 19 * 24
    assert found.card.headline() == pytest.approx(headline(ruled, truth, own), rel=1e-9)
    without = score(raw_prediction, str(synthetic_source), ScoreSettings(rule=False))
    assert without.card.headline() == pytest.approx(headline(own, truth, own), rel=1e-9)
    table = found.card.to_json()["by_variable"]["cam_out_NETSW"]
    assert table["mae"] == pytest.approx(mean_absolute_error(truth[:, 360], own[:, 360]), rel=1e-9)


def test_rows_of_a_step_without_mlo_are_left_out_and_counted(raw_prediction: Path, synthetic_source: Path) -> None:
    found = score(raw_prediction, str(synthetic_source))
    assert (found.rows, found.without_truth) == (19 * 24, 24)


def test_the_truth_of_a_data_set_does_as_well(work: Path, synthetic_source: Path) -> None:
    """Validation rows in the order of shards against a truth by time that holds five times as many rows."""
    one = score(work / "prediction", str(work / "data"))
    other = score(work / "prediction", str(synthetic_source))
    assert (one.rows, one.without_truth, other.rows, other.without_truth) == (72, 0, 72, 0)
    for key, value in one.card.headline().items():
        assert other.card.headline()[key] == pytest.approx(value, rel=1e-3)


def copied(prediction: Path, out: Path, order: np.ndarray) -> Path:
    """The same rows in another order (or some of them, or some of them twice)."""
    stored = StoredPrediction.open(prediction)
    rows = stored.at(stored.rows[order])
    manifest = stored.manifest.model_copy(update={"rows": order.size, "shards": ()})
    write(out, manifest, rows.row, {"prediction": rows.prediction, "rule": rows.rule, "confidence": rows.confidence})
    return out


def write(out: Path, manifest: PredictionManifest, row: np.ndarray, values: dict) -> None:
    writer = PredictionWriter(out, manifest)
    unknown = np.full(row.size, -1)
    writer.add({"row": row, "column": unknown, "time": unknown, **values})
    writer.finish()


def test_the_order_of_rows_does_not_matter(work: Path, tmp_path: Path) -> None:
    shuffled = copied(work / "prediction", tmp_path / "out", np.random.default_rng(0).permutation(72))
    expected = score(work / "prediction", str(work / "data")).card.headline()
    assert score(shuffled, str(work / "data")).card.headline() == pytest.approx(expected, rel=1e-12)


def test_a_perfect_prediction_has_perfect_scores(work: Path, tmp_path: Path) -> None:
    manifest = StoredPrediction.open(work / "prediction").manifest.model_copy(
        update={"rule": False, "confidence": False, "shards": ()}
    )
    (truth,) = DatasetColumns(Dataset.open(work / "data"), "validation").truth(
        StoredPrediction.open(work / "prediction").rows
    )
    write(tmp_path / "out", manifest, truth.row, {"prediction": truth.targets})
    found = score(tmp_path / "out", str(work / "data")).card.headline()
    assert found == {"competition": 1.0, "r2_308": 1.0, "r2_294": 1.0}


def test_rows_without_truth_are_refused_by_name(raw_prediction: Path, work: Path) -> None:
    missing = open_columns(str(StoredPrediction.open(raw_prediction).manifest.input), KAGGLE).without_truth[0]
    with pytest.raises(DatasetError, match=rf"no truth for 24 of the 480 predicted rows; the first is row {missing}\."):
        score(raw_prediction, str(work / "data"))


def test_rows_that_stand_twice_are_refused_by_name(work: Path, tmp_path: Path) -> None:
    row = StoredPrediction.open(work / "prediction").rows[3]
    out = copied(work / "prediction", tmp_path / "out", np.array([1, 3, 2, 3]))
    with pytest.raises(DatasetError, match=rf"row {row} is predicted twice \(1 doubles\)"):
        score(out, str(work / "data"))


def test_another_variable_set_is_refused(work: Path, tmp_path: Path) -> None:
    manifest = StoredPrediction.open(work / "prediction").manifest.model_copy(
        update={"variable_set": "v1", "rows": 1, "rule": False, "confidence": False, "shards": ()}
    )
    write(tmp_path / "out", manifest, np.array([7]), {"prediction": np.zeros((1, 128))})
    with pytest.raises(DatasetError, match="expected rows of the variable set 'v1', found 'kaggle'"):
        score(tmp_path / "out", str(work / "data"))


def test_climatology_explains_nothing(work: Path) -> None:
    data = Dataset.open(work / "data")
    card = climatology(DatasetColumns(data, "training"), data.table("training"))
    assert card.rows == data.rows("training")
    figures = card.headline()
    assert figures["r2_294"] == pytest.approx(0, abs=1e-9)
    assert figures["r2_308"] == pytest.approx(0, abs=1e-9)


def test_the_same_numbers_of_another_grid_are_refused(work: Path, tmp_path: Path) -> None:
    kept = StoredPrediction.open(work / "prediction")
    rows = kept.at(kept.rows)
    writer = PredictionWriter(tmp_path / "out", kept.manifest.model_copy(update={"shards": ()}))
    writer.add({**rows._asdict(), "column": rows.column + 1})
    writer.finish()
    with pytest.raises(DatasetError, match=r"has column \d+ there and \d+ in the prediction"):
        score(tmp_path / "out", str(work / "data"))
