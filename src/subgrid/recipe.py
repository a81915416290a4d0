"""The recipe: one YAML file whose top-level keys are the rooms, ``seed`` and ``out``; read strictly.

An unknown key is an error that names the key, the file and what it may have meant. ``--set training.rows=100000``
replaces one value; the value is read as YAML. ``Recipe.to_yaml`` writes the resolved recipe, which reads back equal.

A recipe may stand on another one: ``base: other.yaml`` (a path from where the file lies) takes all keys of it but
those that are said here, key by key; a list is replaced as a whole. The resolved recipe has no base.

YAML is read by its version 1.2: ``0008-02-01`` stays text (no date), ``0010`` too (no octal 8), ``1e-3`` is a number.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, field_validator

from subgrid.errors import SettingsError, UsageError
from subgrid.model.registry import ModelSettings
from subgrid.records.draws import Draw
from subgrid.records.files import parse_size
from subgrid.representation.settings import RepresentationSettings
from subgrid.source.synthetic.files import SyntheticSettings
from subgrid.source.urls import refuse_secrets, texts, without_secrets
from subgrid.training.settings import TrainingSettings


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceSettings(_Settings):
    """Where raw steps come from and which of them are taken.

    Attributes:
        location: a folder or fsspec URL laid out like ClimSim's repositories, or ``synthetic``.
        validation: the split, such as ``every=5``; none trains on every step.
        start, end: first and last instant, month or year (``0001-02``), both included.
        stride: every n-th step between them.
        draw: parts x batches x steps, as in ``44x5x100``: so many of these steps drawn by the seed, none twice.
        grid: the grid file; default the one ``*_grid-info.nc`` in the location.
        plan: a plan file: used if it exists, written first if not.
        synthetic: the made-up climate.
    """

    location: str = "synthetic"
    validation: str | None = None
    start: str | None = None
    end: str | None = None
    stride: PositiveInt = 1
    draw: str | None = None
    grid: str | None = None
    plan: str | None = None
    synthetic: SyntheticSettings = SyntheticSettings()

    @field_validator("draw")
    @classmethod
    def _draw(cls, value: str | None) -> str | None:
        return None if value is None else str(Draw.parse(value))


class RecordsSettings(_Settings):
    """How the data set is built.

    Attributes:
        variables: the variable set.
        shard_size: about how large a shard is, as in ``64MB``.
        span: steps whose rows are mixed; 0: those of a batch of ``source.draw``, else as many as fill a shard.
        float64: store rows in float64 instead of float32.
        workers: local processes that build; 1 builds in this one.
    """

    variables: str = "kaggle"
    shard_size: str = "64MB"
    span: NonNegativeInt = 0
    float64: bool = False
    workers: PositiveInt = 1

    @field_validator("shard_size", mode="before")
    @classmethod
    def _size(cls, value: Any) -> str:
        parse_size(value)
        return str(value)

    @property
    def shard_bytes(self) -> int:
        """``shard_size`` in bytes."""
        return parse_size(self.shard_size)


class PredictionSettings(_Settings):
    """What ``subgrid run`` predicts with the trained network.

    Attributes:
        checkpoint: ``latest`` or ``best``.
        split: of the data set; the training split where there is no validation.
        batch: rows predicted at once.
    """

    checkpoint: Literal["latest", "best"] = "latest"
    split: Literal["validation", "training"] = "validation"
    batch: PositiveInt = 512


class Recipe(_Settings):
    """All settings of an experiment; every room has its own key."""

    source: SourceSettings = SourceSettings()
    records: RecordsSettings = RecordsSettings()
    representation: RepresentationSettings = Field(default_factory=RepresentationSettings)
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    prediction: PredictionSettings = PredictionSettings()
    seed: NonNegativeInt = 0
    out: str = "out"

    def to_yaml(self) -> str:
        """The resolved recipe: every key with its value, in the order of the rooms."""
        return yaml.dump(self.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and replace single values.

    Args:
        path: a YAML file.
        overrides: ``a.b=value`` each, applied in order.

    Raises:
        SettingsError: no such file, not YAML, an unknown or doubled key, a value that does not fit, a URL with user,
            password or query: a recipe is kept in every checkpoint and published with it.
    """
    return _parse(_read_tree(Path(path), ()), overrides, str(path))


def parse_recipe(text: str, overrides: Sequence[str] = (), where: str = "recipe") -> Recipe:
    """A recipe from YAML text; as ``load_recipe``, with ``where`` as its name in messages. Without a base."""
    return _parse(_Tree(_top(text, where), {}), overrides, where)


class _Tree(NamedTuple):
    """Keys of a recipe as they were read, and the file of each dotted key that a base says."""

    keys: dict[str, Any]
    files: dict[str, str]


def _read_tree(path: Path, above: tuple[Path, ...]) -> _Tree:
    """A file on top of its base; ``above`` are the files that stand on it."""
    chain = (*above, path.resolve())
    if path.resolve() in above:
        raise SettingsError(f"{above[-1]}: base: a recipe cannot stand on itself ({' -> '.join(map(str, chain))})")
    try:
        keys = _top(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        where = f"{above[-1]}: base: {path}" if above else f"{path}"
        raise SettingsError(f"{where}: the recipe cannot be read ({error})") from error
    if (base := keys.pop("base", None)) is None:
        return _Tree(keys, {})
    if not isinstance(base, str):
        raise SettingsError(f"{path}: base: expected the path of a recipe, found {base!r}")
    under = _read_tree(path.parent / base, chain)
    said = set(_leaves(keys))
    files = {name: under.files.get(name, str(path.parent / base)) for name in _leaves(under.keys) if name not in said}
    return _Tree(_merged(under.keys, keys), files)


def _merged(under: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """``keys`` on top of ``under``, room by room; a key without a value says nothing."""
    found = dict(under)
    for key, value in keys.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        if value is not None or key not in found:
            found[key] = _merged(found[key], value) if both else value
    return found


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _top(text: str, where: str) -> dict[str, Any]:
    tree = read_yaml(text, where)
    if tree is not None and not isinstance(tree, dict):
        raise SettingsError(
            f"{where}: expected keys such as {', '.join(Recipe.model_fields)}, found {str(tree)[:60]!r}"
        )
    return {key: value for key, value in (tree or {}).items() if value is not None}  # "training:" alone is the default


def _parse(read: _Tree, overrides: Sequence[str], where: str) -> Recipe:
    tree, places = read.keys, {}
    for override in overrides:
        name, equals, value = override.partition("=")
        place = f"--set {without_secrets(override)}"
        if not equals or not name:
            raise UsageError(f"{place}: expected KEY=VALUE, as in training.rows=100000")
        places[name] = place
        _put(tree, name.split("."), read_yaml(value, place), place)
    for name, text in texts(tree):
        refuse_secrets(text, "a recipe", f"{(read.files | places).get(name, where)}: {name}")
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        places |= {name: file for name, file in read.files.items() if name not in places}
        raise SettingsError("\n".join(_explain(item, where, places) for item in error.errors())) from error


def _put(tree: dict[str, Any], path: Sequence[str], value: Any, where: str) -> None:
    for depth, key in enumerate(path[:-1]):
        if tree.get(key) is None:
            tree[key] = {}
        tree = tree[key]
        if not isinstance(tree, dict):
            raise SettingsError(f"{where}: {'.'.join(path[: depth + 1])} is a value and has no keys")
    tree[path[-1]] = value


def _explain(item: Mapping[str, Any], where: str, places: Mapping[str, str]) -> str:
    name = ".".join(str(part) for part in item["loc"])
    touched = (place for key, place in places.items() if f"{name}.".startswith(f"{key}.") or key.startswith(f"{name}."))
    where = next(touched, where)
    if item["type"] != "extra_forbidden":
        # A check over several keys belongs to the room that holds them, and names them itself.
        message = str(item["msg"]).removeprefix("Value error, ")
        found = "" if isinstance(item["input"], dict | BaseModel) else f", found {item['input']!r}"
        return f"{where}: {name}: {message}{found}"
    return f"{where}: unknown key {name!r}; {_near(name)}"


def _near(name: str) -> str:
    """What an unknown key may have meant: a like key of its room, or the same key of another room."""
    known = list(known_keys(Recipe))
    room, _, last = re.sub(r"\.\d+(?=\.|$)", "", name).rpartition(".")  # places in a list have no name
    names = {key: key.rpartition(".")[2] for key in known}
    here = [key for key in known if key.rpartition(".")[0] == room]
    near = [key for key in here if get_close_matches(last, [names[key]], cutoff=0.6)]
    near += [key for key in known if names[key] == last and key not in near]
    near = near or [key for key in known if get_close_matches(last, [names[key]], cutoff=0.75)]
    return f"did you mean {' or '.join(near)}?" if near else f"known keys there: {', '.join(here or known)}"


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of all keys of a settings class, rooms before what they hold."""
    for key, item in model.model_fields.items():
        yield f"{prefix}{key}"
        for kind in (item.annotation, *get_args(item.annotation)):  # a room, or a list of such
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from known_keys(kind, f"{prefix}{key}.")


_OWN_TAGS = ("int", "float", "timestamp")
_TEXT_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _OWN_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Dumper(yaml.SafeDumper):
    """Writes what ``_Loader`` reads back."""

    yaml_implicit_resolvers = {first: list(found) for first, found in _TEXT_RESOLVERS.items()}


class _Loader(yaml.SafeLoader):
    """Safe YAML with the numbers of version 1.2, without dates, and with an eye on doubled keys."""

    yaml_implicit_resolvers = {first: list(found) for first, found in _TEXT_RESOLVERS.items()}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := [key for place, key in enumerate(keys) if key in keys[:place]]:
            raise yaml.constructor.ConstructorError(None, None, f"key {doubled[0]!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)$")
_NUMBER = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9_]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
for _dialect in (_Loader, _Dumper):
    _dialect.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
    _dialect.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def read_yaml(text: str, where: str) -> Any:
    """Plain values of YAML 1.2 text; raises SettingsError, with ``where`` as its name, for anything else."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{where}: not YAML: {without_secrets(' '.join(str(error).split()))}") from error
