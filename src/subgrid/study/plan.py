"""From a study's file to its runs: the base, one factor changed at a time, and a grid where one is wanted.

recipe: minutes.yaml              # a path beside the study's file, or the recipe itself
data: data                        # a data set
out: out/study
seeds: [0, 1, 2]
set: {training.rows: 200000}      # for all runs
factors:
  training.loss: [huber, mse]     # a key and its values
  size:                           # a name, and variants that change several keys together
    small: {model.width: 16, model.blocks: 1}
grid:                             # all combinations of these
  training.batch: [64, 128]
  training.learning_rate: [1e-3, 2e-3]
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from subgrid.errors import SettingsError
from subgrid.recipe import Recipe, load_recipe, parse_recipe, read_yaml
from subgrid.source.urls import refuse_secrets, texts

BASE = "base"
"""Name of the variant that changes nothing."""

_ELSEWHERE = {"out", "source", "records", "prediction", "seed"}
_NO_NAME = re.compile(r"[^A-Za-z0-9._=+-]+")


class Study(BaseModel):
    """A study's file.

    Attributes:
        recipe: path, from the folder of the study's file, or a mapping.
        data: folder of a data set, or of each that the recipe lists, in its order.
        out: folder of the study.
        seeds: every variant is run with each.
        set: keys of the recipe with their values, for all runs.
        factors: a key with its values, or a name with variants, each some keys with their values.
        grid: keys with their values; every combination is a variant.
        keep: keep the checkpoints of finished runs: all, none, or those of the variants named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str | dict[str, Any]
    data: str | list[str] | None = None
    out: str | None = None
    seeds: list[NonNegativeInt] = Field(min_length=1)
    set: dict[str, Any] = {}
    factors: dict[str, list[Any] | dict[str, dict[str, Any]]] = {}
    grid: dict[str, list[Any]] = {}
    keep: bool | list[str] = False

    def keeps(self, variant: str) -> bool:
        """Whether the checkpoints of a variant's finished runs stay."""
        return self.keep if isinstance(self.keep, bool) else variant in self.keep


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of a study.

    Attributes:
        name: of its folder.
        variant: what it changes, by name.
        overrides: keys that the variant changes, with their values.
        recipe: resolved.
    """

    name: str
    variant: str
    overrides: Mapping[str, Any]
    recipe: Recipe

    @property
    def digest(self) -> str:
        """Identity of all that decides what it learns from given data."""
        return _digest(self.recipe, _ELSEWHERE - {"seed"})


def load_study(path: Path) -> tuple[Study, list[PlannedRun]]:
    """Read a study's file and work out its runs: for each seed the base, then the variants in the order of the file.

    A variant that comes to the same recipe as one before it (a factor's value that the base has) is not run again.

    Raises:
        SettingsError: a file that cannot be read or used, a recipe that a variant makes impossible, doubled names,
            a URL with user, password or query.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"), str(path))
        for name, text in texts(content):
            refuse_secrets(text, "a study", f"{path}: {name}")
        study = Study.model_validate(content)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the study cannot be read ({error})") from error
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(item, path) for item in error.errors())) from error
    if len({*study.seeds}) < len(study.seeds):
        raise SettingsError(f"{path}: seeds: expected different ones, found {study.seeds}")
    variants = _distinct(study, path)
    if unknown := [name for name in (study.keep if isinstance(study.keep, list) else []) if name not in variants]:
        raise SettingsError(f"{path}: keep: no variant {unknown[0]!r}; there are {', '.join(variants)}")
    return study, [
        PlannedRun(f"{name}.seed-{seed}", name, changes, _resolved(study, path, name, {**changes, "seed": seed}))
        for seed in study.seeds
        for name, changes in variants.items()
    ]


def _variants(study: Study, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield BASE, {}
    for factor, values in study.factors.items():
        if isinstance(values, dict):
            yield from ((f"{factor}={name}", changes) for name, changes in values.items())
        else:
            yield from ((f"{factor}={_text(value)}", {factor: value}) for value in values)
    if study.grid:
        for chosen in product(*study.grid.values()):
            changes = dict(zip(study.grid, chosen, strict=True))
            yield "+".join(f"{key}={_text(value)}" for key, value in changes.items()), changes


def _distinct(study: Study, path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    seen = set()
    for text, changes in _variants(study, path):
        name = _NO_NAME.sub("_", text).strip("_.")
        digest = _digest(_resolved(study, path, name, changes), _ELSEWHERE)
        if digest in seen:
            continue
        if not name or name in found:
            raise SettingsError(
                f"{path}: two variants come to the name {name!r}; name them under a factor of their own"
            )
        seen.add(digest)
        found[name] = changes
    return found


def _resolved(study: Study, path: Path, variant: str, changes: Mapping[str, Any]) -> Recipe:
    changed = [f"{key}={json.dumps(value)}" for key, value in {**study.set, **changes}.items()]
    try:
        if isinstance(study.recipe, dict):
            return parse_recipe(json.dumps(study.recipe), changed, f"{path}: recipe")
        return load_recipe(path.parent / study.recipe, changed)
    except SettingsError as error:
        raise SettingsError(f"{path}: variant {variant}: {error}") from error


def _digest(recipe: Recipe, without: set[str]) -> str:
    content = recipe.model_dump(mode="json", exclude=without)
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _explain(item: Mapping[str, Any], path: Path) -> str:
    name = ".".join(str(part) for part in item["loc"]) or "the study"
    known = f"; known keys: {', '.join(Study.model_fields)}" if item["type"] == "extra_forbidden" else ""
    return f"{path}: {name}: {item['msg']}{known}"
