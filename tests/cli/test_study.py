"""The command that runs a study: what it lists, prints and refuses."""

from pathlib import Path

import pytest

from servers import web_server

STUDY = """
recipe: recipe.yaml
seeds: [0]
set: {model.name: mlp, training.rows: 32}
factors:
  rate:
    broken: {training.learning_rate: 1e30, training.loss: mse}
"""


@pytest.fixture
def file(work: Path, tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text((work / "recipe.yaml").read_text())
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def test_a_dry_run_lists_the_runs_and_writes_nothing(subgrid, file: Path, work: Path, tmp_path: Path) -> None:
    command = ("study", file, "--data", work / "data", "--out", tmp_path / "out", "--dry-run")
    answer = subgrid(*command)
    assert answer.code == 0
    assert [line.split() for line in answer.out.splitlines()[:2]] == [
        ["base.seed-0", "32", "rows", "to", "do"],
        ["rate=broken.seed-0", "32", "rows", "to", "do"],
    ]
    assert answer.out.splitlines()[-1] == "2 runs, 64 rows to train on"
    found = subgrid(*command, "--json").data
    assert (found["rows_left"], found["seconds_left"], len(found["runs"])) == (64, None, 2)
    assert found["runs"][1]["overrides"]["training.loss"] == "mse" and found["runs"][1]["state"] == "to do"
    assert not (tmp_path / "out").exists()


def test_data_may_be_at_a_url(subgrid, file: Path, work: Path, tmp_path: Path) -> None:
    with web_server(work, lambda path: "") as url:
        answer = subgrid("study", file, "--data", f"{url}data", "--out", tmp_path / "out", "--dry-run")
        (tmp_path / "study.yaml").write_text(f"data: [{url}data]\n{STUDY}")
        told = subgrid("study", file, "--out", tmp_path / "out", "--dry-run")
    assert answer.code == told.code == 0 and answer.out == told.out


@pytest.mark.parametrize("command", ["run", "study"])
def test_commands_of_one_process_are_refused_to_several(
    command: str, refused, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert f"subgrid {command} works in one process" in refused(command, file)


def test_what_is_missing_is_named(refused, file: Path, work: Path) -> None:
    assert "study.yaml: data is missing; add it there or give --data" in refused("study", file)
    assert "study.yaml: out is missing; add it there or give --out" in refused("study", file, "--data", work / "data")
    assert "expected a data set" in refused("study", file, "--data", work / "run", "--out", work / "nowhere")
    assert "cannot be read" in refused("study", work / "no.yaml")


@pytest.mark.slow
def test_runs_fail_alone_and_the_table_compares_the_others(subgrid, file: Path, work: Path, tmp_path: Path) -> None:
    command = ("study", file, "--data", work / "data", "--out", tmp_path / "out")
    answer = subgrid(*command)
    assert answer.code == 1
    rows = {line.split()[0]: line for line in answer.out.splitlines()}
    assert list(rows) == ["variant", "base", "rate=broken"]
    assert rows["rate=broken"].endswith("1 failed") and "failed" not in rows["base"]
    assert "not finite" in answer.err
    again = subgrid(*command, "--summary", "--json")
    assert (again.code, again.err) == (0, "")
    base, broken = again.data["summary"]
    assert (base["runs"], base["failed"], broken["runs"], broken["failed"]) == (1, 0, 0, 1)
    assert isinstance(base["r2_294"], float) and broken["difference"] is None
    assert [line["status"] for line in again.data["runs"]] == ["done", "failed"]
