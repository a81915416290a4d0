"""Commands that learn: what they write, what they print, what they refuse."""

import json
import shutil
from pathlib import Path

import pytest
import typer

from subgrid.cli import score_text
from subgrid.cli.learning import register
from subgrid.prediction.store import StoredPrediction
from subgrid.training.checkpoint import read_weights

FIGURES = ("competition", "r2_308", "r2_294")


def test_all_commands_are_there() -> None:
    app = typer.Typer()
    register(app)
    assert [one.callback.__name__ for one in app.registered_commands] == ["train", "predict", "run"]


def test_trained_predicted_checked_and_scored(subgrid, work: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "r u n", tmp_path / "p r e d"
    trained = subgrid("train", work / "recipe.yaml", "--data", work / "data", "--out", run)
    assert trained.code == 0 and "96 rows" in trained.out and "r2_294" in trained.out
    assert subgrid("predict", run, work / "data", out, "--split", "validation").code == 0
    checked = subgrid("predict", run, work / "data", out, "--split", "validation", "--check", work / "prediction")
    assert checked.code == 0 and "largest difference" in checked.out  # the chain's recipe and seed are the same
    scored = subgrid("score", out, work / "data", "--json").data
    assert [scored[name] for name in FIGURES] == pytest.approx(
        [json.loads((work / "score.json").read_text())[name] for name in FIGURES], rel=1e-3
    )


def test_train_again_has_nothing_left_to_do(subgrid, work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "run", tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    answer = subgrid("train", tmp_path / "run" / "recipe.yaml", "--data", work / "data", "--out", tmp_path / "run")
    assert answer.code == 0 and "checkpoint 2" in answer.out
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_run_can_start_from_another(subgrid, work: Path, tmp_path: Path) -> None:
    command = ("train", work / "recipe.yaml", "--data", work / "data", "--out", tmp_path / "run", "--init")
    assert subgrid(*command, f"{work / 'run'}@1", "--set", "training.learning_rate=1e-12").code == 0
    one, other = read_weights(work / "run" / "checkpoints" / "1"), read_weights(tmp_path / "run" / "checkpoints" / "2")
    learnt = [name for name in one if "running" not in name and "num_batches" not in name]
    assert all(abs(one[name] - other[name]).max() < 1e-6 for name in learnt)


def test_a_prediction_is_that_of_the_checkpoint_named(subgrid, work: Path, tmp_path: Path) -> None:
    for name, expected in (("1", "1"), ("latest", "2"), ("best", (work / "run" / "best").read_text().strip())):
        assert subgrid("predict", f"{work / 'run'}@{name}", work / "data", tmp_path / name).code == 0
        assert StoredPrediction.open(tmp_path / name).manifest.checkpoint == expected


def test_a_check_fails_where_predictions_differ(subgrid, refused, work: Path, tmp_path: Path) -> None:
    command = ("predict", work / "run", work / "data", tmp_path / "out", "--split", "validation", "--check")
    assert subgrid(*command, work / "prediction").code == 0
    assert "is OUT itself" in subgrid(*command, tmp_path / "out").err
    assert subgrid("predict", f"{work / 'run'}@1", work / "data", tmp_path / "b", "--split", "validation").code == 0
    answer = subgrid(*command, tmp_path / "b")
    assert answer.code == 1 and "error: expected at most 0.001 standard deviations" in answer.err


def test_what_to_check_against_is_looked_at_first(refused, work: Path, tmp_path: Path) -> None:
    message = refused("predict", work / "run", work / "data", tmp_path / "out", "--check", work / "data")
    assert "data: expected a prediction with a prediction.json, found none" in message
    assert not (tmp_path / "out").exists()


def test_raw_steps_are_input_and_truth(subgrid, work: Path, synthetic_source: Path, tmp_path: Path) -> None:
    assert "480 rows" in subgrid("predict", work / "run", synthetic_source, tmp_path / "out").out
    answer = subgrid("score", tmp_path / "out", synthetic_source, "--json")
    assert (answer.code, answer.data["rows"]) == (0, 456)
    assert "24 predicted rows belong to steps without an mlo file: left out" in answer.err


@pytest.mark.parametrize("kind", ["data", "run", "prediction", "nowhere", "recipe.yaml"])
def test_folders_of_another_kind_are_refused(kind: str, refused, work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if kind != "run":
        assert kind in refused("predict", work / kind, work / "data", out)
    if kind != "data":
        assert kind in refused("predict", work / "run", work / kind, out)
        assert kind in refused("score", work / "prediction", work / kind)
        assert kind in refused("train", work / "recipe.yaml", "--data", work / kind, "--out", out)
    if kind != "prediction":
        assert kind in refused("score", work / kind, work / "data")
    assert not out.exists()


def test_folders_that_hold_something_else_are_left_alone(refused, work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert "expected an empty folder or a prediction" in refused("predict", work / "run", work / "data", work / "run")
    assert "found a file" in refused("predict", work / "run", work / "data", tmp_path / "file")
    train = ("train", work / "recipe.yaml", "--data", work / "data", "--out")
    assert "expected an empty folder or a run" in refused(*train, work / "data")
    assert "found a file" in refused(*train, tmp_path / "file")
    assert "training.rows: 96 -> 104" in refused(*train, work / "run", "--set", "training.rows=104")


def test_the_whole_chain_into_something_else_is_refused(refused, work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    for name, what in (("data", "a data set"), ("run", "a run"), ("prediction", "a prediction")):
        before = sorted(path.name for path in (work / name).iterdir())
        message = refused("run", work / "recipe.yaml", "--set", f"out={work / name}")
        assert f"expected a new folder, or one that this command wrote, found {what}" in message
        assert sorted(path.name for path in (work / name).iterdir()) == before
    assert "found a file" in refused("run", work / "recipe.yaml", "--set", f"out={tmp_path / 'file'}")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nonsense", "--set nonsense: expected KEY=VALUE"),
        ("training.row=5", "unknown key 'training.row'; did you mean"),
        ("training.rows=many", "Input should be a valid integer"),
        ("training=5", "training"),
        ("training.rows=[", "not YAML"),
        ("model.name=transformer", "unknown network 'transformer'"),
    ],
)
def test_odd_settings_are_refused(setting: str, message: str, refused, work: Path, tmp_path: Path) -> None:
    found = refused("train", work / "recipe.yaml", "--data", work / "data", "--out", tmp_path / "out", "--set", setting)
    assert message in found
    assert message in refused("run", work / "recipe.yaml", "--set", f"out={tmp_path / 'out'}", "--set", setting)
    assert not (tmp_path / "out").exists()


def test_names_of_checkpoints_and_splits_are_checked(
    refused, work: Path, synthetic_source: Path, tmp_path: Path
) -> None:
    predict, out = ("predict", work / "run"), tmp_path / "out"
    assert "no split 'test'" in refused(*predict, work / "data", out, "--split", "test")
    assert "raw steps have no splits" in refused(*predict, synthetic_source, out, "--split", "training")
    assert "no checkpoint '7'; there are: 1, 2" in refused("predict", f"{work / 'run'}@7", work / "data", out)
    assert "not the name of a checkpoint" in refused("predict", f"{work / 'run'}@../1", work / "data", out)


def test_a_network_that_learnt_nothing_fails_the_run(
    subgrid, work: Path, synthetic_source: Path, tmp_path: Path
) -> None:
    settings = [f"source.location={synthetic_source}", f"out={tmp_path / 'out'}", "training.learning_rate=1e-9"]
    answer = subgrid("run", work / "recipe.yaml", *(word for one in settings for word in ("--set", one)))
    assert answer.code == 1
    assert "is not clearly above climatology's" in answer.err and "training.rows" in answer.err
    assert str(tmp_path / "out" / "score.json") in answer.out
    assert json.loads((tmp_path / "out" / "score.json").read_text())["split"] == "validation"


def test_a_dry_run_prints_the_plan_and_writes_nothing(subgrid, work: Path, tmp_path: Path) -> None:
    command = ("train", work / "recipe.yaml", "--data", work / "data", "--dry-run")
    text = subgrid(*command, "--out", tmp_path / "run").out
    for part in ("squeezeformer", "96 rows = 0.25 epochs of 384 rows", "12 of 8 rows in 2 sub-epochs", "96 of 384",
                 "24 validation rows", "0.01 at most", "latest, best", "activations"):  # fmt: skip
        assert part in text
    found = subgrid(*command, "--json", "--set", "training.keep=[1]").data
    assert (found["rows"], found["kept"], found["data"][0]["taken"]) == (96, [1], 96)
    assert list(tmp_path.iterdir()) == []
    assert "makes no use of model.layers\n" in text
    mlp = subgrid(*command, "--set", "model.name=mlp", "--set", "model.scale_init=one").out
    unused = ("width", "blocks", "head", "heads", "kernel", "scale_init")
    assert f"makes no use of {', '.join(f'model.{name}' for name in unused)}\n" in mlp


def test_a_run_needs_a_folder_and_as_many_data_sets_as_the_recipe_lists(subgrid, refused, work: Path) -> None:
    answer = subgrid("train", work / "recipe.yaml", "--data", work / "data")
    assert answer.code == 2 and "--out" in answer.err
    told = subgrid("train", work / "recipe.yaml", "--data", work / "data", "--out", work / "never", "--json")
    assert told.code == 2 and "--dry-run" in told.err and not (work / "never").exists()
    twice = ("train", work / "recipe.yaml", "--data", work / "data", "--data", work / "data", "--dry-run")
    assert "training.data lists 1 data set(s) (data), found 2" in refused(*twice)


def test_two_data_sets_through_the_command_line(subgrid, work: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mixed.yaml"
    recipe.write_text(
        f"base: {work / 'recipe.yaml'}\n"
        "training: {data: [{name: low, share: 2}, {name: high, once: true, clip: 1.1}], keep: [1],\n"
        "           validation: [{name: a, rows: 20}, {name: b, data: high, skip: 20, rows: 20}], validation_rows: 0}\n"
    )
    command = ("train", recipe, "--data", work / "data", "--data", work / "data", "--out", tmp_path / "run")
    answer = subgrid(*command)
    assert answer.code == 0 and "96 rows" in answer.out
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-2])["validation"]
    assert last["a"] != last["b"]
    assert answer.out.splitlines()[1:] == [f"{name}   {score_text.figures(last[name])}" for name in ("a", "b")]
    assert subgrid("predict", f"{tmp_path / 'run'}@1", work / "data", tmp_path / "prediction").code == 0
    assert "this run is complete" in subgrid(*command).err


def test_a_recipe_of_two_data_sets_is_no_chain(refused, work: Path, tmp_path: Path) -> None:
    settings = ("--set", "training.data=[{name: a}, {name: b}]", "--set", f"out={tmp_path / 'out'}")
    assert "training.data lists 2 data sets, and subgrid run makes one" in refused(
        "run", work / "recipe.yaml", *settings
    )
    assert not (tmp_path / "out").exists()
