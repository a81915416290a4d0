"""From Kaggle's tables to a submission, by the commands, scored by scikit-learn."""

import json
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from sklearn.metrics import r2_score

from subgrid.cli.kaggle import register
from subgrid.prediction.store import StoredPrediction
from subgrid.representation.targets import old_weights
from subgrid.schema.variable_sets import scored_columns, variable_set

KAGGLE = variable_set("kaggle")
NAMES = KAGGLE.target_columns
WEIGHTS = {"new": scored_columns(KAGGLE).astype(float), "old": old_weights(KAGGLE)}


def test_all_commands_are_there() -> None:
    app = typer.Typer()
    register(app)
    assert [one.callback.__name__ for one in app.registered_commands] == ["submit", "weights"]


def write_sample(path: Path, row: np.ndarray, weights: np.ndarray, names: list[str] = NAMES) -> Path:
    """A sample submission with the weights of the columns as values of every row."""
    by_name = dict(zip(NAMES, map(repr, weights.tolist()), strict=True))
    line = ",".join(by_name[name] for name in names)
    path.write_text(f"sample_id,{','.join(names)}\n" + "".join(f"test_{number},{line}\n" for number in row))
    return path


def read_csv(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Names, ids and values of a table, by Python alone."""
    header, *lines = (line.split(",") for line in path.read_text().splitlines())
    return header, [line[0] for line in lines], np.array([[float(text) for text in line[1:]] for line in lines])


@pytest.fixture(scope="module")
def predicted(work: Path, kaggle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's prediction of test.csv; for reading only."""
    from subgrid.prediction.columns import open_columns
    from subgrid.prediction.predict import predict
    from subgrid.training.checkpoint import load_emulator

    out = tmp_path_factory.mktemp("predicted") / "prediction"
    emulator, info = load_emulator(work / "run")
    predict(emulator, info, open_columns(str(kaggle.folder / "test.csv"), KAGGLE), out, batch=100)
    return out


@pytest.mark.parametrize("kind", ["new", "old"])
def test_from_test_csv_to_a_file_that_scores_what_we_say(
    kind: str, subgrid, work: Path, kaggle, tmp_path: Path
) -> None:
    """The whole way, and the competition's figure by scikit-learn on the weighted solution."""
    assert subgrid("predict", work / "run", kaggle.folder / "test.csv", tmp_path / "p").code == 0
    order = np.random.default_rng(8).permutation(len(kaggle.row))
    names = [*NAMES[200:], *NAMES[:200]]
    sample = write_sample(tmp_path / "sample.csv", kaggle.row[order], WEIGHTS[kind], names)
    answer = subgrid("submit", tmp_path / "p", sample, tmp_path / "out.csv")
    assert answer.code == 0 and f"240 rows with the {kind} weights" in answer.out
    header, ids, values = read_csv(tmp_path / "out.csv")
    assert header == ["sample_id", *names] and ids == [f"test_{number}" for number in kaggle.row[order]]
    values = np.roll(values, 200, axis=1)  # back to our order of columns
    zero = WEIGHTS[kind] == 0
    assert zero.sum() == {"new": 60, "old": 63}[kind]
    assert values[:, zero].tobytes() == bytes(values[:, zero].nbytes)  # 0.0, not -0.0

    solution = kaggle.targets[order] * WEIGHTS[kind]
    expected = r2_score(solution, values, multioutput="uniform_average", force_finite=True)
    write_truth(tmp_path / "truth.csv", kaggle)
    scored = subgrid("score", tmp_path / "p", tmp_path / "truth.csv", "--json").data
    if kind == "new":
        assert scored["competition"] == pytest.approx(expected, abs=1e-10)
    else:  # of the 63 columns without weight, three more count 1 than in our figure
        r2 = r2_score(kaggle.targets, values_by_rule(tmp_path / "p", kaggle), multioutput="raw_values")
        extra = [NAMES.index(f"ptend_q0002_{level}") for level in (12, 13, 14)]
        assert expected == pytest.approx(scored["competition"] + (3 - r2[extra].sum()) / 368, abs=1e-10)


def write_truth(path: Path, kaggle) -> None:
    kaggle.write(path, [f"test_{number}" for number in kaggle.row], NAMES, kaggle.targets)


def values_by_rule(prediction: Path, kaggle) -> np.ndarray:
    """The prediction with the rule, in physical units, in the order of test.csv."""
    found = StoredPrediction.open(prediction).at(kaggle.row)
    values = np.array(found.prediction)
    start = NAMES.index("ptend_q0002_12")
    values[:, start : start + 15] = -kaggle.inputs[:, KAGGLE.input_slices["state_q0002"]][:, 12:27] / 1200
    return values


def test_every_digit_survives_in_csv_and_parquet(subgrid, kaggle, predicted: Path, tmp_path: Path) -> None:
    sample = write_sample(tmp_path / "sample.csv", kaggle.row, WEIGHTS["old"])
    pq.write_table(
        pa.table(
            [[f"test_{number}" for number in kaggle.row], *np.tile(WEIGHTS["old"], (240, 1)).T.copy()],
            names=["sample_id", *NAMES],
        ),
        tmp_path / "sample.parquet",
    )
    expected = np.where(WEIGHTS["old"] == 0, 0.0, values_by_rule(predicted, kaggle) * WEIGHTS["old"])
    for name in ("sample.csv", "sample.parquet"):
        for out in (tmp_path / "sub mission.csv", tmp_path / "submission.parquet"):
            assert subgrid("submit", predicted, tmp_path / name, out).code == 0  # the second time over the first's file
    assert read_csv(tmp_path / "sub mission.csv")[2].tobytes() == expected.tobytes()
    table = pq.read_table(tmp_path / "submission.parquet")
    assert table.column_names == ["sample_id", *NAMES] and table.schema.field(1).type == pa.float64()
    assert np.stack(table.columns[1:], 1).astype(float).tobytes() == expected.tobytes()
    assert table["sample_id"].to_pylist() == read_csv(sample)[1]


def test_without_the_rule_the_networks_own_values_are_submitted(
    subgrid, kaggle, predicted: Path, tmp_path: Path
) -> None:
    sample = write_sample(tmp_path / "sample.csv", kaggle.row, WEIGHTS["new"])
    assert subgrid("submit", predicted, sample, tmp_path / "out.csv", "--no-rule").code == 0
    own = StoredPrediction.open(predicted).at(kaggle.row).prediction
    assert np.array_equal(read_csv(tmp_path / "out.csv")[2], own * WEIGHTS["new"])


def test_columns_of_negative_r2_become_the_training_mean(
    subgrid, work: Path, kaggle, predicted: Path, tmp_path: Path
) -> None:
    sample = write_sample(tmp_path / "sample.csv", kaggle.row, WEIGHTS["new"])
    content = json.loads((work / "score.json").read_text())
    content["by_level"]["ptend_t"]["r2"][5] = -0.25
    content["by_level"]["ptend_q0002"]["r2"][20] = -3.0  # the rule stands there
    (tmp_path / "score.json").write_text(json.dumps(content))
    answer = subgrid("submit", predicted, sample, tmp_path / "a.csv", "--mean-where-negative", tmp_path / "score.json")
    assert answer.code == 0 and "ptend_t_5" in answer.err and "replaced by the training mean" in answer.err
    subgrid("submit", predicted, sample, tmp_path / "b.csv")
    one, other = (read_csv(tmp_path / name)[2] for name in ("a.csv", "b.csv"))
    r2 = np.concatenate([content["by_level"][name]["r2"] for name in KAGGLE.target_slices])
    negative = np.array([value is not None and value < 0 for value in r2])
    mean = json.loads(next((work / "run" / "checkpoints" / "2").glob("checkpoint.json")).read_text())
    mean = np.array(mean["statistics"]["targets"][1])
    ruled = np.zeros(368, dtype=bool)
    ruled[NAMES.index("ptend_q0002_12") : NAMES.index("ptend_q0002_26") + 1] = True
    changed = negative & ~ruled & (WEIGHTS["new"] > 0)
    assert changed[5] and changed.sum() < 308
    assert np.array_equal(one[:, changed], np.broadcast_to(mean, one.shape)[:, changed])
    assert np.array_equal(one[:, ~changed], other[:, ~changed])


def member(name: str) -> dict[str, object]:
    """One of two networks whose mean a prediction is, as its manifest names it."""
    half = {item.name: 0.5 for item in variable_set("kaggle").targets}
    return {"path": name, "run": name, "checkpoint": "1", "checkpoint_digest": name, "input_digest": "i",
            "weights": half}  # fmt: skip


def test_training_means_come_from_the_run_that_predicted(subgrid, refused, work, kaggle, predicted, tmp_path) -> None:
    shutil.copytree(predicted, tmp_path / "p")
    manifest = json.loads((tmp_path / "p" / "prediction.json").read_text())
    sample = write_sample(tmp_path / "sample.csv", kaggle.row, WEIGHTS["new"])
    command = ("submit", tmp_path / "p", sample, tmp_path / "out.csv", "--mean-where-negative", work / "score.json")
    for change, message in (
        ({"run": str(tmp_path / "gone")}, "name it with --run RUN, or leave out --mean-where-negative"),
        ({"checkpoint": "1"}, "is not the checkpoint that made"),
        (
            {"members": [member("a"), member("b")], "blend": {"method": "equal"}},
            "is the mean of several predictions; name the run with --run RUN",
        ),
    ):
        (tmp_path / "p" / "prediction.json").write_text(json.dumps({**manifest, **change}))
        assert message in refused(*command)
        assert subgrid(*command, "--run", work / "run").code == 0
        (tmp_path / "out.csv").unlink()
    assert "--run is for --mean-where-negative only" in refused(*command[:4], "--run", work / "run")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected the scores"),
        ("{}", "expected the scores"),
        ('{"by_level": 3}', "expected the scores"),
        (None, "no such"),
    ],
)
def test_scores_that_are_none_are_refused(content, message, refused, kaggle, predicted, tmp_path) -> None:
    sample = write_sample(tmp_path / "sample.csv", kaggle.row, WEIGHTS["new"])
    if content is not None:
        (tmp_path / "s.json").write_text(content)
    found = refused("submit", predicted, sample, tmp_path / "o.csv", "--mean-where-negative", tmp_path / "s.json")
    assert ("expected the scores that" if content is not None else "cannot be read (No such file") in found


def test_rows_must_be_those_of_the_prediction(subgrid, refused, work, kaggle, predicted, tmp_path) -> None:
    new, out = WEIGHTS["new"], tmp_path / "out.csv"
    fewer = subgrid("submit", predicted, write_sample(tmp_path / "a.csv", kaggle.row[:200], new), out)
    assert fewer.code == 0 and "40 predicted rows are not in" in fewer.err and len(read_csv(out)[1]) == 200
    before = out.read_bytes()
    more = np.concatenate([kaggle.row[:3], [700_001, 700_002]])
    message = refused("submit", predicted, write_sample(tmp_path / "b.csv", more, new), out)
    assert "lacks 2 of the 5 rows" in message and "the first is test_700001" in message
    doubled = write_sample(tmp_path / "c.csv", kaggle.row[[0, 1, 0]], new)
    assert f"the row test_{kaggle.row[0]} stands there twice" in refused("submit", predicted, doubled, out)
    train = tmp_path / "d.csv"
    train.write_text((tmp_path / "a.csv").read_text().replace("test_", "train_"))
    assert "expected a prediction of rows like train_123" in refused("submit", predicted, train, out)
    assert "found rows of a simulation" in refused("submit", work / "prediction", tmp_path / "a.csv", out)
    assert out.read_bytes() == before and not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_other_weights_are_refused_with_what_was_found(refused, work, kaggle, predicted, tmp_path) -> None:
    out, wrong = tmp_path / "out.csv", WEIGHTS["old"].copy()
    wrong[3] *= 1.001
    found = refused("submit", predicted, write_sample(tmp_path / "a.csv", kaggle.row, wrong), out)
    assert "63 zeros" in found and "1 columns differ from the old weights, the first is ptend_t_3" in found
    sample = write_sample(tmp_path / "b.csv", kaggle.row, WEIGHTS["new"])
    lines = sample.read_text().splitlines()
    lines[7] = lines[7].replace(",1.0", ",0.5", 1)
    sample.write_text("\n".join(lines) + "\n")
    assert f"but test_{kaggle.row[6]} differs from the first row" in refused("submit", predicted, sample, out)
    assert "without rows" in refused("submit", predicted, write_sample(tmp_path / "c.csv", kaggle.row[:0], wrong), out)
    assert "misses 'ptend_t_0'" in refused("submit", predicted, kaggle.folder / "test.csv", out)
    assert "'state_t_0', 'state_t_1'" in refused("submit", predicted, kaggle.folder / "train.csv", out)
    assert not out.exists()


def test_files_that_are_no_submission_stay(subgrid, refused, kaggle, predicted, tmp_path) -> None:
    sample = write_sample(tmp_path / "sample.csv", kaggle.row, WEIGHTS["new"])
    for name in ("notes.csv", "notes.parquet"):
        (tmp_path / name).write_text("mine\n")
        assert "is there and is no submission" in refused("submit", predicted, sample, tmp_path / name)
        assert (tmp_path / name).read_text() == "mine\n"
        assert subgrid("submit", predicted, sample, tmp_path / name, "--overwrite").code == 0
    assert "is the sample submission itself" in refused("submit", predicted, sample, sample, "--overwrite")
    (tmp_path / "folder.csv").mkdir()
    assert "found a folder" in refused("submit", predicted, sample, tmp_path / "folder.csv")
    assert "ends with .csv or .parquet" in refused("submit", predicted, sample, tmp_path / "out.zip")


def test_train_csv_is_input_and_truth(subgrid, refused, work: Path, kaggle, tmp_path: Path) -> None:
    train, test = kaggle.folder / "train.csv", kaggle.folder / "test.csv"
    assert "240 rows" in subgrid("predict", work / "run", train, tmp_path / "p").out
    scored = subgrid("score", tmp_path / "p", train, "--json").data
    truth = kaggle.targets[kaggle.order]
    values = np.array(StoredPrediction.open(tmp_path / "p").at(np.arange(240)).prediction)
    start = NAMES.index("ptend_q0002_12")
    values[:, start : start + 15] = -kaggle.inputs[kaggle.order][:, KAGGLE.input_slices["state_q0002"]][:, 12:27] / 1200
    new = WEIGHTS["new"]
    assert scored["competition"] == pytest.approx(r2_score(truth * new, values * new), abs=1e-10)
    assert "holds rows test_N, the prediction is of rows train_N" in refused("score", tmp_path / "p", test)
    assert "Kaggle's tables have no splits" in refused(
        "predict", work / "run", test, tmp_path / "q", "--split", "training"
    )
    assert "expected the columns state_t_0" in refused(
        "predict", work / "run", write_sample(tmp_path / "s.csv", kaggle.row, new), tmp_path / "q"
    )


def test_a_table_without_rows_is_refused(refused, work: Path, kaggle, tmp_path: Path) -> None:
    header = (kaggle.folder / "test.csv").read_text().partition("\n")[0]
    (tmp_path / "test.csv").write_text(header + "\n")
    found = refused("predict", work / "run", tmp_path / "test.csv", tmp_path / "out")
    assert "expected rows to predict, found a line of column names alone" in found
    assert not (tmp_path / "out").exists()


def test_weights_are_made_and_compared(subgrid, refused, work: Path, tmp_path: Path) -> None:
    made = subgrid("weights", tmp_path / "made.csv", "--from", work / "data")
    assert made.code == 0 and "308 weights and 60 zeros" in made.out
    same = subgrid("weights", "--from", work / "data", "--compare", tmp_path / "made.csv").out.splitlines()
    assert all(line.split()[1] == "0" for line in same[1:-2]) and same[-2] == "zeros: 60 and 60"
    sample = write_sample(tmp_path / "sample.csv", np.arange(2), WEIGHTS["old"])
    published = subgrid("weights", "--compare", sample).out.splitlines()
    assert all(line.split()[1] == "0" for line in published[1:-2])
    assert published[-2:] == ["zeros: 63 and 63", "at the cap of 1e15: 11 and 11"]
    assert "308 weights" in subgrid("weights", tmp_path / "n.csv", "--new", "--compare", sample).out
    assert "zeros: 60 and 63" in subgrid("weights", "--new", "--compare", sample).out
    assert "give OUT" in refused("weights")
    assert "not both" in refused("weights", tmp_path / "x.csv", "--new", "--from", work / "data")
    assert "is no file of weights" in refused("weights", sample, "--new")


def test_a_sample_at_a_url_is_told_without_secrets(subgrid, predicted: Path, kaggle, tmp_path: Path) -> None:
    system, url = fsspec.filesystem("memory"), "memory://me:hunter2@samples/sample.csv"
    sample = write_sample(tmp_path / "sample.csv", kaggle.row[:200], WEIGHTS["new"])
    system.pipe_file(url.removeprefix("memory:/"), sample.read_bytes())
    answer = subgrid("submit", predicted, url, tmp_path / "out.csv")
    system.rm("/me:hunter2@samples", recursive=True)
    assert answer.code == 0 and "40 predicted rows are not in memory://samples/sample.csv: left out" in answer.err
    assert "hunter2" not in answer.out + answer.err
