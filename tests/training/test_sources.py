"""Several data sets in one run: what is refused, how long it is, which rows it takes."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.blueprint import BuildSettings
from subgrid.records.build import build, prepare
from subgrid.records.reader import Dataset
from subgrid.source.locations import Location
from subgrid.source.synthetic import SyntheticSettings, write_climate
from subgrid.training import checkpoint, folder
from subgrid.training.loop import train
from subgrid.training.sources import Sources

MIXED = [
    "training.data=[{name: low, share: 2}, {name: high, share: 1, once: true, clip: 1.1}]",
    "training.validation=[{name: first, rows: 40}, {name: high, data: high, split: training, rows: 30}]",
    "training.validation_rows=0",
]


@pytest.fixture(scope="session")
def high(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three made-up steps of 50 columns: 150 training rows on another grid than ``data``'s 384."""
    place = tmp_path_factory.mktemp("high")
    write_climate(place / "source", SyntheticSettings(steps=3, columns=50, seed=8, spin_up=2))
    build(prepare(Location(str(place / "source")), BuildSettings(shard_size=300_000)), place / "data")
    return Dataset.open(place / "data")


def of(recipe, *data: Dataset) -> Sources:
    return Sources.of(recipe.training, data)


def test_the_first_data_set_gives_statistics_and_the_mixture_has_its_own_digest(data, high, tiny) -> None:
    both, one = of(tiny(*MIXED), data, high), of(tiny(), data)
    assert (one.digest, one.digests) == (data.digest, {"data": data.digest})
    assert both.digests == {"low": data.digest, "high": high.digest}
    assert both.digest == sha256(f"{data.digest} {high.digest}".encode()).hexdigest()
    assert both.table is data.table("training") and both.first is data
    assert both.named(None) is data and both.named("high") is high


def test_data_sets_that_do_not_fit_are_refused(data, high, synthetic_source: Path, tiny, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"2 data set\(s\) \(low, high\), found 1; give --data once for each"):
        of(tiny(*MIXED), data)
    for name, settings, message in (
        ("v1", BuildSettings(variables="v1"), "expected rows of the variable set 'kaggle'.*found 'v1'"),
        ("wide", BuildSettings(float64=True), "expected records of .* bytes.*same --float64"),
    ):
        build(prepare(Location(str(synthetic_source)), settings), tmp_path / name)
        with pytest.raises(DatasetError, match=message):
            of(tiny(*MIXED), data, Dataset.open(tmp_path / name))


@pytest.mark.parametrize(
    ("shares", "epochs", "rows"),
    [((1,), 2, 768), ((2, 1), 1, 576), ((2, 1), 0.5, 288), ((3, 2), 2, 1280), ((7, 3), 1, 548)],
)
def test_epochs_are_passes_over_the_first_data_set(
    shares: tuple[int, ...], epochs: float, rows: int, data, high, tiny
) -> None:
    listed = ", ".join(f"{{name: d{number}, share: {share}}}" for number, share in enumerate(shares))
    recipe = tiny(f"training.data=[{listed}]", "training.rows=0", f"training.epochs={epochs}")
    sources = of(recipe, *[data, high][: len(shares)])
    resolved = sources.resolve(recipe).training
    assert (resolved.rows, resolved.epochs) == (rows, 0)
    assert abs(sources.pattern.taken(rows)[0] - epochs * 384) <= 1
    assert sources.resolve(tiny(f"training.data=[{listed}]")).training.rows == 96


def test_too_short_epochs_are_refused(data, tiny) -> None:
    for epochs, message in ((0.001, "no row at all"), (0.03, "training.rows = 11 gives 1 steps")):
        recipe = tiny("training.rows=0", f"training.epochs={epochs}")
        with pytest.raises((SettingsError, ValueError), match=message):
            of(recipe, data).resolve(recipe)


def test_a_run_that_would_repeat_rows_marked_once_is_refused(data, high, tiny, tmp_path: Path) -> None:
    most = 450  # 150 of 450 rows are high
    of(tiny(*MIXED, f"training.rows={most}"), data, high).resolve(tiny(*MIXED, f"training.rows={most}"))
    recipe = tiny(*MIXED, "training.rows=456")
    with pytest.raises(
        SettingsError, match="'high' is marked once, but a run of 456 rows takes 152 of the 150 training"
    ):
        train(recipe, [data, high], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_takes_every_high_row_at_most_once_and_low_rows_once_an_epoch(data, high, tiny) -> None:
    recipe = tiny(*MIXED, "training.rows=450", "training.batch=9")
    with of(recipe, data, high).stream(recipe.training, 3, 0) as stream:
        batches = list(islice(stream, 50))
    taken = [Counter(np.concatenate([batch.row[batch.origin == number] for batch in batches])) for number in (0, 1)]
    assert taken[1].total() == 150 and set(taken[1].values()) == {1}
    assert taken[0].total() == 300 and set(taken[0].values()) == {1}
    assert all((batch.origin == 1).sum() == 3 for batch in batches)


def test_processes_share_every_batch(data, high, tiny) -> None:
    recipe = tiny(*MIXED, "training.batch=12")
    sources, found = of(recipe, data, high), []
    for share in ((0, 1), (0, 3), (1, 3), (2, 3)):
        with sources.stream(recipe.training, 3, 24, share) as stream:
            found.append([list(zip(batch.origin, batch.row, strict=True)) for batch in islice(stream, 6)])
    whole, *parts = found
    assert [sorted(batch) for batch in whole] == [sorted(sum(pieces, [])) for pieces in zip(*parts, strict=True)]


def interrupted(recipe, sources: list, out: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until so many steps are made, then crash."""
    from subgrid.training.learner import Learner

    left, step = [steps], Learner.step

    def counting(self: Learner, *rest):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("crash")
        return step(self, *rest)

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="crash"):
        patched.setattr(Learner, "step", counting)
        train(recipe, sources, out)


def test_a_mixed_run_goes_on_to_the_same_bits_and_keeps_what_it_was_told(
    data, high, tiny, tmp_path: Path, same_end: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(*MIXED, "training.epochs=0.5", "training.rows=0", "training.sub_epochs=4", "training.keep=[1, 2]")
    train(recipe, [data, high], tmp_path / "whole")
    for steps, minutes in ((2, 60), (13, 60), (4, 1e-9), (14, 60)):
        saving = recipe.model_copy(
            update={"training": recipe.training.model_copy(update={"checkpoint_minutes": minutes})}
        )
        interrupted(saving, [data, high], tmp_path / "broken", steps, monkeypatch)
    summary = train(recipe, [data, high], tmp_path / "broken")
    assert summary.rows == 288
    same_end(tmp_path / "whole", tmp_path / "broken")
    for run in ("whole", "broken"):
        assert {"1", "2", "4"} <= set(folder.checkpoint_names(tmp_path / run))
    for name in ("1", "2"):
        one, other = (folder.find_checkpoint(f"{tmp_path / run}@{name}") for run in ("whole", "broken"))
        assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
        _, info = checkpoint.load_emulator(f"{tmp_path / 'broken'}@{name}")
        assert info.card["sub_epoch"] == int(name)


def test_metrics_have_the_figures_of_each_set(data, high, tiny, tmp_path: Path) -> None:
    summary = train(tiny(*MIXED), [data, high], tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    figures = {"competition", "r2_308", "r2_294"}
    for line in lines[:-1]:
        assert list(line["validation"]) == ["first", "high"]
        assert all(set(found) == figures for found in line["validation"].values())
        assert {name: line[name] for name in figures} == line["validation"]["first"]
    best = max(lines[:-1], key=lambda line: line["validation"]["first"]["r2_294"])
    assert summary.best == str(best["sub_epoch"])
    card = checkpoint.read_card(folder.find_checkpoint(tmp_path / "run"))
    assert card["validation"] == lines[-2]["validation"]
    assert card["data"] == {"low": data.digest, "high": high.digest}


def test_other_data_are_refused_by_name_when_a_run_goes_on(data, unvalidated, high, tiny, tmp_path: Path) -> None:
    train(tiny(*MIXED), [data, high], tmp_path / "run")
    with pytest.raises(
        DatasetError, match=rf"\(high\) with digest {high.digest}, but the given one, .* has {data.digest}"
    ):
        train(tiny(*MIXED), [data, data], tmp_path / "run")
    with pytest.raises(DatasetError, match=r"\(low\) with digest"):
        train(tiny(*MIXED), [replace_validation(unvalidated, data), high], tmp_path / "run")


def test_other_data_are_named_before_the_length_that_follows_from_them(data, unvalidated, tiny, tmp_path: Path) -> None:
    recipe = tiny("training.rows=0", "training.epochs=0.1", "training.sub_epochs=2")
    train(recipe, data, tmp_path / "run")
    with pytest.raises(DatasetError, match=f"digest {data.digest}, but the given one"):
        train(recipe, unvalidated, tmp_path / "run")
    with pytest.raises(SettingsError, match="training.data: .*'name': 'data'.* -> .*'name': 'other'"):
        train(tiny("training.data=[{name: other}]", "training.sub_epochs=2"), data, tmp_path / "run")


def replace_validation(dataset: Dataset, source: Dataset) -> Dataset:
    """Any other data set; of the same kind, so that it gets as far as its digest."""
    manifest = dataset.manifest.model_copy(update={"shards": source.manifest.shards, "digest": "another"})
    return Dataset(source.folder, manifest)


def test_targets_are_clipped_for_the_rows_that_ask(data, high, tiny) -> None:
    sources = of(tiny(*MIXED), data, high)
    assert [(item.grid is data.grid, item.clip) for item in sources.origins(True)] == [(True, 0.0), (False, 1.1)]
    assert [item.grid for item in sources.origins(False)] == [None, None]
    assert replace(sources.origins(True)[1], clip=0).grid is high.grid
