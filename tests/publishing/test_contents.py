"""What belongs to a publication: every file that matters, no other, the one that makes it whole last."""

from hashlib import sha256
from pathlib import Path

import pytest

from subgrid.errors import DatasetError
from subgrid.publishing.contents import bundle, crc32c_of, hashed, pieces_of, size_of


def test_a_data_set(copied: Path) -> None:
    (copied / "shards" / ".training-00000.tfrecord.partial-0a").write_bytes(b"left")
    (copied / "notes.txt").write_text("mine")
    found = bundle(copied)
    names = list(found.files)
    assert found.kind == "data set" and names[-1] == "dataset.json"
    assert len([name for name in names if name.startswith("shards/")]) == 13
    assert {"build.json", "plan.json", "grid.nc", "statistics.nc"} < set(names)
    assert not [name for name in names if "partial" in name or "notes" in name]
    assert set(found.checksums) == {name for name in names if name.startswith("shards/")}
    more = found.beside({"README.md": b"text"})
    assert [*more.files] == ["README.md", *names] and size_of(more.files["README.md"]) == 4


def test_a_run_and_a_prediction(work: Path) -> None:
    run, prediction = bundle(work / "run"), bundle(work / "prediction")
    assert run.kind == "run" and list(run.files)[-1] == "latest" and "recipe.yaml" in run.files
    assert any(name.endswith("/model.safetensors") for name in run.files)
    assert prediction.kind == "prediction" and list(prediction.files)[-1] == "prediction.json"


def test_what_is_unfinished_or_lacking_is_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected a finished data set, a run"):
        bundle(tmp_path)
    (copied / "grid.nc").unlink()
    with pytest.raises(DatasetError, match=r"lacks grid\.nc"):
        bundle(copied)
    shard = copied / "shards" / "training-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=r"training-00001\.tfrecord: expected \d+ bytes, found"):
        bundle(copied)
    (copied / "dataset.json").unlink()
    with pytest.raises(DatasetError, match="unfinished build"):
        bundle(copied)


def test_bytes_of_a_file_and_of_a_text_are_summed_alike(tmp_path: Path) -> None:
    assert crc32c_of(b"123456789") == 0xE3069283  # the check value of CRC-32C
    content = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(content)
    assert crc32c_of(tmp_path / "file") == crc32c_of(content)
    assert b"".join(pieces_of(tmp_path / "file")) == content
    assert hashed(tmp_path / "file", sha256()).hexdigest() == sha256(content).hexdigest()
