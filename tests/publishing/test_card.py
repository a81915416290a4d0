"""Cards say what the data are, whose, and under which licence; no secrets and no paths of a machine."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from subgrid.errors import SettingsError
from subgrid.publishing.card import card, kaggle_metadata, licence_of
from subgrid.publishing.contents import bundle
from subgrid.records.provenance import Provenance
from subgrid.training.checkpoint import read_card
from subgrid.training.folder import find_checkpoint


def front_of(text: str) -> dict[str, object]:
    return yaml.safe_load(text.split("---")[1])


def test_the_card_of_made_up_data(data: Path) -> None:
    found = bundle(data)
    assert licence_of(found, None) == "apache-2.0"
    text = card(found, "A title: with a colon", "apache-2.0")
    assert front_of(text)["license"] == "apache-2.0" and front_of(text)["pretty_name"] == "A title: with a colon"
    for expected in (
        "| state_t | 60 | K | 0 |",
        "| ptend_q0002 | 60 |",
        found.manifest.digest,
        "24 columns",
        "every=5",
    ):
        assert expected in text
    assert str(data.parent) not in text and "bibtex" not in text


def test_the_card_of_real_data_cites_and_hides_secrets(data: Path) -> None:
    found = bundle(data)
    manifest = found.manifest.model_copy(
        update={"licence": "CC-BY-4.0 (ClimSim, LEAP)", "source": "https://me:hunter2@host/raw?token=hunter3"}
    )
    found = replace(found, manifest=manifest)
    assert licence_of(found, None) == "cc-by-4.0"
    text = card(found, "Low", "cc-by-4.0")
    assert "2306.08754" in text and "CC BY 4.0" in text and "https://host/raw" in text
    assert "hunter" not in text


def test_cards_of_runs_and_predictions(work: Path) -> None:
    run = card(bundle(work / "run"), "Net", "cc-by-4.0")
    assert "| network | squeezeformer |" in run and "subgrid predict" in run
    prediction = card(bundle(work / "prediction"), "Predicted", "cc-by-4.0")
    assert "| rows | 72 |" in prediction


def test_runs_and_predictions_know_the_licence_and_source_of_their_data(work: Path, tmp_path: Path) -> None:
    """What is made from made-up data is made up too, and says so where the data set is not at hand."""
    for name in ("run", "prediction"):
        found = bundle(Path(shutil.copytree(work / name, tmp_path / name)))
        assert licence_of(found, None) == "apache-2.0" and licence_of(found, "cc-by-4.0") == "cc-by-4.0"
        text = card(found, "Made up", licence_of(found, None))
        assert "Apache License 2.0. Made-up data" in text and "ClimSim data set" not in text and "bibtex" not in text
        assert "| source | source, Apache-2.0 (made-up data, no simulation of the real world) |" in text
        assert "| ptend_t | 60 | K/s |" in text and ("| state_t | 60 | K |" in text) == (name == "run")
        assert str(work) not in text


def test_one_real_source_is_enough_and_none_said_is_taken_for_real(work: Path) -> None:
    found = bundle(work / "prediction")
    real = Provenance.told("https://me:hunter2@host/raw", "CC-BY-4.0 (ClimSim, LEAP)")
    for known in ((*found.manifest.provenance, real), ()):
        other = replace(found, manifest=found.manifest.model_copy(update={"provenance": known}))
        assert licence_of(other, None) == "cc-by-4.0"
        assert "hunter2" not in card(other, "Mixed", "cc-by-4.0")


def test_a_run_of_former_times_is_taken_for_real(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {key: value for key, value in read_card(find_checkpoint(work / "run")).items() if key != "provenance"}
    monkeypatch.setattr("subgrid.training.checkpoint.read_card", lambda path: content)
    found = bundle(work / "run")
    assert licence_of(found, None) == "cc-by-4.0" and "| source |" not in card(found, "Old", "cc-by-4.0")


def test_kaggle_metadata() -> None:
    found = json.loads(kaggle_metadata("me/low-res-1-of-8", "t" * 60, "cc-by-4.0"))
    assert found == {"title": "t" * 50, "id": "me/low-res-1-of-8", "licenses": [{"name": "CC-BY-4.0"}]}
    assert len(json.loads(kaggle_metadata("me/low-res", "low", "apache-2.0"))["title"]) >= 6
    for wrong in ("low-res", "me/x", "me/Low Res", "a/b/c", "me/" + "x" * 51):
        with pytest.raises(SettingsError, match="expected OWNER/SLUG"):
            kaggle_metadata(wrong, "title", "cc-by-4.0")


def accepted(metadata: bytes) -> bool:
    """What ``kaggle datasets create`` demands before it sends anything (kaggle 2.2.5), written out."""
    found = json.loads(metadata)
    owner, slug = found["id"].split("/")
    named = isinstance(found["licenses"], list) and [set(one) for one in found["licenses"]] == [{"name"}]
    lengths = 6 <= len(slug) <= 50 and 6 <= len(found["title"]) <= 50
    return bool(owner and named and lengths and found["licenses"][0]["name"] in ("CC-BY-4.0", "Apache 2.0"))


@pytest.mark.parametrize("title", ["a", "Low resolution", "t" * 60])
@pytest.mark.parametrize("slug", ["abcdef", "low-res-8-of-8", "x" * 50])
@pytest.mark.parametrize("licence", ["cc-by-4.0", "apache-2.0"])
def test_the_kaggle_client_takes_the_metadata(title: str, slug: str, licence: str) -> None:
    assert accepted(kaggle_metadata(f"me/{slug}", title, licence))


def test_other_licences_are_refused(data: Path) -> None:
    assert licence_of(bundle(data), "CC-BY-4.0") == "cc-by-4.0"
    with pytest.raises(SettingsError, match=r"expected cc-by-4\.0 or apache-2\.0"):
        licence_of(bundle(data), "mit")
