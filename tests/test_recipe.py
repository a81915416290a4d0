"""Recipes are read strictly, changed by --set, and written so that they read back equal."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import SettingsError
from subgrid.recipe import Recipe, known_keys, load_recipe, parse_recipe, parse_size

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_comes_with_subgrid_can_be_read(path: Path) -> None:
    recipe = load_recipe(path)
    assert parse_recipe(recipe.to_yaml()) == recipe


def test_quickstart_holds_what_the_documentation_relies_on() -> None:
    recipe = load_recipe(ROOT / "recipes" / "quickstart.yaml")
    assert (recipe.source.location, recipe.source.validation) == ("synthetic", "every=5")
    assert recipe.model.name == "squeezeformer"
    assert recipe.training.rows > 0
    assert load_recipe(ROOT / "recipes" / "quickstart.yaml", ["model.name=mlp"]).model.name == "mlp"


def test_an_empty_recipe_is_the_default_one() -> None:
    assert parse_recipe("") == parse_recipe("training:\nseed:") == Recipe()


@pytest.mark.parametrize(
    ("text", "overrides", "parts"),
    [
        ("training: {rowz: 5}", [], ["f.yaml", "'training.rowz'", "training.rows"]),
        ("", ["training.rowz=5"], ["--set training.rowz=5", "'training.rowz'", "training.rows"]),
        ("rows: 5", [], ["f.yaml", "'rows'", "training.rows"]),
        ("modl: {width: 64}", [], ["'modl'", "model"]),
        ("source: {synthetic: {step: 5}}", [], ["'source.synthetic.step'", "source.synthetic.steps"]),
        ("zebra: 1", [], ["'zebra'", "known keys", "training", "seed", "out"]),
        ("training: {rows: many}", [], ["f.yaml", "training.rows", "found 'many'"]),
        ("", ["model.name=transformer"], ["--set model.name=transformer", "squeezeformer", "mlp"]),
        ("", ["records.shard_size=big"], ["records.shard_size", "64MB", "'big'"]),
        ("source: {draw: 44x5}", [], ["source.draw", "parts x batches x steps", "found '44x5'"]),
        ("", ["training.rows"], ["KEY=VALUE"]),
        ("", ["seed.x=1"], ["--set seed.x=1", "seed"]),
        ("seed: 1", ["seed.x=1"], ["seed is a value"]),
        ("seed: 1\nseed: 2", [], ["'seed' stands twice"]),
        ("training: {rows: [", [], ["not YAML"]),
        ("just words", [], ["expected keys", "'just words'"]),
        ("training: {rows: 100, sub_epochs: 10}", [], ["training.rows = 100", "training.sub_epochs = 10"]),
        ("training: {data: [{shar: 2}]}", [], ["'training.data.0.shar'", "did you mean training.data.share"]),
        ("training: {data: []}", [], ["training.data", "expected 1 to 127 data sets"]),
        ("training: {data: [{name: a}, {name: a}]}", [], ["training.data", "'a' stands twice"]),
        ("training: {validation: [{name: a, data: b}]}", [], ["'a' names the data set 'b'", "has data"]),
        ("training: {validation: [{name: a}], validation_rows: 5}", [], ["training.validation_rows belongs to"]),
        ("training: {keep: [3, 11]}", [], ["training.keep", "no sub-epoch 11 of 10"]),
        ("training: {epochs: 4, rows: 5000}", [], ["training.rows = 5000 and training.epochs = 4", "one of them to 0"]),
        ("training: {rows: 0}", [], ["training.rows = 0"]),
        ("training: {rows: -1}\nmodel: {widht: 3}", [], ["training.rows", "'model.widht'"]),
    ],
)
def test_what_cannot_be_used_is_named(text: str, overrides: list[str], parts: list[str]) -> None:
    with pytest.raises(SettingsError) as error:
        parse_recipe(text, overrides, "f.yaml")
    for part in parts:
        assert part in str(error.value)


def test_an_absent_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        load_recipe(tmp_path / "absent.yaml")


def written(folder: Path, **texts: str) -> Path:
    """Recipes by name; the first one's path."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(texts))}.yaml"


def test_a_recipe_says_only_what_differs_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    written(tmp_path, ground="model: {width: 8, heads: 2}\ntraining: {epochs: 3, keep: [1, 2]}\nseed: 7")
    middle = written(tmp_path / "deep", middle="base: ../ground.yaml\nmodel: {width: 16}\ntraining:")
    top = written(
        tmp_path, top="base: deep/middle.yaml\ntraining: {keep: [4], epochs: 4}\nrepresentation: {name: leap}"
    )
    recipe = load_recipe(top, ["model.kernel=3"])
    assert recipe == parse_recipe(
        "{model: {width: 16, heads: 2, kernel: 3}, training: {epochs: 4, keep: [4]}, seed: 7}"
    )
    assert "base" not in recipe.to_yaml()
    assert (load_recipe(middle).training.epochs, load_recipe(middle).training.keep) == (3, (1, 2))


def test_a_base_that_leads_back_is_refused(tmp_path: Path) -> None:
    top = written(tmp_path, a="base: b.yaml", b="base: ./c.yaml", c="base: b.yaml")
    with pytest.raises(SettingsError, match=r"c\.yaml: base: a recipe cannot stand on itself .*b\.yaml -> .*c\.yaml"):
        load_recipe(top)
    with pytest.raises(SettingsError, match="cannot stand on itself"):
        load_recipe(written(tmp_path, own="base: own.yaml"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("base: absent.yaml", ["top.yaml: base: ", "absent.yaml: the recipe cannot be read"]),
        ("base: 5", ["top.yaml: base: expected the path of a recipe, found 5"]),
        ("base: other.yaml", ["other.yaml: unknown key 'training.rowz'", "training.rows"]),
        ("base: other.yaml\ntraining: {rowz: 1}", ["top.yaml: unknown key 'training.rowz'"]),
        ("base: other.yaml\nmodel: {widht: 1}", ["other.yaml: unknown key 'training.rowz'", "top.yaml: unknown key"]),
        ("base: third.yaml", ["third.yaml: expected keys such as"]),
    ],
)
def test_what_is_wrong_with_a_base_is_named(text: str, parts: list[str], tmp_path: Path) -> None:
    top = written(tmp_path, top=text, other="training: {rowz: 5}", third="words")
    with pytest.raises(SettingsError) as error:
        load_recipe(top)
    for part in parts:
        assert part in str(error.value)


def test_values_are_read_as_yaml() -> None:
    recipe = parse_recipe(
        "training: {learning_rate: 1e-3}",
        ["training.rows=1_000_000", "training.betas=[0.5, 0.9]", "training.compile=true", "source.validation=every=5"],
    )
    assert recipe.training.learning_rate == 1e-3
    assert recipe.training.rows == 1_000_000
    assert recipe.training.betas == (0.5, 0.9)
    assert recipe.training.compile is True
    assert recipe.source.validation == "every=5"


def test_years_and_dates_stay_text() -> None:
    recipe = parse_recipe("source: {start: 0010, end: 0008-02-01}", ["source.start=0007"])
    assert (recipe.source.start, recipe.source.end) == ("0007", "0008-02-01")


def test_later_overrides_win_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("seed: 1\n")
    assert load_recipe(path, ["seed=2", "seed=3"]).seed == 3
    assert path.read_text() == "seed: 1\n"


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1), st.integers(0, 10**9))
def test_a_resolved_recipe_reads_back_equal(out: str, seed: int) -> None:
    recipe = Recipe(out=out, seed=seed)
    assert parse_recipe(recipe.to_yaml()) == recipe


@pytest.mark.parametrize("text", ["1e5", "0010", "0008-02-01", "null", "true", "1_000", ".inf", "~", "=", "12:30"])
def test_text_that_looks_like_a_number_stays_text(text: str) -> None:
    assert parse_recipe(Recipe(out=text).to_yaml()).out == text


def test_every_key_can_be_set_to_what_it_is() -> None:
    tree = Recipe().model_dump(mode="json")
    whole = ("training.data.", "training.validation.")  # lists: set as such
    for name in (name for name in known_keys(Recipe) if not name.startswith(whole)):
        value = tree
        for part in name.split("."):
            value = value[part]
        if not isinstance(value, dict):
            import json

            assert parse_recipe("", [f"{name}={json.dumps(value)}"]) == Recipe()


@pytest.mark.parametrize(
    ("text", "size"), [("64MB", 64_000_000), ("1.5 GB", 1_500_000_000), ("2MiB", 2**21), ("100", 100), (7, 7)]
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "MB", "-5MB", "5TB", "5 M B", "1e6"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(SettingsError, match="64MB"):
        parse_size(text)


def test_recipes_are_read_without_torch() -> None:
    code = "import sys, subgrid.recipe; print({'torch', 'lightning_fabric', 'netCDF4'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("source: {location: 'http://me:hunter2@host/raw'}", []),
        ("source: {grid: 'https://host/grid.nc?token=hunter2'}", []),
        ("", ["source.location=s3://hunter2@bucket/raw"]),
        ("", ["source.locatoin=http://me:hunter2@host/raw"]),
        ("source: [http://me:hunter2@host/raw: x: y]", []),
    ],
)
def test_a_recipe_keeps_and_tells_no_secrets(text: str, overrides: list[str]) -> None:
    with pytest.raises(SettingsError, match="keeps no user, password or query|not YAML") as error:
        parse_recipe(text, overrides)
    assert "hunter2" not in str(error.value)
