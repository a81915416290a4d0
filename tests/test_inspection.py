"""What a folder is found to hold: every kind that subgrid writes, finished or not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from servers import web_server
from subgrid.errors import DatasetError, InputError
from subgrid.inspection import inspect
from subgrid.prediction.store import StoredPrediction
from subgrid.prediction.writer import PredictionWriter
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import Running, build, prepare
from subgrid.records.extract import ExtractSettings, extract
from subgrid.records.plan import Part
from subgrid.records.pointer import write_pointer
from subgrid.records.reader import Dataset
from subgrid.representation.auxiliary import write_auxiliary
from subgrid.source.locations import Location


def test_a_data_set_is_described_in_full(work: Path) -> None:
    data = Dataset.open(work / "data")
    found = inspect(work / "data")
    assert (found["kind"], found["digest"], found["rows"]) == (
        "data set",
        data.digest,
        {"training": 384, "validation": 72},
    )
    assert found["shards"]["training"] == len(list((work / "data" / "shards").glob("training-*")))
    assert found["bytes"] == sum(path.stat().st_size for path in (work / "data" / "shards").iterdir())
    assert len(found["skipped"]) == 1
    json.dumps(found, allow_nan=False)


def test_the_table_of_variables_is_that_of_the_rows(work: Path) -> None:
    data = Dataset.open(work / "data")
    stored = np.concatenate([batch.inputs for batch in data.scan("training", 1000)])
    values = stored.astype(np.float64) / 2.0**data.variables.input_exponents
    rows = {row["variable"]: row for row in inspect(work / "data")["variables"]}
    assert list(rows) == [item.name for item in (*data.variables.inputs, *data.variables.targets)]
    for name in ("state_t", "state_q0001", "state_ps", "pbuf_CH4"):
        part = values[:, data.variables.input_slices[name]]
        expected = {"min": part.min(), "mean": part.mean(), "max": part.max(), "std": part.std()}
        assert {key: rows[name][key] for key in expected} == pytest.approx(expected, rel=1e-5)
        assert rows[name]["constant"] == int((np.ptp(part, axis=0) == 0).sum())
    assert rows["pbuf_CH4"]["unit"] == "mol/mol"
    assert {f"pbuf_CH4_{level}" for level in range(27, 60)} <= set(inspect(work / "data")["constant"])


def test_a_build_under_way_says_how_much_is_done(synthetic_source: Path, tmp_path: Path) -> None:
    ready = prepare(Location(str(synthetic_source)), BuildSettings("v1", shard_size=60_000), validation="every=5")
    build(ready, tmp_path / "data", Running(Part(1, 2)))
    found = inspect(tmp_path / "data")
    assert found["kind"] == "build under way"
    assert 0 < found["groups_done"] < found["groups"] == len(ready.blueprint.groups)
    assert found["share_done"] == round(found["groups_done"] / found["groups"], 4)
    assert found["steps"] == {"training": 16, "validation": 3}


def test_a_build_under_way_at_a_url_does_too(synthetic_source: Path) -> None:
    ready = prepare(Location(str(synthetic_source)), BuildSettings("v1", shard_size=60_000), validation="every=5")
    build(ready, "memory://inspected/data", Running(Part(1, 2)))
    found = inspect("memory://inspected/data")
    assert (found["kind"], found["path"]) == ("build under way", "memory://inspected/data")
    assert 0 < found["groups_done"] < found["groups"] == len(ready.blueprint.groups)


def test_auxiliary_files_are_told_with_their_statistics(work: Path, tmp_path: Path) -> None:
    data = Dataset.open(work / "data")
    write_auxiliary(tmp_path, [data], {"training": data.table("training")})
    found = inspect(tmp_path)
    assert (found["kind"], found["rows"]) == ("auxiliary files", {"training": 384})
    assert found["files"] == ["grid.nc", "statistics.nc", "target_limits.nc", "weights.nc"]
    assert found["variables"] == inspect(work / "data")["variables"]


def test_a_report_is_told_by_its_figures(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("map.png", "map.pdf", "profile.png"):
        (tmp_path / "figures" / name).touch()
    (tmp_path / "index.html").touch()
    found = inspect(tmp_path)
    assert (found["kind"], found["figures"]) == ("report", ["map", "profile"])
    (tmp_path / "figures").rename(tmp_path / "images")
    with pytest.raises(DatasetError, match="holds nothing that subgrid writes"):
        inspect(tmp_path)


def test_a_prediction_that_was_killed_says_so(work: Path, tmp_path: Path) -> None:
    whole = StoredPrediction.open(work / "prediction")
    PredictionWriter(tmp_path / "out", whole.manifest.model_copy(update={"shards": ()}))  # and no more
    found = inspect(tmp_path / "out")
    assert found["kind"] == "prediction under way" and found["bytes"] == 0


def test_a_run_says_how_far_it_is(work: Path) -> None:
    found = inspect(work / "run")
    assert (found["kind"], found["latest"], found["checkpoints"]) == ("run", "2", ["1", "2"])
    assert (found["rows"], found["share_done"], found["finished"]) == (96, 1, True)
    assert found["data_digest"] == Dataset.open(work / "data").digest
    assert found["last"]["event"] == "sub_epoch"


def test_a_run_without_a_checkpoint_is_a_run(work: Path, tmp_path: Path) -> None:
    shutil.copy(work / "run" / "recipe.yaml", tmp_path)
    found = inspect(tmp_path)
    assert (found["kind"], found["latest"], found["checkpoints"], found["finished"]) == ("run", None, [], False)


def test_a_prediction_says_where_it_comes_from(work: Path) -> None:
    found = inspect(work / "prediction")
    assert (found["kind"], found["rows"], found["variable_set"]) == ("prediction", 72, "kaggle")
    assert found["checkpoint_digest"] == StoredPrediction.open(work / "prediction").manifest.checkpoint_digest
    assert "shards" not in found


def test_a_chain_is_described_by_its_stages(work: Path) -> None:
    found = inspect(work)
    assert found["kind"] == "chain"
    assert found["data"]["digest"] == Dataset.open(work / "data").digest
    assert found["run"]["finished"] is True
    assert found["score"]["r2_294"] == json.loads((work / "score.json").read_text())["r2_294"]


def test_raw_steps_are_counted(synthetic_source: Path) -> None:
    found = inspect(synthetic_source)
    files = sorted(synthetic_source.rglob("*.mli.*.nc"))
    assert (found["kind"], found["steps"]) == ("raw steps", len(files))
    assert found["first"] in files[0].name and found["last"] in files[-1].name
    assert len(found["without_mlo"]) == 1 and found["without_mli"] == []


def test_raw_steps_at_a_url_are_told_from_what_is_none(synthetic_source: Path, tmp_path: Path) -> None:
    """A web server answers 404 for the manifest that is not there: an answer, not a failure."""
    pytest.importorskip("aiohttp")
    (tmp_path / "train").symlink_to(synthetic_source / "train")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("text")
    with web_server(tmp_path, lambda path: "") as url:
        here, there = inspect(tmp_path), inspect(url)
        assert there.pop("path") == url and here.pop("path") == str(tmp_path)
        assert there == here and there["kind"] == "raw steps"
        with pytest.raises(DatasetError, match=f"^{url}empty: holds nothing that subgrid writes"):
            inspect(f"{url}empty")
        with pytest.raises(InputError, match=f"^{url}absent: no such folder; expected raw steps laid out like"):
            inspect(f"{url}absent")


def test_a_file_url_is_the_folder(work: Path, tmp_path: Path) -> None:
    write_pointer(tmp_path / "pointer", str(work / "data"))
    for path in (work, work / "data", work / "run", work / "prediction", tmp_path / "pointer"):
        assert inspect(f"file://{path}") == inspect(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere", "found nothing"), ("file", "found a file"), ("empty", "holds nothing")],
)
def test_anything_else_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=message):
        inspect(tmp_path / name)


def test_a_checkpoint_is_found_by_its_folder_and_by_the_name_of_its_run(work: Path) -> None:
    run, found = inspect(work / "run"), inspect(f"{work / 'run'}@best")
    assert found == inspect(work / "run" / "checkpoints" / run["best"])
    assert found["kind"] == "checkpoint" and 0 < found["share_done"] <= 1
    assert {"competition", "r2_308", "r2_294"} <= found["scores"].keys()
    assert (run["model"], run["parameters"]) == (found["model"], found["parameters"])


def test_a_study_tells_what_is_done_and_means_over_seeds(tmp_path: Path) -> None:
    def line(variant: str, seed: int, status: str, **more: object) -> str:
        return json.dumps({"name": f"{variant}.seed-{seed}", "variant": variant, "status": status, **more}) + "\n"

    scores = [line("base", seed, "done", scores={"r2_294": 0.5 + seed / 10}) for seed in (0, 1)]
    (tmp_path / "study.jsonl").write_text("".join([*scores, line("wide", 0, "failed", error="no memory")]))
    found = inspect(tmp_path)
    assert (found["kind"], found["done"], found["failed"], found["r2_294"]) == ("study", 2, 1, {"base": 0.55})


def test_an_extract_tells_what_it_was_made_of(work: Path, tmp_path: Path) -> None:
    extract(Dataset.open(work / "data"), tmp_path / "out", ExtractSettings("npy"))
    found = inspect(tmp_path / "out")
    assert (found["kind"], found["format"], found["variable_set"]) == ("extract", "npy", "kaggle")
