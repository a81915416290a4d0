"""The recipes of the winning ensemble against its table, and their networks against a count of parameters."""

import os
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from subgrid import chain
from subgrid.recipe import Recipe, load_recipe, parse_recipe
from subgrid.records.reader import Dataset
from subgrid.representation.settings import RepresentationSettings
from subgrid.training.progress import Silence

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "recipes" / "leap-2024"
PAGE = (ROOT / "docs" / "winning-recipe.md").read_text()


class Model(NamedTuple):
    """A row of the table: what the models of the ensemble differ in."""

    high: bool
    epochs: int
    width: int = 384
    head: int = 2048
    space_time: bool = True
    confidence: bool = True
    clip: float = 1.1
    keep: tuple[int, ...] = ()


TABLE = {
    "01-all-30-epochs": Model(False, 3),
    "02-all-60-epochs": Model(False, 6),
    "03-all-90-epochs": Model(False, 9, keep=(58, 90)),
    "04-lr-4e-512dim": Model(False, 4, width=512, space_time=False),
    "05-lr-3e-384dim": Model(False, 3, space_time=False),
    "06-hr-4e": Model(True, 4, clip=0),
    "07-4e-256dim-fr": Model(True, 4, width=256, head=1024, clip=1.2),
    "08-hr-3e": Model(True, 3),
    "09-hr-7e-256dim": Model(True, 7, width=256, head=1024),
    "10-4e-no-aux": Model(True, 4, space_time=False, clip=0),
    "11-5e-nospacetime": Model(True, 5, space_time=False),
    "12-hr-5e-noconfidencehead": Model(True, 5, space_time=False, confidence=False),
    "13-hr-3e-nospacetime": Model(True, 3, space_time=False),
    "reference": Model(True, 4),
}
GROUND = ("low", "low-high")
"""Recipes that others stand on."""
CHOICE = "high-resolution-draw"
"""The winner's choice of high-resolution steps; no model of the ensemble."""


@pytest.fixture(params=TABLE)
def case(request: pytest.FixtureRequest) -> tuple[Recipe, Model]:
    """A recipe as it was resolved and written, and its row of the table."""
    resolved = load_recipe(FOLDER / f"{request.param}.yaml").to_yaml()
    return parse_recipe(resolved), TABLE[request.param]


def test_the_folder_holds_the_table() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == {*TABLE, *GROUND, CHOICE}


def number(pattern: str, text: str, default: float) -> float:
    """The number behind some words, or the default where they are not."""
    found = re.search(pattern + r" ([\d.]+\d|\d+)", text)
    return float(found[1]) if found else default


def test_the_choice_of_high_resolution_steps_is_written_down() -> None:
    recipe = load_recipe(FOLDER / f"{CHOICE}.yaml")
    assert recipe.source.location == "hf://datasets/LEAP/ClimSim_high-res"
    assert (recipe.source.draw, recipe.records.span) == ("44x5x100", 100)
    assert recipe.training.data[0].once and recipe.training.epochs == 1
    assert recipe.representation == load_recipe(FOLDER / "low-high.yaml").representation
    (command,) = re.findall(r"^\$ subgrid build (hf://\S+) HIGH (.*)$", PAGE, flags=re.MULTILINE)
    assert command == (recipe.source.location, f"--draw {recipe.source.draw} --validation {recipe.source.validation}")


@pytest.mark.slow
def test_the_choice_is_carried_through_with_small_numbers(tmp_path: Path) -> None:
    made = ("location=synthetic", "synthetic.steps=8", "synthetic.columns=24", "draw=2x1x3", "validation=rows=24")
    small = ("width=4", "blocks=1", "head=8", "heads=2", "kernel=3")
    changes = [*(f"source.{one}" for one in made), *(f"model.{one}" for one in small), "training.batch=8",
               "records.span=3", "training.sub_epochs=2", "training.window=2", "training.precision=32-true",
               "training.validation=[{name: high, rows: 24}]", f"source.plan={tmp_path / 'plan.json'}"]  # fmt: skip
    recipe = load_recipe(FOLDER / f"{CHOICE}.yaml", [*changes, f"out={tmp_path / 'out'}"])
    outcome = chain.run(recipe, chain.Watcher(lambda what, unit: nullcontext(lambda done, total: None), Silence()))
    assert (outcome.score["split"], outcome.score["rows"]) == ("validation", 24)
    assert Dataset.open(tmp_path / "out" / "data").splits == {"training": 6 * 24 - 24, "validation": 24}


def test_the_page_has_the_same_table() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| ([\w +]+) \| (\d+) \| (.*?)\| 0\.", PAGE, flags=re.MULTILINE)
    found = {
        name: Model(
            high="high" in data,
            epochs=int(epochs),
            width=int(number("width", words, 384)),
            head=int(number("head", words, 2048)),
            space_time="no space-time" not in words,
            confidence="no confidence head" not in words,
            clip=0 if "not clipped" in words else number("clip at", words, 1.1),
            keep=tuple(map(int, re.findall(r"\d+", words.partition("sub-epochs")[2]))),
        )
        for name, data, epochs, words in rows
    }
    assert found == TABLE


def test_every_switch_of_the_table_is_read_back(case: tuple[Recipe, Model]) -> None:
    recipe, model = case
    training, high = recipe.training, recipe.training.data[1:]
    assert (
        Model(
            high=bool(high),
            epochs=training.epochs,
            width=recipe.model.width,
            head=recipe.model.head,
            space_time=training.space_time,
            confidence=training.confidence,
            clip=high[0].clip if high else 1.1,
            keep=training.keep,
        )
        == model
    )
    assert (training.rows, training.sub_epochs) == (0, 10 * model.epochs)
    assert training.batch == (1024 if model.high else 512)
    assert [item.name for item in training.validation] == ["low-1", "low-2", *["high"] * model.high, "low-training"]
    assert [(item.share, item.once) for item in training.data] == ([(2, False), (1, True)] if high else [(1, False)])


def test_what_all_models_share(case: tuple[Recipe, Model]) -> None:
    recipe, _ = case
    assert recipe.representation == RepresentationSettings(
        name="leap", target_scale="old_weights", masked={"ptend_q0002": (12, 26)}
    )
    model = recipe.model
    assert (model.name, model.blocks, model.heads, model.kernel) == ("squeezeformer", 12, 4, 15)
    training = recipe.training
    assert (training.loss, training.schedule, training.learning_rate, training.decay_ratio) == (
        "mae",
        "sub_epoch",
        1e-3,
        4,
    )
    assert (training.betas, training.epsilon, training.warm_up) == ((0.9, 0.999), 1e-7, 0)
    assert (training.clip, training.average, training.data[0].clip) == (0, 0, 0)
    scored = [(item.data, item.split, item.skip, item.rows) for item in training.validation if item.name != "high"]
    assert scored == [
        ("low", "validation", 0, 10**5),
        ("low", "validation", 10**5, 10**5),
        ("low", "training", 0, 10**5),
    ]


def parameters(model: Model) -> int:
    """The network's parameters from its layers' sizes, written down from their description."""
    width, head = model.width, model.head

    def dense(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs

    pair = 2 * width  # scale and bias, of a LayerNorm or of a branch
    feed_forward = dense(width, 4 * width) + dense(2 * width, width) + pair + pair
    gate, batch_norm = 5, 2 * 2 * width
    convolution = dense(width, 4 * width) + 15 * 2 * width + batch_norm + gate + dense(2 * width, width) + pair
    attention = 4 * dense(width, width) + pair + pair
    blocks = 12 * (convolution + feed_forward + attention + feed_forward)
    wide = dense(width, head) + dense(head, 2 * head) + dense(head, head)
    outputs = 14 + (6 if model.space_time else 0)
    return 44 * width + pair + blocks + wide + (1 + model.confidence) * dense(head, outputs)


@pytest.mark.parametrize(
    ("width", "head", "known"), [(256, 1024, 20_972_132), (384, 2048, 52_714_340), (512, 2048, 83_362_916)]
)
def test_the_count_is_that_of_the_full_form(width: int, head: int, known: int) -> None:
    assert parameters(Model(True, 1, width=width, head=head)) == known


def test_networks_have_the_parameters_and_shapes_of_their_table(case: tuple[Recipe, Model]) -> None:
    """Built without memory or numbers: on torch's meta device."""
    import torch

    from subgrid.model.registry import ModelShape, build

    recipe, model = case
    auxiliary = 6 if recipe.training.space_time else 0
    shape = ModelShape(60, 28, 16, profiles=6, scalars=8, auxiliary=auxiliary, confidence=recipe.training.confidence)
    with torch.device("meta"):
        network = build(recipe.model, shape)
        found = network(torch.empty(2, 60, 44))
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters(model)
    assert found.prediction.shape == (2, 374 if model.space_time else 368)
    assert (found.confidence is not None) == model.confidence


def test_293_targets_are_trained() -> None:
    from subgrid.representation.targets import masked_columns, old_weights
    from subgrid.schema.variable_sets import variable_set

    variables = variable_set("kaggle")
    masked = masked_columns(load_recipe(FOLDER / "reference.yaml").representation, variables)
    assert masked.sum() == 75
    assert (~masked & (old_weights(variables) > 0)).sum() == 293


TINY = ("model.width=4", "model.blocks=1", "model.head=8", "model.heads=2", "training.epochs=0.2",
        "training.sub_epochs=2", "training.precision=32-true", "training.threads=1")  # fmt: skip


@pytest.mark.slow
def test_the_one_command_of_the_page_goes_from_recipes_to_a_submission(tmp_path: Path) -> None:
    """As it stands there, with a smaller network, stopped before the second training and given again; the submission
    against the two predictions and the tables.
    """
    from subgrid.prediction.store import StoredPrediction
    from subgrid.schema.variable_sets import scored_columns, variable_set

    lines = [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ") and " two" in line]
    assert len(lines) == 2
    lines[0] += "".join(f" --set {setting}" for setting in TINY)
    (tmp_path / "bin").mkdir()
    stopped = 'case "$*" in train*run-low-high*) [ ! -e stop ] || { rm stop; exit 143; };; esac'
    (tmp_path / "bin" / "subgrid").write_text(f'#!/bin/sh\n{stopped}\nexec "{sys.executable}" -m subgrid "$@"\n')
    (tmp_path / "bin" / "subgrid").chmod(0o755)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    paths = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src")}
    given = {
        name: value for name, value in os.environ.items() if name not in ("LOW", "HIGH", "TEST", "SAMPLE", "TRAIN")
    }

    def pasted() -> subprocess.CompletedProcess[str]:
        environment = {**given, **paths, "OMP_NUM_THREADS": "1"}
        return subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, env=environment, capture_output=True,
                              text=True, timeout=600)  # fmt: skip

    def trained() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "two" / "run-low").glob("checkpoints/*/*")}

    (tmp_path / "stop").touch()
    assert pasted().returncode == 143 and not (tmp_path / "two" / "run-low-high").exists()
    before = trained()
    done = pasted()
    assert done.returncode == 0, done.stderr
    assert before and trained() == before
    assert "two/submission.csv: 3,072 rows with the new weights" in done.stdout and "competition " in done.stdout

    def table(path: str) -> np.ndarray:
        return np.loadtxt(tmp_path / "two" / path, delimiter=",", skiprows=1, usecols=range(1, 369))

    variables, rows = variable_set("kaggle"), np.arange(3072)
    low, high = (StoredPrediction.open(tmp_path / "two" / f"prediction-{name}").at(rows).prediction
                 for name in ("low", "low-high"))  # fmt: skip
    expected = 0.35 * low + 0.65 * high
    ruled = [variables.target_columns.index(f"ptend_q0002_{level}") for level in range(12, 27)]
    expected[:, ruled] = -table("tables/test.csv")[:, 132:147] / 1200  # state_q0002 begins at 120
    expected[:, ~scored_columns(variables)] = 0
    np.testing.assert_allclose(table("submission.csv"), expected, rtol=1e-12, atol=0)
