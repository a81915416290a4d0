"""The command that combines predictions: what it writes, prints and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer

from subgrid.cli.combining import register
from subgrid.prediction.store import PredictionManifest, StoredPrediction
from subgrid.prediction.writer import PredictionWriter


def test_all_commands_are_there() -> None:
    app = typer.Typer()
    register(app)
    assert [one.callback.__name__ for one in app.registered_commands] == ["ensemble"]


def changed(prediction: Path, out: Path, factor: float, **changes: object) -> Path:
    """Another network's prediction of the same rows: the values times a factor."""
    stored = StoredPrediction.open(prediction)
    rows = stored.at(stored.rows)
    update = {"shards": (), "run": f"runs/{out.name}", "checkpoint_digest": out.name} | changes
    manifest = PredictionManifest(**(stored.manifest.model_dump() | update))
    arrays = rows._asdict() if manifest.confidence else {**rows._asdict(), "confidence": None}
    writer = PredictionWriter(out, manifest)
    writer.add({name: values for name, values in arrays.items() if values is not None} | {
        "prediction": rows.prediction * factor})  # fmt: skip
    writer.finish()
    return out


@pytest.fixture
def three(work: Path, tmp_path: Path) -> list[Path]:
    """The network's prediction, and 1.5 and 0.5 times it as two others."""
    return [work / "prediction", changed(work / "prediction", tmp_path / "large", 1.5),
            changed(work / "prediction", tmp_path / "small", 0.5)]  # fmt: skip


def test_a_mean_is_a_prediction_like_any_other(subgrid, work: Path, three: list[Path], tmp_path: Path) -> None:
    answer = subgrid("ensemble", tmp_path / "m e a n", *three[1:])
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == f"{tmp_path / 'm e a n'}: 72 rows, the mean of 2 networks"
    own, mean = (subgrid("score", path, work / "data", "--json").data for path in (three[0], tmp_path / "m e a n"))
    assert mean["r2_294"] == pytest.approx(own["r2_294"], rel=1e-9)  # 1.5 x and 0.5 x the network's values
    shown = subgrid("inspect", tmp_path / "m e a n")
    assert "mean of       2 networks, weights equal" in shown.out
    assert "large@2" in shown.out and "all targets  0.500  0.500" in shown.out
    found = subgrid("inspect", tmp_path / "m e a n", "--json").data
    assert [one["path"] for one in found["members"]] == ["../large", "../small"]


def test_groups_and_patterns(subgrid, three: list[Path], tmp_path: Path) -> None:
    command = ("ensemble", tmp_path / "out", f"own={three[0]}", f"other={tmp_path}/[ls]*", "--weights")
    answer = subgrid(*command, "own=0.35,other=0.65")
    assert answer.code == 0
    members = StoredPrediction.open(tmp_path / "out").manifest.members
    assert [(one.group, one.weights["ptend_v"]) for one in members] == [
        ("own", 0.35), ("other", 0.325), ("other", 0.325)
    ]  # fmt: skip
    assert "all targets  0.350  0.325  0.325" in answer.out


def test_weights_are_fitted_told_and_taken_over(subgrid, work: Path, three: list[Path], tmp_path: Path) -> None:
    fitted = subgrid("ensemble", tmp_path / "out", *three, "--fit", work / "data", "--by", "variable")
    assert fitted.code == 0
    first = fitted.out.splitlines()[0]
    assert first.startswith("fitted on ") and "a weak interval" in first
    assert any(line.startswith("r2_294 ") for line in fitted.out.splitlines())
    blend = StoredPrediction.open(tmp_path / "out").manifest.blend
    assert blend is not None and blend.fit is not None
    assert (blend.method, blend.fit.by, blend.fit.rows + blend.fit.test_rows) == ("least-squares", "variable", 72)
    assert f"fitted by least squares on {work / 'data'}, by variable" in subgrid("inspect", tmp_path / "out").out
    assert subgrid("ensemble", tmp_path / "again", *three[::-1], "--like", tmp_path / "out").code == 0
    one, other = (StoredPrediction.open(tmp_path / name) for name in ("out", "again"))
    assert np.array_equal(one.at(one.rows).prediction, other.at(one.rows).prediction)
    assert f"taken over from {tmp_path / 'out'}" in subgrid("inspect", tmp_path / "again").out


def test_a_gain_that_is_none_is_said(subgrid, work: Path, three: list[Path], tmp_path: Path) -> None:
    """Of two networks that say the same, no weights are better than others."""
    same = [changed(work / "prediction", tmp_path / name, 1 + 1e-12 * place) for place, name in enumerate("ab")]
    answer = subgrid("ensemble", tmp_path / "out", *same, "--fit", work / "data", "--method", "hill", "--by", "all")
    assert answer.code == 0
    assert "fitted weights are not clearly better than equal ones on rows they were not fitted on" in answer.err


def test_a_confidence_that_is_dropped_is_said(subgrid, work: Path, three: list[Path], tmp_path: Path) -> None:
    bare = changed(work / "prediction", tmp_path / "bare", 0.9, confidence=False)
    answer = subgrid("ensemble", tmp_path / "out", three[0], bare)
    assert answer.code == 0 and answer.err == f"without confidence, since these have none: {bare}\n"


def test_what_cannot_be_combined_is_refused(refused, work: Path, three: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "needs two predictions or more, found 1" in refused("ensemble", out, three[0])
    assert "is of the same network as" in refused("ensemble", out, three[0], three[0])
    assert "expected a prediction with a prediction.json" in refused("ensemble", out, three[0], work / "data")
    assert "give one of them" in refused("ensemble", out, *three, "--fit", work / "data", "--like", three[0])
    assert "add --fit TRUTH" in refused("ensemble", out, *three, "--by", "all")
    assert "expected an ensemble to take weights from" in refused("ensemble", out, *three, "--like", three[0])
    assert "each group once" in refused("ensemble", out, *three, "--weights", "0.3,0.3,0.4")
    assert "nowhere" in refused("ensemble", out, *three, "--fit", tmp_path / "nowhere")
    assert not out.exists()


def test_a_forgotten_out_costs_nothing(refused, three: list[Path]) -> None:
    before = json.loads((three[1] / "prediction.json").read_text())
    message = refused("ensemble", three[1], three[0], three[2])
    assert "holds a network's own prediction, which is not replaced; the first argument is the new folder" in message
    assert json.loads((three[1] / "prediction.json").read_text()) == before
    assert "is one of the predictions to be combined" in refused("ensemble", three[1], *three)
