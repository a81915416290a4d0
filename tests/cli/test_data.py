"""Commands on data: what they write, what they print, what they refuse."""

import json
import shutil
from pathlib import Path

import pytest

from subgrid.cli.data import register
from subgrid.records.reader import Dataset
from subgrid.statistics.table import read_tables


def test_all_commands_are_there() -> None:
    import typer

    app = typer.Typer()
    register(app)
    assert [one.callback.__name__ for one in app.registered_commands] == [
        "sample",
        "build",
        "merge",
        "inspect",
        "verify",
        "stats",
    ]


def test_from_made_up_steps_to_a_verified_data_set(subgrid, tmp_path: Path) -> None:
    source, data = tmp_path / "with space" / "steps", tmp_path / "d a t a"
    assert subgrid("sample", source, "--steps", 4, "--columns", 12, "--missing-mlo", 1).code == 0
    built = subgrid("build", source, data, "--validation", "every=3", "--shard-size", "60KB", "--variables", "v1")
    assert built.code == 0
    assert "skipped: 1 step without an mlo or mli file" in built.err
    digest = Dataset.open(data).digest
    assert built.out == f"{data}: 24 training and 12 validation rows in 2 shards, digest {digest[:16]}\n"
    assert subgrid("verify", data).out == f"{data}: every row is whole\n"
    assert (
        subgrid("build", source, data, "--validation", "every=3", "--shard-size", "60KB", "--variables", "v1").code == 0
    )
    assert subgrid("inspect", data, "--json").data["digest"] == digest


def test_parts_and_relative_paths_make_the_same_data_set(
    subgrid, synthetic_source: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(synthetic_source.parent)
    command = ("build", synthetic_source.name, tmp_path / "data", "--validation", "every=5", "--shard-size", "300KB")
    first = subgrid(*command, "--part", "2/2")
    assert (first.code, first.out) == (0, f"{tmp_path / 'data'}: part 2/2 is done; other parts are not\n")
    assert subgrid("inspect", tmp_path / "data", "--json").data["kind"] == "build under way"
    assert subgrid(*command, "--part", "1/2").code == 0
    assert Dataset.open(tmp_path / "data").digest == Dataset.open(work / "data").digest


def test_a_draw_is_planned_built_in_parts_merged_and_repaired(subgrid, synthetic_source: Path, tmp_path: Path) -> None:
    plan, parts = tmp_path / "plan.json", [tmp_path / "one", tmp_path / "two"]
    options = ("--draw", "2x2x3", "--plan", plan, "--shard-size", "200KB", "--seed", 4)
    planned = subgrid("build", synthetic_source, tmp_path / "data", *options, "--plan-only")
    assert planned.code == 0 and "training: 12 steps, 288 rows, 4 groups, 4 shards" in planned.err
    assert planned.out == f"{plan}: 12 steps written down\n" and not (tmp_path / "data").exists()
    for index, part in enumerate(parts, 1):
        assert subgrid("build", synthetic_source, part, *options, "--part", f"{index}/2").code == 0
    assert "missing are training-00001, training-00003" in subgrid("merge", tmp_path / "data", parts[0]).err
    merged = subgrid("merge", tmp_path / "data", *parts[::-1])
    digest = Dataset.open(tmp_path / "data").digest
    assert merged.out == f"{tmp_path / 'data'}: 288 training and 0 validation rows in 4 shards, digest {digest[:16]}\n"
    shard = tmp_path / "data" / "shards" / "training-00001.tfrecord"
    content = shard.read_bytes()
    shard.unlink()
    shard.write_bytes(content[:-1])
    repaired = subgrid("verify", f"file://{tmp_path / 'data'}", "--repair")
    assert repaired.code == 1 and "training-00001: taken back" in repaired.err
    assert subgrid("build", synthetic_source, tmp_path / "data", *options).code == 0
    assert shard.read_bytes() == content and subgrid("verify", tmp_path / "data").code == 0
    assert Dataset.open(tmp_path / "data").digest == digest


def test_the_plan_of_a_build_to_a_url_tells_its_scratch_space(subgrid, synthetic_source: Path, tmp_path: Path) -> None:
    told = subgrid("build", synthetic_source, "memory://nowhere", "--dry-run", "--scratch", tmp_path)
    assert told.code == 0 and "its scratch space at most 3.62 MB" in told.err
    assert subgrid("build", synthetic_source, "nosuch://x").err.startswith("error: nosuch://x: not a location")


def test_a_dry_run_writes_nothing(subgrid, synthetic_source: Path, tmp_path: Path) -> None:
    answer = subgrid("build", synthetic_source, tmp_path / "data", "--validation", "rows=30", "--dry-run")
    assert (answer.code, answer.out) == (0, "")
    assert "validation: 0 steps, 30 rows" in answer.err and "this split leaks" in answer.err
    assert not (tmp_path / "data").exists()


def test_inspect_knows_all_that_subgrid_writes(subgrid, work: Path, synthetic_source: Path) -> None:
    kinds = {"data": "data set", "run": "run", "prediction": "prediction"}
    for name, kind in kinds.items():
        answer = subgrid("inspect", work / name, "--json")
        assert (answer.code, answer.data["kind"], answer.err) == (0, kind, "")
        assert kind in subgrid("inspect", work / name).out
    assert subgrid("inspect", synthetic_source, "--json").data["steps"] == 20


def test_a_table_stands_below_what_is_said_of_a_data_set(subgrid, work: Path) -> None:
    text = subgrid("inspect", work / "data").out
    assert "pbuf_N2O_27..59" in text
    (line,) = [line.split() for line in text.splitlines() if line.startswith("state_ps ")]
    low, mean, high = (float(cell) for cell in line[3:6])
    assert line[1:3] == ["1", "Pa"] and 3e4 < low < mean < high < 1.2e5


def test_stats_replaces_nothing_that_is_not_its_own(subgrid, work: Path, tmp_path: Path) -> None:
    """Neither a data set's manifest nor its statistics, nor a folder with a grid file of somebody's."""
    data, note = tmp_path / "data", tmp_path / "note.txt"
    shutil.copytree(work / "data", data)
    note.write_text("mine")
    before = {path: path.read_bytes() for path in (data / "dataset.json", data / "statistics.nc", note)}
    for path in before:
        ended = subgrid("stats", data, "--out", path)
        assert ended.code == 1 and f"{path}: " in ended.err and "choose another name" in ended.err
    ended = subgrid("stats", data, "--auxiliary", data)
    assert ended.code == 1 and "nothing else, found" in ended.err
    assert before == {path: path.read_bytes() for path in before}
    for _ in range(2):  # what it wrote itself it replaces
        assert subgrid("stats", data, "--out", tmp_path / "own.nc", "--auxiliary", tmp_path / "own").code == 0


def test_stats_are_saved_folded_and_compared(subgrid, work: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "moments.nc"
    assert subgrid("stats", work / "data", work / "data", "--out", out).code == 0
    assert read_tables(out)["training"].rows == 2 * Dataset.open(work / "data").rows("training")
    lines = subgrid("stats", work / "data", "--compare", out).out.splitlines()
    assert lines[0].split() == ["largest", "relative", "difference", "mean", "std", "min", "max"]
    assert all(max(float(cell) for cell in line.split()[1:]) < 1e-12 for line in lines[1:])


def test_published_tables_are_compared(subgrid, refused, climsim: Path, work: Path) -> None:
    folder = climsim / "normalizations"
    text = subgrid("stats", work / "data", "--compare", folder).out
    assert (
        "output_scale.nc is not compared: " in text and "only there: state_rh, state_qn" in text and "inf" not in text
    )
    found = subgrid("stats", work / "data", "--compare", folder, "--json").data
    assert len(found["tables"]) == 3 and set(found["left_out"]) == {"output_scale.nc", "multirep_per_lev_min_norm.nc"}
    alone = subgrid("stats", work / "data", "--compare", folder / "input_mean.nc", "--json").data["tables"][0]
    assert alone["files"] == ["input_mean.nc"] and alone["largest"]["state_t"]["std"] is None
    assert "convention" in refused("stats", work / "data", "--compare", folder / "output_scale.nc")
    assert "(min - mean) / mean" in refused(
        "stats", work / "data", "--compare", folder / "multirep_per_lev_min_norm.nc"
    )


def test_verify_names_the_row_and_all_that_is_wrong(subgrid, work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "data", tmp_path / "data")
    first, second = sorted((tmp_path / "data" / "shards").iterdir())[:2]
    stride = Dataset.open(work / "data").layout.stride
    data = bytearray(first.read_bytes())
    data[3 * stride + 100] ^= 1
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[:-1])
    answer = subgrid("verify", tmp_path / "data")
    assert (answer.code, answer.out) == (1, "")
    assert [line[:6] for line in answer.err.splitlines()] == ["error:", "error:"]
    assert f"{first}: the checksum is not the manifest's: row 3 is damaged (1 in all)" in answer.err


@pytest.mark.parametrize("command", ["inspect", "verify", "stats", "build"])
def test_what_is_no_data_is_refused(command: str, refused, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "file", "empty"):
        message = refused(command, tmp_path / name, *([tmp_path / "out"] if command == "build" else []))
        assert message.startswith("error: ") and name in message
    assert not (tmp_path / "out").exists()


def test_text_named_like_a_step_is_refused_by_name(refused, synthetic_source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "source" / "train"
    folder.mkdir(parents=True)
    for kind in ("mli", "mlo"):
        (folder / f"E3SM-MMF.{kind}.0001-02-01-00000.nc").write_text("not netCDF")
    shutil.copy(synthetic_source / "synthetic_grid-info.nc", tmp_path / "source")
    message = refused("build", tmp_path / "source", tmp_path / "out")
    assert "E3SM-MMF.mli.0001-02-01-00000.nc: not a netCDF file" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--part", "0/3"], "part 0/3: expected i/N with i from 1 to N"),
        (["--part", "x"], "part 'x': expected i/N, as in 3/32"),
        (["--validation", "evry=5"], "validation split 'evry=5' is not understood; expected every=5"),
        (["--validation", "every=1"], "leaves nothing to train on"),
        (["--variables", "v3"], "unknown variable set 'v3'; known are: kaggle, v1, v2"),
        (["--shard-size", "0"], "expected a size such as 64MB"),
        (["--start", "0002"], "no step lies between 0002 and the end"),
        (["--grid", "nowhere.nc"], "nowhere.nc: cannot be read as a netCDF grid file"),
    ],
)
def test_odd_options_of_a_build_are_refused_and_write_nothing(
    refused, options: list[str], message: str, synthetic_source: Path, tmp_path: Path
) -> None:
    found = refused("build", synthetic_source, tmp_path / "out", "--plan", tmp_path / "plan.json", *options)
    assert message in found.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_else_is_left_alone(
    refused, work: Path, synthetic_source: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("text")
    for name in ("out", "file"):
        assert name in refused("build", synthetic_source, tmp_path / name)
        assert name in refused("sample", tmp_path / name, "--steps", 1)
    assert "holds a build with plan" in refused("build", synthetic_source, work / "data", "--shard-size", "300KB")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", 24, "--grid", "g.nc"], "give --columns or --grid, not both"),
        (["--steps", 2, "--missing-mlo", 3], "missing_mlo must not exceed steps, found 3 of 2"),
        (["--grid", "nowhere.nc"], "nowhere.nc: cannot be read as a netCDF grid file"),
    ],
)
def test_odd_samples_are_refused(refused, options: list, message: str, tmp_path: Path) -> None:
    assert message in refused("sample", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_damaged_manifest_is_refused(refused, work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "data", tmp_path / "data")
    path = tmp_path / "data" / "dataset.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"seed": 5}))
    assert "the digest does not follow from the content" in refused("verify", tmp_path / "data")
    path.write_text(path.read_text()[:-20])
    assert "damaged" in refused("inspect", tmp_path / "data")
