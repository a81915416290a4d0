"""What a report is asked about: runs, predictions and chains are found with their data; names are told apart."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction.store import StoredPrediction
from subgrid.report.subjects import Progress, resolve, slug
from subgrid.training.folder import DATA


def test_a_chain_is_its_prediction(work: Path, tmp_path: Path, silent: Progress) -> None:
    (subject,) = resolve([str(work)], None, tmp_path, silent)
    assert subject.prediction == work / "prediction"
    assert (subject.truth, subject.split) == (str(work / "data"), "validation")
    assert subject.run == work / "run"


def test_a_prediction_knows_its_run_and_data(work: Path, tmp_path: Path, silent: Progress) -> None:
    (subject,) = resolve([f"mine={work / 'prediction'}"], None, tmp_path, silent)
    assert (subject.label, subject.split, subject.run) == ("mine", "validation", work / "run")


def test_a_run_with_a_prediction_beside_it_is_not_predicted_again(work: Path, tmp_path: Path, silent: Progress) -> None:
    (subject,) = resolve([str(work / "run")], None, tmp_path, silent)
    assert subject.prediction == work / "prediction"
    assert not (tmp_path / "predictions").exists()


def test_a_run_elsewhere_is_predicted_from_the_data_that_it_noted(work: Path, tmp_path: Path, silent: Progress) -> None:
    run = tmp_path / "elsewhere" / "first"
    shutil.copytree(work / "run", run)
    assert Path((run / DATA).read_text().strip()) == work / "data"
    (subject,) = resolve([str(run)], None, tmp_path / "out", silent)
    assert subject.prediction == tmp_path / "out" / "predictions" / "first"
    ours, theirs = StoredPrediction.open(subject.prediction), StoredPrediction.open(work / "prediction")
    np.testing.assert_array_equal(ours.rows, theirs.rows)
    np.testing.assert_allclose(ours.at(ours.rows).prediction, theirs.at(ours.rows).prediction, rtol=1e-4, atol=1e-9)


def test_a_run_whose_data_are_gone_says_so(work: Path, tmp_path: Path, silent: Progress) -> None:
    run = tmp_path / "lonely" / "run"
    shutil.copytree(work / "run", run)
    (run / DATA).write_text("nowhere/data\n")
    with pytest.raises(DatasetError, match=r"is not at nowhere/data; name a data set with --truth"):
        resolve([str(run)], None, tmp_path, silent)
    (subject,) = resolve([str(run)], str(work / "data"), tmp_path / "out", silent)
    assert subject.truth == str(work / "data")


def test_a_run_that_went_on_is_not_the_predictions_run(work: Path, tmp_path: Path, silent: Progress) -> None:
    chain = tmp_path / "chain"
    shutil.copytree(work / "prediction", chain / "prediction")
    manifest = json.loads((chain / "prediction" / "prediction.json").read_text())
    (chain / "prediction" / "prediction.json").write_text(json.dumps(manifest | {"checkpoint_digest": "0" * 64}))
    (subject,) = resolve([str(chain / "prediction")], None, tmp_path, silent)
    assert subject.run is None


def test_a_prediction_of_data_that_moved_needs_a_truth(work: Path, tmp_path: Path, silent: Progress) -> None:
    shutil.copytree(work / "prediction", tmp_path / "prediction")
    path = tmp_path / "prediction" / "prediction.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"input": "gone/data"}))
    with pytest.raises(DatasetError, match=r"made from gone/data, which is not there; name its data with --truth"):
        resolve([str(tmp_path / "prediction")], None, tmp_path, silent)


def test_what_is_nothing_of_ours_is_refused(tmp_path: Path, silent: Progress) -> None:
    with pytest.raises(DatasetError, match="expected a run, a prediction or a folder that subgrid run wrote"):
        resolve([str(tmp_path)], None, tmp_path, silent)
    with pytest.raises(DatasetError, match="found nothing"):
        resolve([str(tmp_path / "no")], None, tmp_path, silent)


def test_names_come_from_the_paths_and_must_differ(work: Path, tmp_path: Path, silent: Progress) -> None:
    named = resolve([str(work / "prediction"), f"b={work / 'run'}"], None, tmp_path, silent)
    assert [subject.label for subject in named] == [work.name, "b"]
    with pytest.raises(SettingsError, match="two of the runs would be called"):
        resolve([str(work), str(work / "prediction")], None, tmp_path, silent)
    with pytest.raises(SettingsError, match="must hold a letter or a digit"):
        resolve([f"--={work}"], None, tmp_path, silent)


def test_labels_as_parts_of_file_names() -> None:
    assert slug("Squeezeformer, 12 blocks/../") == "squeezeformer-12-blocks"
