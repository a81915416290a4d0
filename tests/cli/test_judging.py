"""Commands that judge: what they write, what they print, what they refuse."""

import json
from pathlib import Path

import pytest
import typer
import xarray

from subgrid.cli.judging import register

FIGURES = ("competition", "r2_308", "r2_294")


def test_all_commands_are_there() -> None:
    app = typer.Typer()
    register(app)
    assert [one.callback.__name__ for one in app.registered_commands] == ["score", "report"]


def test_json_has_the_three_figures_on_top(subgrid, work: Path) -> None:
    answer = subgrid("score", work / "prediction", work / "data", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert all(isinstance(answer.data[name], float) for name in FIGURES)
    assert answer.data["rule"] is True
    without = subgrid("score", work / "prediction", work / "data", "--json", "--no-rule").data
    assert without["rule"] is False and without["r2_294"] == answer.data["r2_294"]
    assert without["r2_308"] != answer.data["r2_308"]


def test_a_score_is_figures_and_two_tables(subgrid, work: Path) -> None:
    lines = subgrid("score", work / "prediction", work / "data").out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == list(FIGURES)
    assert "72 rows; " in "\n".join(lines)
    places = [place for place, line in enumerate(lines) if line.startswith("ptend_t ")]
    assert len(places) == 2 and lines[places[1] - 1].startswith("ClimSim, W/m2")


def test_scores_are_saved_as_netcdf_and_json(subgrid, work: Path, tmp_path: Path) -> None:
    command = ("score", work / "prediction", work / "data", "--json", "--out", tmp_path / "a" / "s.nc")
    answer = subgrid(*command, "--out", tmp_path / "s.json")
    saved = json.loads((tmp_path / "s.json").read_text())
    fields = saved.pop("fields")
    assert saved == answer.data
    with xarray.open_dataset(tmp_path / "a" / "s.nc") as found:
        expected = answer.data["by_level"]["ptend_t"]["r2"]
        assert found.r2.sel(variable="ptend_t").values.tolist() == pytest.approx(expected, rel=1e-12)
        assert found.figure_value.sel(figure="r2_294").item() == pytest.approx(answer.data["r2_294"], rel=1e-12)
        assert set(fields) == {*found.data_vars, *found.coords}
        assert fields["precipitation_mean"]["values"] == found.precipitation_mean.values.tolist()
        assert found.attrs["rows"] == 72 and found.attrs["network"].endswith("run@2")


def test_another_ending_is_refused_before_anything_is_scored(refused, work: Path, tmp_path: Path) -> None:
    message = refused("score", work / "prediction", work / "data", "--out", tmp_path / "s.txt")
    assert "s.txt: expected a name that ends in .nc or .json" in message


def test_a_prediction_is_compared_with_another(subgrid, work: Path, tmp_path: Path) -> None:
    assert subgrid("predict", f"{work / 'run'}@1", work / "data", tmp_path / "b", "--split", "validation").code == 0
    command = ("score", work / "prediction", work / "data", "--against", tmp_path / "b")
    found = subgrid(*command, "--json").data
    other = subgrid("score", tmp_path / "b", work / "data", "--json").data
    difference = found["against"]["differences"]["r2_294"]["difference"]
    assert difference == pytest.approx(found["r2_294"] - other["r2_294"], abs=1e-12)
    assert f"better than {work / 'run'}@1 by" in subgrid(*command).out


def test_predictions_of_other_rows_cannot_be_compared(subgrid, refused, work: Path, tmp_path: Path) -> None:
    assert subgrid("predict", work / "run", work / "data", tmp_path / "b", "--split", "training").code == 0
    message = refused("score", work / "prediction", work / "data", "--against", tmp_path / "b")
    assert "of the same rows" in message


def test_a_report_is_asked_for_with_its_settings(subgrid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from subgrid.report import write

    asked = []
    monkeypatch.setattr(write, "write_report", lambda *given: asked.append(given) or tmp_path / "index.html")
    lines = subgrid("report", tmp_path, "a=run", "other", "--truth", "data", "--title", "Mine").out.splitlines()
    assert lines == [str(tmp_path / "index.html")]
    out, predictions, settings, _ = asked[0]
    assert (out, predictions) == (tmp_path, ["a=run", "other"])
    assert settings == write.ReportSettings(truth="data", title="Mine")


def test_a_report_on_nothing_of_ours_is_refused(refused, tmp_path: Path) -> None:
    assert "expected a run, a prediction" in refused("report", tmp_path / "out", tmp_path)


def test_only_scores_are_written_over(subgrid, refused, work: Path, synthetic_source: Path, tmp_path: Path) -> None:
    grid = next(synthetic_source.glob("*_grid-info.nc"))
    for name, content in (("mine.nc", grid.read_bytes()), ("mine.json", b'{"run": 1}'), ("b.nc", b"")):
        (tmp_path / name).write_bytes(content)
        message = refused("score", work / "prediction", work / "data", "--out", tmp_path / name)
        assert f"{name}: is there and holds no scores" in message
        assert (tmp_path / name).read_bytes() == content
    for _ in range(2):
        command = (
            "score",
            work / "prediction",
            work / "data",
            "--out",
            tmp_path / "s.nc",
            "--out",
            tmp_path / "s.json",
        )
        assert subgrid(*command).code == 0
