"""A password or token that stands in a URL is in nothing that a command prints and in nothing that it writes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import free_port, web_server
from subgrid.source import retries

SECRETS = ("hunter2", "hunter3")


@pytest.fixture
def web(synthetic_source: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server without passwords, its URL with them: made-up steps, a data set, and folders that lack something."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(retries.random, "uniform", lambda *_: 0.0)  # no pause between tries
    folder = tmp_path / "served"
    shutil.copytree(synthetic_source, folder / "steps")
    shutil.copytree(work / "data", folder / "data")
    for name, left_out in (("nogrid", "*_grid-info.nc"), ("nosteps", "train")):
        shutil.copytree(synthetic_source, folder / name, ignore=shutil.ignore_patterns(left_out))
    (folder / "empty.csv").write_text("no,names,of,ours\n")
    (folder / "bad.parquet").write_text("no parquet")
    with web_server(folder, lambda path: "403" if "secret.csv" in path else "") as url:
        yield url.replace("http://", f"http://me:{SECRETS[0]}@").rstrip("/")


def refuse_secrets_in(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and "served" not in path.parts:
            content = path.read_bytes()
            assert not [one for one in SECRETS if one.encode() in content], path


FAILING = [
    "build WEB/nogrid OUT",
    "build WEB/nosteps OUT",
    "build WEB/absent OUT",
    "build WEB/absent?token=hunter3 OUT",
    "build DEAD/steps OUT",
    "build WEB/empty.csv OUT",
    "build WEB/empty.csv OUT --grid GRID",
    "build WEB/secret.csv OUT --grid GRID",
    "build WEB/bad.parquet OUT --grid GRID",
    "build WEB/absent.csv OUT --grid GRID",
    "build WEB/steps OUT --normalised WORK",
    "build WEB/steps OUT --start 0009",
    "build WEB/steps OUT --plan WEB/plan.json --plan-only --workers many",
    "build STEPS DEAD/out",
    "build STEPS WEB/data",
    "build STEPS sftp2://me:hunter2@host/out",
    "merge WEB/out WEB/one WEB/two",
    "inspect WEB/absent",
    "inspect DEAD/data",
    "verify WEB/absent",
    "verify WEB/absent --repair",
    "stats WEB/absent",
    "stats WORK/data --compare WEB/absent",
    "extract WEB/absent OUT",
    "extract WEB/data WEB/out --format dance",
    "pointer OUT WEB/data",
    "train RECIPE --data WEB/absent --out OUT",
    "train WEB/recipe.yaml --data WEB/data --out OUT",
    "train RECIPE --data WEB/data --out OUT --init WEB/run",
    "predict WORK/run WEB/absent OUT",
    "predict WORK/run WEB/empty.csv OUT",
    "predict WORK/run WEB/data OUT --split dance",
    "predict WORK/run WEB/steps OUT --split training",
    "predict WEB/run WORK/data OUT",
    "score WORK/prediction WEB/absent",
    "score WORK/prediction WEB/steps --against WEB/prediction",
    "score WEB/prediction WORK/data",
    "report OUT WORK/prediction --truth WEB/absent",
    "ensemble OUT WORK/prediction WORK/prediction --fit WEB/absent",
    "submit WORK/prediction WEB/empty.csv OUT.csv",
    "weights OUT --compare WEB/absent.csv",
    "weights OUT --compare WEB/empty.csv",
    "run RECIPE --set source.location=WEB/steps --set out=OUT",
    "run RECIPE --set source.locatoin=WEB/steps",
    "run RECIPE --set source=[WEB/steps]",
    "run RECIPE --set WEB/steps",
    "study WEB/study.yaml --data WEB/data --out OUT",
    "publish WORK/data DEAD/data",
    "publish WORK/data WEB/data?token=hunter3",
    "publish WEB/data OUT",
    "publish WORK/data hf://datasets/me?token=hunter3/data",
    "publish WORK/data hf://datasets/me/data/f?token=hunter3",
    "publish WORK/data hf://me:hunter2@buckets/me/data",
    "dance WEB/data",
    "verify WORK/data WEB/data",
]


@pytest.fixture
def names(web: str, work: Path, synthetic_source: Path, tmp_path: Path) -> dict[str, object]:
    """What the words in capitals stand for."""
    return {
        "WEB": web,
        "DEAD": f"http://me:hunter2@127.0.0.1:{free_port()}",
        "WORK": work,
        "RECIPE": work / "recipe.yaml",
        "GRID": next(synthetic_source.glob("*_grid-info.nc")),
        "STEPS": synthetic_source,
        "OUT": tmp_path / "out",
    }


@pytest.mark.parametrize("command", FAILING)
def test_a_failure_is_told_without_secrets(
    subgrid, command: str, names: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUBGRID_CACHE", str(tmp_path / "cache"))
    for name, value in names.items():
        command = command.replace(name, str(value))
    answer = subgrid(*command.split())
    assert answer.code in (1, 2), answer
    assert not [one for one in SECRETS if one in answer.out + answer.err], answer
    refuse_secrets_in(tmp_path)


def test_what_works_keeps_and_tells_no_secrets(
    subgrid, web: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBGRID_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "made"
    commands = [
        ("build", f"{web}/steps", made / "data", "--validation", "every=5"),
        ("inspect", f"{web}/data"),
        ("inspect", f"{web}/steps", "--json"),
        ("verify", f"{web}/data"),
        ("train", work / "recipe.yaml", "--data", f"{web}/data", "--out", made / "run", "--set", "training.rows=16"),
        ("predict", made / "run", f"{web}/steps", made / "prediction"),
        ("predict", made / "run", f"{web}/data", made / "other"),
        ("score", made / "prediction", f"{web}/steps", "--out", made / "scores.json"),
        ("inspect", made / "prediction", "--json"),
        ("publish", made / "run", made / "published"),
        ("publish", made / "prediction", made / "sent"),
    ]
    for command in commands:
        answer = subgrid(*command)
        assert answer.code == 0, answer
        assert not [one for one in SECRETS if one in answer.out + answer.err], answer
    refuse_secrets_in(tmp_path)


def test_a_chain_whose_recipe_holds_a_password_is_refused_before_it_starts(
    refused, web: str, work: Path, tmp_path: Path
) -> None:
    told = refused("run", work / "recipe.yaml", "--set", f"source.location={web}/steps", "--set", f"out={tmp_path}/out")
    assert "source.location: a recipe keeps no user, password or query" in told
    assert "give secrets to fsspec (environment, or its configuration files)" in told
    assert not (tmp_path / "out").exists()
