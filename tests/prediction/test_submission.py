"""What is submitted for a row, against a few lines of numpy; the ways of the commands are in tests/cli."""

from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, InputError
from subgrid.prediction.store import PredictionManifest, StoredPrediction
from subgrid.prediction.submission import Corrections, submit
from subgrid.prediction.weights import new_weights
from subgrid.prediction.writer import PredictionWriter
from subgrid.representation.targets import old_weights
from subgrid.schema.variable_sets import variable_set
from subgrid.source import tables
from subgrid.source.kaggle import KaggleTable

KAGGLE = variable_set("kaggle")
NAMES = KAGGLE.target_columns
RULED = slice(NAMES.index("ptend_q0002_12"), NAMES.index("ptend_q0002_26") + 1)
ROWS = np.random.default_rng(1).choice(10_000, 40, replace=False)


def predicted(
    out: Path, values: np.ndarray, rule: np.ndarray | None, name: str = "kaggle", ids: str = ""
) -> StoredPrediction:
    """A prediction of ROWS, with these values."""
    manifest = PredictionManifest(
        variable_set=name, rows=len(values), run="r", checkpoint="1", checkpoint_digest="c", input="test.csv",
        input_digest="i", ids=ids, rule=rule is not None, confidence=False, program="test",
    )  # fmt: skip
    unknown = np.full(len(values), -1)
    arrays = {"row": ROWS[: len(values)], "column": unknown, "time": unknown, "prediction": values}
    writer = PredictionWriter(out, manifest)
    writer.add(arrays if rule is None else {**arrays, "rule": rule})
    writer.finish()
    return StoredPrediction.open(out)


def sample(path: Path, weights: np.ndarray, rows: np.ndarray = ROWS) -> KaggleTable:
    line = ",".join(map(repr, weights.tolist()))
    path.write_text(f"sample_id,{','.join(NAMES)}\n" + "".join(f"test_{row},{line}\n" for row in rows))
    return KaggleTable(str(path))


def submitted(path: Path) -> np.ndarray:
    return np.array([[float(text) for text in line.split(",")[1:]] for line in path.read_text().splitlines()[1:]])


@pytest.fixture
def made() -> tuple[np.ndarray, np.ndarray]:
    """Values over many sizes, negative zeros among them, and values of the rule."""
    draw = np.random.default_rng(2)
    values = draw.normal(size=(40, 368)) * 10.0 ** draw.integers(-40, 2, (40, 368))
    values[:, :100] = -0.0
    return values, draw.normal(size=(40, 15)) * 1e-12


@pytest.mark.parametrize("kind", ["old", "new"])
@pytest.mark.parametrize("block", [10_000, 1 << 24])
def test_values_times_weights(kind: str, block: int, made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCK", block)
    values, rule = made
    weights = old_weights(KAGGLE) if kind == "old" else new_weights(KAGGLE)
    order = np.random.default_rng(3).permutation(40)
    steps: list[tuple[int, int]] = []
    done = submit(
        predicted(tmp_path / "p", values, rule),
        sample(tmp_path / "s.csv", weights, ROWS[order][:30]),
        tmp_path / "out.csv",
        Corrections(means={"ptend_u_30": 0.25, "ptend_q0002_20": 7.0, "ptend_u_3": 5.0}),
        lambda rows, total: steps.append((rows, total)),
    )
    expected = values.copy()
    expected[:, NAMES.index("ptend_u_30")] = 0.25
    expected[:, RULED] = rule
    expected = (expected * weights)[order][:30]
    expected[:, weights == 0] = 0.0
    assert submitted(tmp_path / "out.csv").tobytes() == expected.tobytes()
    assert (done.rows, done.extra, done.weights) == (30, 10, kind)
    assert steps[-1] == (30, 40) and (len(steps) > 3) == (block < 20_000)


def test_a_prediction_without_the_rule_must_say_so(made, tmp_path: Path) -> None:
    stored = predicted(tmp_path / "p", made[0], None)
    asked = sample(tmp_path / "s.csv", new_weights(KAGGLE))
    with pytest.raises(DatasetError, match="holds no values of the cloud-water rule; leave it out with --no-rule"):
        submit(stored, asked, tmp_path / "out.csv")
    submit(stored, asked, tmp_path / "out.csv", Corrections(rule=False))
    assert np.array_equal(submitted(tmp_path / "out.csv"), made[0] * new_weights(KAGGLE))


def test_rows_of_another_table_are_refused(made, tmp_path: Path) -> None:
    asked = sample(tmp_path / "s.csv", new_weights(KAGGLE))
    with pytest.raises(DatasetError, match=r"rows like test_123 as in .*, found rows like train_123"):
        submit(predicted(tmp_path / "p", *made, ids="train_"), asked, tmp_path / "out.csv")
    submit(predicted(tmp_path / "q", *made, ids="test_"), asked, tmp_path / "out.csv")


def test_a_smaller_set_of_targets_is_refused(tmp_path: Path) -> None:
    stored = predicted(tmp_path / "p", np.zeros((3, 128)), None, "v1")
    asked = sample(tmp_path / "s.csv", new_weights(KAGGLE))
    with pytest.raises(DatasetError, match="expected all targets of the competition, found those of"):
        submit(stored, asked, tmp_path / "out.csv", Corrections(rule=False))


def test_what_cannot_be_is_refused_and_nothing_is_left(made, tmp_path: Path) -> None:
    values, rule = made
    values[5, NAMES.index("ptend_q0002_30")] = 1e305
    stored = predicted(tmp_path / "p", values, rule)
    (tmp_path / "out.csv").write_text("before")
    with pytest.raises(DatasetError, match="a value times its weight is infinite"):
        submit(stored, sample(tmp_path / "s.csv", old_weights(KAGGLE)), tmp_path / "out.csv")
    with pytest.raises(InputError, match="stands there twice"):
        submit(stored, sample(tmp_path / "s.csv", new_weights(KAGGLE), np.append(ROWS, ROWS[0])), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "p", "s.csv"]
