"""The recipes of docs/minutes.md: what they say, and that they run with and without a validation split."""

import json
from pathlib import Path

import pytest

from subgrid import chain
from subgrid.recipe import load_recipe
from subgrid.study.plan import load_study
from test_chain import silent

ROOT = Path(__file__).parents[1]
SMALL = [
    "source.synthetic.steps=6",
    "source.synthetic.columns=24",
    "model.width=8",
    "model.head=16",
    "training.rows=192",
    "training.batch=24",
    "training.compile=false",
]


def test_plain_is_the_network_as_the_field_would_write_it() -> None:
    """64 channels, 3 blocks, head 256, standardised inputs, Huber, AdamW, cosine; none of what minutes adds."""
    recipe = load_recipe(ROOT / "recipes" / "plain.yaml")
    model, training = recipe.model, recipe.training
    assert (model.name, model.width, model.blocks, model.head) == ("squeezeformer", 64, 3, 256)
    assert recipe.representation.name == "per_level" and not recipe.representation.derived
    assert (training.loss, training.optimizer, training.average) == ("huber", "adamw", 0)
    assert not (training.confidence or training.space_time or training.mirror or recipe.representation.symmetric)


def test_the_study_is_of_minutes_one_factor_at_a_time() -> None:
    study, runs = load_study(ROOT / "studies" / "minutes.yaml")
    assert study.seeds == [0, 1, 2] and not study.grid
    variants = {run.variant: run.overrides for run in runs}
    assert len(runs) == 3 * len(variants) and all(variants[name] for name in variants if name != "base")
    base = load_recipe(ROOT / "recipes" / "minutes.yaml")
    assert all(run.recipe.source == base.source and run.recipe.training.rows < base.training.rows for run in runs)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["every=3", "null"])
@pytest.mark.parametrize("name", ["minutes", "plain"])
def test_they_run_with_and_without_a_validation_split(name: str, split: str, tmp_path: Path) -> None:
    recipe = load_recipe(
        ROOT / "recipes" / f"{name}.yaml", [*SMALL, f"source.validation={split}", f"out={tmp_path / 'out'}"]
    )
    chain.run(recipe, silent())
    *_, last = map(json.loads, (tmp_path / "out" / "run" / "metrics.jsonl").read_text().splitlines())
    assert last["event"] == "finished" and last["rows"] == 192 and last["seconds"] > 0
    assert (last.get("r2_294") is not None) == (split != "null")
