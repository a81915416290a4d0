"""A study's file becomes the runs that it says: one factor at a time, products where wanted, nothing twice."""

import shutil
from pathlib import Path

import pytest

from subgrid.errors import SettingsError
from subgrid.recipe import parse_recipe
from subgrid.study.plan import load_study

ROOT = Path(__file__).resolve().parents[2]

FACTORS = """
seeds: [3, 1]
set: {training.rows: 48}
factors:
  training.loss: [mae, huber]
  size:
    small: {model.layers: [4], training.batch: 16}
grid:
  training.batch: [8, 12]
  training.learning_rate: [1e-2, 2e-2]
"""


def test_the_base_one_factor_at_a_time_and_the_grid(planned) -> None:
    _, runs = planned(FACTORS)
    changes = [
        ("base", {}),  # the loss mae and the batch 8 with rate 0.01 are the base itself
        ("training.loss=huber", {"training.loss": "huber"}),
        ("size=small", {"model.layers": [4], "training.batch": 16}),
        ("training.batch=8+training.learning_rate=0.02", {"training.batch": 8, "training.learning_rate": 0.02}),
        ("training.batch=12+training.learning_rate=0.01", {"training.batch": 12, "training.learning_rate": 0.01}),
        ("training.batch=12+training.learning_rate=0.02", {"training.batch": 12, "training.learning_rate": 0.02}),
    ]
    assert [(run.variant, dict(run.overrides)) for run in runs] == changes * 2
    assert [run.recipe.seed for run in runs] == [3] * 6 + [1] * 6
    assert [run.name for run in runs[:2]] == ["base.seed-3", "training.loss=huber.seed-3"]
    assert len({run.name for run in runs}) == len({run.digest for run in runs}) == 12


def test_a_run_s_recipe_is_the_base_with_its_changes(planned, tmp_path) -> None:
    _, runs = planned(FACTORS)
    text = (tmp_path / "tiny.yaml").read_text()
    by_hand = ["training.rows=48", "model.layers=[4]", "training.batch=16", "seed=1"]
    (small,) = [run for run in runs if run.name == "size=small.seed-1"]
    assert small.recipe == parse_recipe(text, by_hand)


def test_a_recipe_may_stand_in_the_study(planned) -> None:
    _, (run,) = planned("recipe: {training: {rows: 1000, batch: 300, sub_epochs: 2}}\nseeds: [0]")
    assert (run.recipe.training.rows, run.recipe.training.batch) == (1000, 300)


def test_a_recipe_may_stand_on_another(planned, tmp_path) -> None:
    (tmp_path / "above.yaml").write_text("base: tiny.yaml\ntraining: {batch: 12}")
    _, (run,) = planned("recipe: above.yaml\nseeds: [0]")
    assert (run.recipe.training.batch, run.recipe.training.rows, run.recipe.model.name) == (12, 96, "mlp")


def test_what_does_not_decide_what_is_learnt_does_not_change_the_digest(planned) -> None:
    digests = {planned(f"seeds: [0]\nset: {{{more}}}")[1][0].digest for more in ("", "out: x", "source.stride: 2")}
    assert len(digests) == 1
    assert planned("seeds: [0]\nset: {training.compile: true}")[1][0].digest not in digests


def test_checkpoints_to_keep(planned) -> None:
    factors = "seeds: [0]\nfactors: {training.loss: [mse]}\n"
    for keep, expected in (("true", [True, True]), ("false", [False, False]), ("[base]", [True, False])):
        study, runs = planned(f"{factors}keep: {keep}")
        assert [study.keeps(run.variant) for run in runs] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds: []", "study.yaml: seeds: List should have at least 1 item"),
        ("seeds: [0]\nfactor: {}", "study.yaml: factor: .*known keys: recipe, data, out, seeds"),
        ("seeds: [1, 1]", "seeds: expected different ones"),
        (
            "seeds: [0]\nfactors: {training.los: [mae]}",
            "variant training.los=mae: .*unknown key 'training.los'",
        ),
        (
            "seeds: [0]\nfactors: {training.batch: [1000]}",
            "variant training.batch=1000: .*fewer than",
        ),
        ("seeds: [0]\nset: {nonsense: 1}", "variant base: .*unknown key 'nonsense'"),
        ("seeds: [0]\nkeep: [other]", "keep: no variant 'other'; there are base"),
        ("recipe: nowhere.yaml\nseeds: [0]", "nowhere.yaml: the recipe cannot be read"),
        ("seeds: [0]\nfactors: {a: {x/y: {training.batch: 4}, x:y: {training.batch: 6}}}", "come to the name 'a=x_y'"),
        ("seeds: [", "not YAML"),
        ("- recipe:", "the study: Input should be a valid dictionary"),
    ],
)
def test_odd_studies_are_refused(text: str, message: str, planned) -> None:
    with pytest.raises(SettingsError, match=message):
        planned(text)


def test_names_are_names_of_folders(planned) -> None:
    _, runs = planned("seeds: [0]\nfactors: {../../odd name: {a/b: {training.batch: 4}}, model.layers: [[4, 4]]}")
    assert [run.name for run in runs[1:]] == ["odd_name=a_b.seed-0", "model.layers=_4_4.seed-0"]


def test_the_study_of_the_documents_can_be_planned(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "study.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "study.yaml").write_text(text)
    shutil.copy(ROOT / "recipes" / "quickstart.yaml", tmp_path)
    _, runs = load_study(tmp_path / "study.yaml")
    assert len(runs) == 3 * (1 + 2 + 2 + 2 + 4)  # no value of a factor is the base's
