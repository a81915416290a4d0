"""The mean of predictions as a prediction: closed forms, provenance, what is refused, what is left after a failure."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError, SettingsError
from subgrid.prediction import ensemble, together, writer
from subgrid.prediction.ensemble import combine, mean_of, open_members
from subgrid.prediction.members import Blend
from subgrid.prediction.store import PredictionManifest, StoredPrediction
from subgrid.prediction.together import Given, Together
from subgrid.schema.variable_sets import variable_set

V1 = variable_set("v1")
ROWS = np.random.default_rng(3).permutation(np.arange(1000, 1033))
EQUAL = Blend(method="equal")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_SHARD_ROWS", 10)
    monkeypatch.setattr(together, "_ROWS", 7)


def values(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS.size, V1.target_width))


@pytest.fixture
def members(store_prediction, tmp_path: Path) -> list[Path]:
    """Three predictions of the same rows in three orders, with rule and confidence."""
    folders = []
    for seed, name in enumerate("abc"):
        order = np.random.default_rng(seed).permutation(ROWS.size)
        arrays = {"rule": np.stack([np.full(15, row) for row in ROWS]) * 1.0, "confidence": abs(values(seed + 10))}
        arrays = {key: array[order] for key, array in arrays.items()}
        folders.append(store_prediction(tmp_path / name, ROWS[order], values(seed)[order], **arrays))
    return folders


def mean(out: Path, folders: list[Path], weights: np.ndarray | None = None) -> StoredPrediction:
    found = Together([Given(folder) for folder in folders])
    shape = (len(folders), len(V1.targets))
    combine(found, np.full(shape, 1 / len(folders)) if weights is None else weights, out, EQUAL)
    return StoredPrediction.open(out)


def test_the_mean_of_two_is_their_mean(members: list[Path], tmp_path: Path) -> None:
    found = mean(tmp_path / "out", members[:2]).at(ROWS)
    assert np.array_equal(found.prediction, (values(0) + values(1)) / 2)
    assert found.confidence == pytest.approx((abs(values(10)) + abs(values(11))) / 2, rel=1e-6)
    assert found.rule is not None and np.array_equal(found.rule[:, 3], ROWS)
    assert np.array_equal(found.column, ROWS % 7) and np.array_equal(found.time, ROWS * 1200)


def test_every_variable_has_its_own_weights(members: list[Path], tmp_path: Path) -> None:
    weights = np.random.default_rng(5).dirichlet(np.ones(3), size=len(V1.targets)).T
    found = mean(tmp_path / "out", members, weights).at(ROWS).prediction
    for place, item in enumerate(V1.targets):
        here = V1.target_slices[item.name]
        expected = sum(weights[seed, place] * values(seed)[:, here] for seed in range(3))
        assert found[:, here] == pytest.approx(expected, rel=1e-14, abs=1e-15)


def test_the_order_of_members_leaves_no_trace(members: list[Path], tmp_path: Path) -> None:
    weights = np.random.default_rng(5).dirichlet(np.ones(3), size=len(V1.targets)).T
    one = mean(tmp_path / "one", members, weights)
    for order in ([2, 0, 1], [1, 0, 2]):
        other = mean(tmp_path / "other", [members[place] for place in order], weights[order])
        assert other.manifest.identity == one.manifest.identity
        for left, right in zip(one.at(ROWS), other.at(ROWS), strict=True):
            assert np.array_equal(left, right)


def test_the_manifest_names_the_members(members: list[Path], tmp_path: Path) -> None:
    found = mean(tmp_path / "deep" / "out", members).manifest
    assert (found.rows, found.input_digest, found.rule, found.confidence) == (33, "i", True, True)
    assert (found.run, found.checkpoint, found.network) == ("", "", "the mean of 3 networks")
    told = [(one.path, one.run, one.checkpoint, one.checkpoint_digest, one.input_digest) for one in found.members]
    assert told == [(f"../../{name}", f"runs/{name}", "1", name, "i") for name in "abc"]
    assert found.members[0].weights == {item.name: 1 / 3 for item in V1.targets}
    assert mean(tmp_path / "two", members[:2]).manifest.identity != found.identity


def test_an_ensemble_of_ensembles_lists_the_networks(members: list[Path], tmp_path: Path, store_prediction) -> None:
    mean(tmp_path / "inner", members[:2])
    outer = mean(tmp_path / "outer" / "x", [tmp_path / "inner", members[2]])
    assert [(one.path, one.weights["ptend_t"]) for one in outer.manifest.members] == [
        ("../../a", 0.25), ("../../b", 0.25), ("../../c", 0.5)
    ]  # fmt: skip
    expected = (values(0) + values(1)) / 4 + values(2) / 2
    assert outer.at(ROWS).prediction == pytest.approx(expected, rel=1e-14, abs=1e-15)
    with pytest.raises(SettingsError, match="is of the same network as .* or contains it"):
        Together([Given(members[0]), Given(tmp_path / "inner")])


def test_confidence_is_dropped_where_one_has_none(members: list[Path], tmp_path: Path, store_prediction) -> None:
    store_prediction(tmp_path / "d", ROWS, values(3), rule=np.stack([np.full(15, row) for row in ROWS]) * 1.0)
    found = mean(tmp_path / "out", [*members[:2], tmp_path / "d"])
    assert found.manifest.confidence is False and found.at(ROWS).confidence is None


def test_a_member_or_a_network_s_prediction_is_never_replaced(members: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is one of the predictions to be combined"):
        mean(tmp_path / "x" / ".." / "a", members)
    with pytest.raises(SettingsError, match="holds a network's own prediction, which is not replaced"):
        mean(members[0], members[1:])
    assert np.array_equal(StoredPrediction.open(members[0]).at(ROWS).prediction, values(0))
    mean(tmp_path / "out", members)
    assert len(mean(tmp_path / "out", members[1:]).manifest.members) == 2


def test_what_fails_half_way_leaves_what_was_there(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(found: list[np.ndarray], share: np.ndarray) -> np.ndarray:
        if ROWS[-1] in seen:
            raise OSError(28, "No space left on device")
        seen.extend(ROWS)
        return mean_of(found, share)

    seen: list[int] = []
    monkeypatch.setattr(ensemble, "mean_of", failing)
    with pytest.raises(OSError, match="No space left"):
        mean(tmp_path / "new", members)
    with pytest.raises(DatasetError, match="found none"):
        StoredPrediction.open(tmp_path / "new")
    monkeypatch.undo()
    before = mean(tmp_path / "out", members).manifest
    monkeypatch.setattr(ensemble, "mean_of", failing)
    with pytest.raises(OSError, match="No space left"):
        mean(tmp_path / "out", members[1:])
    assert StoredPrediction.open(tmp_path / "out").manifest == before


@pytest.mark.parametrize(
    "weights", [np.full((2, 10), 0.4), np.stack([np.full(10, 1.5), np.full(10, -0.5)]), np.ones(2)]
)
def test_weights_that_are_none_are_refused(members: list[Path], tmp_path: Path, weights: np.ndarray) -> None:
    with pytest.raises(SettingsError, match=r"weights must be \(2, 10\) numbers, not negative, and sum to 1"):
        mean(tmp_path / "out", members[:2], weights)
    assert not (tmp_path / "out").exists()


def test_members_are_opened_where_the_chain_now_is(members: list[Path], tmp_path: Path) -> None:
    mean(tmp_path / "out", members)
    chain = tmp_path / "moved" / "here"
    chain.mkdir(parents=True)
    for name in ("a", "b", "c", "out"):
        shutil.move(tmp_path / name, chain / name)
    stored = StoredPrediction.open(chain / "out")
    found = open_members(stored.manifest, chain / "out")
    assert found.reason == "" and found.members is not None
    for seed, member in enumerate(found.members):
        assert np.array_equal(member.at(ROWS).prediction, values(seed))
        assert member.rows is found.members[0].rows


def test_members_that_are_gone_or_others_are_not_taken(members: list[Path], tmp_path: Path, store_prediction) -> None:
    stored = mean(tmp_path / "out", members)
    assert open_members(StoredPrediction.open(members[0]).manifest, members[0]).reason == (
        "it is a network's own prediction"
    )
    shutil.rmtree(members[1])
    found = open_members(stored.manifest, stored.folder)
    assert found.members is None and "b: expected a prediction with a prediction.json, found none" in found.reason
    for changes in ({"checkpoint_digest": "new"}, {"checkpoint_digest": "b", "input_digest": "new"}):
        store_prediction(members[1], ROWS, values(1), **changes)
        found = open_members(stored.manifest, stored.folder)
        assert found.members is None and "is another prediction than the ensemble was made of" in found.reason
    store_prediction(members[1], ROWS + 1, values(1), checkpoint_digest="b")
    found = open_members(stored.manifest, stored.folder)
    assert found.members is None and "has other rows than" in found.reason


def test_a_manifest_with_members_reads_back_equal(members: list[Path], tmp_path: Path) -> None:
    stored = mean(tmp_path / "out", members)
    text = (tmp_path / "out" / "prediction.json").read_text()
    assert PredictionManifest.model_validate_json(text) == stored.manifest
    assert [one["checkpoint_digest"] for one in json.loads(text)["members"]] == ["a", "b", "c"]


@pytest.mark.parametrize("change", [{"weights": {"ptend_t": 1.0}}, {"surprise": 1}, None])
def test_a_manifest_whose_members_lack_weights_is_refused(
    members: list[Path], tmp_path: Path, change: dict | None
) -> None:
    mean(tmp_path / "out", members)
    path = tmp_path / "out" / "prediction.json"
    told = json.loads(path.read_text())
    told = told | {"blend": None} if change is None else told | {"members": [told["members"][0] | change]}
    path.write_text(json.dumps(told))
    with pytest.raises(DatasetError, match="damaged, or written by another version"):
        StoredPrediction.open(tmp_path / "out")
