"""``hf://``: raw steps built from, and data sets read from, a hub on loopback by the real client."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
import torch

from subgrid.errors import DatasetError, InputError
from subgrid.recipe import parse_recipe
from subgrid.records.bucket import Fetching
from subgrid.records.build import Running, build, prepare, save_plan
from subgrid.records.ledger import done_groups
from subgrid.records.manifest import read_manifest
from subgrid.records.plan import Part
from subgrid.records.reader import Dataset, StreamSettings
from subgrid.source import retries
from subgrid.source.hub import session
from subgrid.source.locations import Location
from subgrid.training.loop import train

URL = "hf://datasets/LEAP/ClimSim_low-res"
SETTINGS = StreamSettings(batch=24, seed=5, window=3)
RECIPE = """
model: {name: mlp, layers: [8]}
training: {rows: 384, sub_epochs: 2, batch: 16, window: 2, learning_rate: 0.01, precision: 32-true, threads: 1,
           device: cpu, validation_rows: 40, validation_batch: 16}
seed: 3
"""


def hold(hub: Any, folder: Path) -> None:
    """Make a folder's files those of the repository; small ones lie in git itself, as on the real hub."""
    hub.files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub.small = {name for name in hub.files if name.endswith((".json", ".md"))}


def fault(hub: Any, path: str, **kind: Any) -> Any:
    return sys.modules["hub_server"].Fault(path, **kind)


def test_real_steps_of_the_hub_make_the_data_set_of_a_local_build(hub: Any, real_source: Path, tmp_path: Path) -> None:
    """The command, as users call it; the listing comes in pages, and one step lacks its mlo."""
    pytest.importorskip("huggingface_hub")
    local = tmp_path / "local"
    (local / "train").mkdir(parents=True)
    for path in (*real_source.glob("*_grid-info.nc"), real_source / "train" / "0008-08"):
        (local / path.relative_to(real_source)).symlink_to(path)
    hub.files = {name: (local / name).read_bytes() for name in Location(str(local)).names()}
    hub.page = 7
    options = ["--validation", "every=2", "--shard-size", "4MB"]
    for source, out in ((URL, "from-the-hub"), (str(local), "from-disk")):
        done = subprocess.run(
            [sys.executable, "-m", "subgrid", "build", source, str(tmp_path / out), *options],
            capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    found, expected = (read_manifest(tmp_path / out) for out in ("from-the-hub", "from-disk"))
    assert found.digest == expected.digest and found.source == URL and found.skipped == ("0008-08-05-28800",)
    read = {name for name in hub.files if name.endswith(".nc") and "08-05-28800" not in name}
    assert hub.sent == {name: len(hub.files[name]) for name in read}, "each file once, and nothing beside"


def test_a_build_bears_what_the_hub_and_the_network_do(
    hf: Any, synthetic_source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 5)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client itself waits a second before each further try
    hold(hf, synthetic_source)
    hf.faults = [
        *(fault(hf, "mlo", times=2, cut=5000), fault(hf, "mli", status=503)),
        *(fault(hf, "/tree/", status=429, at="hub"), fault(hf, "mlo", times=2, status=500, at="hub")),
    ]
    made = build(prepare(Location(URL), settings := _small(), validation="every=5"), tmp_path / "out")
    local = build(prepare(Location(str(synthetic_source)), settings, validation="every=5"), tmp_path / "local")
    assert made is not None and local is not None and made.digest == local.digest
    assert not any(one.times for one in hf.faults)
    hf.lost = {next(name for name in hf.files if ".mlo." in name)}
    with pytest.raises(InputError, match=f"{URL}/.*mlo.*: the file is not there"):
        build(prepare(Location(URL), settings), tmp_path / "lost")


def _small() -> Any:
    from subgrid.records.blueprint import BuildSettings

    return BuildSettings(shard_size=150_000)


def test_one_wrong_bit_on_the_way_is_fetched_again(
    hf: Any, synthetic_source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the right size and with a sound header: nothing but the digest tells."""
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 5)
    hold(hf, synthetic_source)
    flips = [fault(hf, "mli", flip=True, times=2), fault(hf, "mlo", flip=True, times=3)]
    hf.faults = [*flips, fault(hf, "grid-info", flip=True)]
    made = build(prepare(Location(URL), _small(), validation="every=5"), tmp_path / "out")
    local = build(prepare(Location(str(synthetic_source)), _small(), validation="every=5"), tmp_path / "local")
    assert made is not None and local is not None and made.digest == local.digest
    assert not any(one.times for one in hf.faults)


@pytest.mark.parametrize("small", [False, True])
def test_a_bit_that_stays_wrong_stops_the_build(
    hf: Any, synthetic_source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: bool
) -> None:
    """Whether the hub keeps the file in large-file storage or in git itself; what is half built is no data set."""
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 2)
    hold(hf, synthetic_source)
    name = sorted(name for name in hf.files if ".mlo." in name)[4]
    hf.small = {name} if small else set()
    hf.faults = [fault(hf, name, flip=True, times=99, at="hub" if small else "store")]
    digest = sys.modules["hub_server"].git_sha1(hf.files[name]) if small else sha256(hf.files[name]).hexdigest()
    prepared, out = prepare(Location(URL), _small(), validation="every=5"), tmp_path / "out"
    told = rf"{URL}/{name}: cannot be read \(.*expected {'git' if small else 'sha256'} {digest}, found [0-9a-f]+\)"
    with pytest.raises(InputError, match=f"{told}; see to it that it can, and run the same command again"):
        build(prepared, out)
    assert not (out / "dataset.json").exists() and len(done_groups(out, prepared.blueprint.groups)) < 13
    hf.faults = []
    made = build(prepared, out)
    local = build(prepare(Location(str(synthetic_source)), _small(), validation="every=5"), tmp_path / "local")
    assert made is not None and local is not None and made.digest == local.digest


def test_all_parts_read_the_commit_of_the_plan(hf: Any, synthetic_source: Path, tmp_path: Path) -> None:
    """What is pushed to the hub between two parts is not read, with a plan file and in a shared folder alike."""
    hold(hf, synthetic_source)
    first, path = hf.commit, tmp_path / "plan.json"
    local = build(prepare(Location(str(synthetic_source)), _small(), validation="every=5"), tmp_path / "local")
    ready = prepare(Location(URL), _small(), validation="every=5", plan=path)
    build(ready, tmp_path / "planned", Running(Part(1, 2)))
    build(prepare(Location(URL), _small(), validation="every=5"), tmp_path / "shared", Running(Part(1, 2)))
    assert json.loads(path.read_text())["commit"] == first
    hf.older, hf.commit = {first: hf.files}, "f" * 40
    hf.files = {
        name: content[:-6] + b"\x01" + content[-5:] if ".mlo." in name else content
        for name, content in hf.files.items()
    }
    type(fsspec.core.url_to_fs(URL)[0]).clear_instance_cache()
    planned = build(prepare(Location(URL), _small(), plan=path), tmp_path / "planned", Running(Part(2, 2)))
    shared = build(prepare(Location(URL), _small(), validation="every=5"), tmp_path / "shared", Running(Part(2, 2)))
    assert local is not None and planned is not None and shared is not None
    assert planned.digest == shared.digest == local.digest and planned.source == URL
    anew = build(prepare(Location(URL), _small(), validation="every=5"), tmp_path / "anew")
    assert anew is not None and anew.digest != local.digest, "a new plan takes the newest commit"
    with pytest.raises(InputError, match=f"names another commit than the plan was made of, {first}; leave it out"):
        prepare(Location(f"{URL}@{'f' * 40}"), _small(), plan=path)


def test_a_planned_build_lists_no_folder_of_steps_for_its_files(
    hf: Any, synthetic_source: Path, tmp_path: Path
) -> None:
    """The digest comes with each answer: one request of the hub a file, besides what tells whether the plan fits."""
    hold(hf, synthetic_source)
    path = tmp_path / "plan.json"
    save_plan(prepare(Location(URL), _small(), validation="every=5", plan=path))
    type(fsspec.core.url_to_fs(URL)[0]).clear_instance_cache()
    hf.asked.clear()
    ready = prepare(Location(URL), _small(), plan=path)
    before = len(hf.requests("hub", "/tree/"))
    assert build(ready, tmp_path / "out") is not None
    assert len(hf.requests("hub", "/tree/")) - before <= 1, "and the one that looks for what made-up data have"
    assert len(hf.requests("hub", r"/resolve/.*\.(mli|mlo)\.")) == 2 * 19


@pytest.mark.parametrize(("status", "code"), [(404, "RepoNotFound"), (404, "RevisionNotFound"), (403, "GatedRepo")])
def test_a_repository_that_closes_under_a_planned_build_stops_it(
    hf: Any, synthetic_source: Path, tmp_path: Path, status: int, code: str
) -> None:
    """None of its steps counts as absent; the same build goes on, in the same process, when it is open again."""
    hold(hf, synthetic_source)
    path, out = tmp_path / "plan.json", tmp_path / "out"
    save_plan(prepare(Location(URL), _small(), validation="every=5", plan=path))
    ready = prepare(Location(URL), _small(), plan=path)
    assert not ready.listed
    hf.faults = [fault(hf, "resolve/.*mlo", status=status, headers={"X-Error-Code": code}, times=99, at="hub")]
    with pytest.raises(InputError, match=rf"\.mlo\..*: cannot be read \(\w+: .*{status}"):
        build(ready, out)
    assert not (out / "dataset.json").exists()
    hf.faults = [fault(hf, "/api/", status=status, headers={"X-Error-Code": code}, times=99, at="hub")]
    type(fsspec.core.url_to_fs(URL)[0]).clear_instance_cache()
    with pytest.raises(InputError, match=rf"cannot be (looked up|read) \(\w+: .*{status}"):
        prepare(Location(URL), _small(), plan=path)
    hf.faults = []
    made = build(prepare(Location(URL), _small(), plan=path), out)
    local = build(prepare(Location(str(synthetic_source)), _small(), validation="every=5"), tmp_path / "local")
    assert made is not None and local is not None and made.digest == local.digest and not made.dropped


def test_a_hub_that_does_not_list_is_given_up(hf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library lists without a limit, in threads that the end of a program waits for: those must end too."""
    monkeypatch.setattr(session, "SILENCE", 0.1)
    monkeypatch.setattr(retries, "PAUSES", (0.001,))
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
    hf.faults = [fault(hf, "/tree/", pause=3.0, times=99, at="hub")]
    with pytest.raises(InputError, match=rf"{URL}: cannot be listed \(.*Timeout.*\); see to it that it can, and run"):
        prepare(Location(URL), _small())
    assert len(hf.requests("hub", "/tree/")) == 12, "six tries of the library, twice"
    assert not [one for one in threading.enumerate() if one.name.startswith("hf-ls-tree")]


def test_what_is_no_repository_is_told(hf: Any) -> None:
    told = r"hf://datasets/LEAP/other: cannot be looked up \(RepositoryNotFoundError: 404 .*make sure you are authent"
    with pytest.raises(InputError, match=told):
        prepare(Location("hf://datasets/LEAP/other"), _small())
    with pytest.raises(DatasetError, match=rf"{URL}: expected a data set with a dataset\.json, found none"):
        Dataset.open(URL)


def test_a_data_set_of_the_hub_gives_the_rows_of_a_local_one(
    hf: Any, data: Path, fetching: Callable[..., Fetching]
) -> None:
    hold(hf, data)
    hf.faults = [fault(hf, "training-00003", wrong=True), fault(hf, "training-00005", cut=70_000)]
    remote, local = Dataset.open(URL, fetching()), Dataset.open(data)
    assert remote.digest == local.digest and remote.grid.digest == local.grid.digest
    with remote.stream("training", SETTINGS) as one, local.stream("training", SETTINGS) as other:
        for _ in range(40):
            assert all(a.tobytes() == b.tobytes() for a, b in zip(next(one), next(other), strict=True))
    shards = {name: size for name, size in hf.sent.items() if name.startswith("shards/training")}
    once = [name for name in shards if not any(number in name for number in ("00003", "00005"))]
    assert len(shards) == 11 and all(shards[name] == len(hf.files[name]) for name in once), "nothing is read ahead"
    listings = [one for one in hf.requests("hub", "/tree/") if "shards" in one.path.replace("%2F", "/")]
    assert len(listings) <= 6, "not one listing for each shard"


def test_bytes_that_stay_wrong_are_named(hf: Any, data: Path, fetching: Callable[..., Fetching]) -> None:
    hold(hf, data)
    hf.faults = [fault(hf, "training-00003", wrong=True, times=99)]
    with pytest.raises(DatasetError, match=rf"{URL}/shards/training-00003\.tfrecord: fetched twice, and wrong both"):
        list(Dataset.open(URL, fetching()).scan("training", 24))


def test_training_from_the_hub_learns_the_same_weights(
    hf: Any, data: Path, fetching: Callable[..., Fetching], tmp_path: Path
) -> None:
    hold(hf, data)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    weights = []
    for name, dataset in (("remote", Dataset.open(URL, fetching())), ("local", Dataset.open(data))):
        train(parse_recipe(RECIPE), dataset, tmp_path / name)
        latest = (tmp_path / name / "latest").read_text().strip()
        weights.append((tmp_path / name / "checkpoints" / latest / "model.safetensors").read_bytes())
    torch.set_num_threads(threads)
    assert weights[0] == weights[1]
