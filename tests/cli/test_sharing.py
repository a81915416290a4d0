"""extract, pointer and publish as commands; the commands that take a data set take a URL and a pointer too."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest


@pytest.fixture
def bucket(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The data set of the chain in memory; the cache is the test's own."""
    monkeypatch.setenv("SUBGRID_CACHE", str(tmp_path / "cache"))
    system, folder = fsspec.filesystem("memory"), work / "data"
    for file in (path for path in folder.rglob("*") if path.is_file()):
        system.pipe_file(f"/cli/data/{file.relative_to(folder)}", file.read_bytes())
    yield "memory://cli/data"
    system.rm("/cli", recursive=True)


def test_every_command_takes_a_url(subgrid: Callable[..., Any], bucket: str, work: Path, tmp_path: Path) -> None:
    pointer = tmp_path / "data.pointer"
    assert subgrid("pointer", pointer, bucket).out == f"{pointer}: points to {bucket}\n"
    for place in (bucket, pointer):
        assert subgrid("inspect", place, "--json").data["rows"] == {"training": 384, "validation": 72}
        assert "every row is whole" in subgrid("verify", place).out
    here = subgrid("stats", work / "data").out
    assert subgrid("stats", bucket).out == here
    compared = subgrid("stats", pointer, "--compare", bucket).out
    assert {cell for line in compared.splitlines()[1:] for cell in line.split()[1:]} <= {"0", "-"}
    plan = subgrid("train", work / "recipe.yaml", "--data", pointer, "--dry-run", "--json").data
    assert plan["data"][0]["rows"] == 384
    found = subgrid("predict", work / "run", bucket, tmp_path / "out", "--split", "validation",
                    "--check", work / "prediction")  # fmt: skip
    assert "largest difference" in found.out and "72 rows" in found.out
    assert subgrid("score", tmp_path / "out", pointer, "--json").data["rows"] == 72


def test_extract(subgrid: Callable[..., Any], bucket: str, tmp_path: Path) -> None:
    answer = subgrid("extract", bucket, tmp_path / "arrays", "--split", "validation", "--float32")
    assert answer.out == f"{tmp_path / 'arrays'}: val_input.npy, val_row.npy, val_target.npy\n"
    assert np.load(tmp_path / "arrays" / "val_input.npy", mmap_mode="r").shape == (72, 556)
    assert subgrid("extract", bucket, tmp_path / "other", "--format", "csv").code == 2


def test_publish(subgrid: Callable[..., Any], bucket: str, work: Path, tmp_path: Path) -> None:
    planned = subgrid("publish", work / "data", "memory://cli/there", "--dry-run").out
    assert "files to send" in planned and not fsspec.filesystem("memory").exists("/cli/there")
    assert "0 there already" in subgrid("publish", work / "data", "memory://cli/there").out
    assert "0 files sent" in subgrid("publish", work / "data", "memory://cli/there").out
    subgrid("publish", work / "data", tmp_path / "sets", "--split-into", 2, "--kaggle", "me/small-set", "--title", "S")
    metadata = json.loads((tmp_path / "sets" / "2-of-2" / "dataset-metadata.json").read_text())
    assert metadata["id"] == "me/small-set-2-of-2"


def test_auxiliary_files(subgrid: Callable[..., Any], work: Path, tmp_path: Path) -> None:
    subgrid("stats", work / "data", "--auxiliary", tmp_path / "auxiliary")
    assert sorted(os.listdir(tmp_path / "auxiliary")) == ["grid.nc", "statistics.nc", "target_limits.nc", "weights.nc"]


def test_errors_are_plain(refused: Callable[..., str], bucket: str, work: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is no pointer" in refused("pointer", tmp_path / "file", "gs://b/d")
    message = refused("pointer", tmp_path / "p", "https://me:hunter2@host/data")
    assert "hunter2" not in message
    assert "expected a data set with a dataset.json" in refused("verify", "memory://cli/none")
    assert "not a location that fsspec knows" in refused("verify", "nowhere://x")
    assert "expected a finished data set" in refused("publish", tmp_path, "memory://cli/x")
    assert "expected OWNER/SLUG" in refused("publish", work / "data", "memory://cli/x", "--kaggle", "x")
