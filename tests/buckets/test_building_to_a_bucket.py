"""The command builds into a bucket what it builds on a disk, also where rows of many steps are mixed and cut."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from subgrid.cli import main
from subgrid.records.manifest import read_manifest
from subgrid.records.reader import Dataset

Command = Callable[..., str]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """``build(source, out, ...)`` runs the command and returns what it printed."""

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["subgrid", "build", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        assert not end.value.code, printed.err
        return printed.out

    return call


@pytest.mark.parametrize(
    ("name", "options"),
    [("drawn", ["--draw", "2x2x3", "--seed", "5"]), ("mixed", ["--span", "4", "--validation", "every=5"])],
)
def test_steps_drawn_and_mixed_make_the_same_data_set_in_a_bucket(
    build: Command, s3: str, synthetic_source: Path, tmp_path: Path, name: str, options: list[str]
) -> None:
    """In two parts that share the bucket, by the plan that the first of them wrote; several shards a group."""
    common = [*options, "--shard-size", "100000"]
    build(synthetic_source, tmp_path / "local", *common)
    expected = read_manifest(tmp_path / "local")
    url, more = f"{s3}/{name}", ["--scratch", tmp_path / "scratch"]
    first = build(synthetic_source, url, *common, *more, "--part", "2/2")
    last = build(synthetic_source, url, *common, *more, "--part", "1/2")
    assert "part 2/2 is done; other parts are not" in first and f"digest {expected.digest[:16]}" in last
    found = Dataset.open(url)
    assert found.digest == expected.digest and found.manifest.shards == expected.shards
    training = [shard.name for shard in expected.shards if shard.name.startswith("training")]
    assert len(training) > len({name.split("-")[1] for name in training}) == 4, "a group is cut into shards"
    assert not [path for path in (tmp_path / "scratch").rglob("*") if path.is_file()]
