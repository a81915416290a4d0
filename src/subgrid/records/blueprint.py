"""Everything that determines the bytes of a data set: settings, plan, grid; written first into the folder of a build.

Parts that share a folder, and a build that is resumed, compare theirs with the one that stands there.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from subgrid.disk import LOCK
from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.records.example import Feature, RecordLayout
from subgrid.records.plan import Group, Plan, make_groups, parse_plan
from subgrid.records.store import LocalStore, Store, as_store, write_json
from subgrid.records.stored import Storage
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet, variable_set
from subgrid.source.grids import grid_in

FORMAT = "subgrid-build/1"
BUILD_FILE, PLAN_FILE, GRID_FILE, SOURCE_FILE = "build.json", "plan.json", "grid.nc", "source.json"
SHARDS, PARTS = "shards", "parts"
GRID_MEND = "put a copy of the grid file that it was built with there"


@dataclass(frozen=True)
class BuildSettings:
    """What a user chooses about a data set's bytes.

    Attributes:
        variables: name of the variable set.
        float64: store rows in float64 instead of float32.
        shard_size: bytes of a shard, about.
        seed: of all permutations and draws of the build.
        span: steps whose rows are mixed; 0: as many as fill a shard. Where a shard holds fewer, as in high resolution,
            the rows of that many steps are permuted together and cut into shards.
    """

    variables: str = "kaggle"
    float64: bool = False
    shard_size: int = 64_000_000
    seed: int = 0
    span: int = 0

    def __post_init__(self) -> None:
        variable_set(self.variables)
        if self.shard_size < 1:
            raise SettingsError(f"shard size must be at least 1 byte, found {self.shard_size}")
        if self.span < 0:
            raise SettingsError(f"span must be a number of steps, found {self.span}")


def dataset_layout(variables: VariableSet, float64: bool) -> RecordLayout:
    """The record of a data set's row: row, column, time, inputs, targets."""
    dtype = "<f8" if float64 else "<f4"
    features = (
        Feature("row", "<i8", 1),
        Feature("column", "<i4", 1),
        Feature("time", "<i8", 1),
        Feature("inputs", dtype, variables.input_width),
        Feature("targets", dtype, variables.target_width),
    )
    return RecordLayout(features, aligned=("inputs", "targets"))


@dataclass(frozen=True)
class Blueprint:
    """Settings, plan and grid of one data set."""

    settings: BuildSettings
    plan: Plan
    grid: Grid

    @cached_property
    def variables(self) -> VariableSet:
        """The variable set."""
        return variable_set(self.settings.variables)

    @cached_property
    def layout(self) -> RecordLayout:
        """The layout of a row."""
        return dataset_layout(self.variables, self.settings.float64)

    @cached_property
    def groups(self) -> list[Group]:
        """All groups, training before validation."""
        sizes = self.settings.shard_size, self.settings.span
        return make_groups(self.plan, self.grid.columns * self.layout.stride, *sizes)

    def shards_of(self, rows: int) -> int:
        """Shards that so many rows of one group become: 1, unless a span was given."""
        if not self.settings.span:
            return 1
        return max(1, round(rows * self.layout.stride / self.settings.shard_size))

    @property
    def step_bytes(self) -> int:
        """Bytes of the values of one step in float64, which is about the size of its two raw files."""
        return self.grid.columns * (self.variables.input_width + self.variables.target_width) * 8

    @property
    def input_storage(self) -> Storage:
        """How inputs are stored."""
        sets = self.variables
        return Storage(sets.inputs, sets.input_slices, sets.input_exponents, not self.settings.float64)

    @property
    def target_storage(self) -> Storage:
        """How targets are stored."""
        sets = self.variables
        return Storage(sets.targets, sets.target_slices, sets.target_exponents, not self.settings.float64)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        parts = {**asdict(self.settings), "plan": self.plan.digest, "grid": self.grid.digest}
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def lay(self, out: Store | Path) -> "Blueprint":
        """Lay the blueprint into the folder of a build, or compare it with the one that is there, and return that.

        Raises:
            DatasetError: the folder holds something else, or a build of other settings, plan or grid (named).
        """
        store = as_store(out)
        if not store.exists(BUILD_FILE):
            self.check(store)
            store.begin((SHARDS, PARTS))
            store.write(GRID_FILE, self.grid.write)
            write_json(store, PLAN_FILE, self.plan.to_json())
            write_json(store, BUILD_FILE, {"format": FORMAT, **asdict(self.settings)})
        return self.compare(store)  # another part may have been first

    def check(self, out: Store | Path | str) -> None:
        """Raise DatasetError where the folder holds something else, or another build; nothing is written."""
        store = as_store(out)
        if isinstance(store, LocalStore) and store.folder.exists() and not store.folder.is_dir():
            raise DatasetError(f"{store.label()}: expected a folder to build into, found a file")
        if store.exists(BUILD_FILE):
            self.compare(store)
        else:
            _refuse_strangers(store)

    def compare(self, out: Store | Path) -> "Blueprint":
        """The blueprint that lies in a folder; raises DatasetError, naming what differs, unless it is this one."""
        found = read_blueprint(out)
        for name, one, other in (
            *((key, getattr(found.settings, key), value) for key, value in asdict(self.settings).items()),
            ("plan", *_told_apart(found.plan, self.plan)),
            ("grid", found.grid.digest[:12], self.grid.digest[:12]),
        ):
            if one != other:
                store = as_store(out)
                begun = bool(store.listing(SHARDS) or store.listing(PARTS))
                mend = "use another folder" if begun else "nothing of it is made yet: remove it, use another folder"
                raise DatasetError(
                    f"{store.label()}: holds a build with {name} = {one}, this one has {name} = {other}; {mend}, or "
                    "the same settings to go on with it"
                )
        return found


def _told_apart(one: Plan, other: Plan) -> tuple[str, str]:
    """Two plans in words; the same words for plans of one digest."""
    if one.digest == other.digest:
        return one.digest, one.digest
    first, second = (
        f"{len(plan.training):,} training and {len(plan.validation):,} validation steps (split "
        f"{plan.split or 'none'}, digest {plan.digest[:12]})"
        for plan in (one, other)
    )
    return first, second


def _refuse_strangers(store: Store) -> None:
    strangers = sorted(store.listing() - {SHARDS, PARTS, BUILD_FILE, PLAN_FILE, GRID_FILE, SOURCE_FILE, LOCK})
    if strangers:
        raise DatasetError(
            f"{store.label()}: expected an empty folder or an unfinished build, found {', '.join(strangers[:5])}"
        )


def read_blueprint(out: Store | Path) -> Blueprint:
    """Read the blueprint of a build's folder; raises DatasetError when it is not one."""
    store = as_store(out)
    try:
        data = json.loads(store.read(BUILD_FILE).decode())
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise DatasetError(f"{store.label(BUILD_FILE)}: expected format {FORMAT}")
        plan = parse_plan(store.read(PLAN_FILE), store.label(PLAN_FILE))
        return Blueprint(BuildSettings(**data), plan, _read_grid(store))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise DatasetError(f"{store.label()}: not the folder of a build ({error})") from error


def _read_grid(store: Store) -> Grid:
    try:
        return grid_in(store.read(GRID_FILE), store.label(GRID_FILE))
    except FileNotFoundError as error:
        raise DatasetError(f"{store.label(GRID_FILE)}: is missing; {GRID_MEND}") from error
    except InputError as error:
        raise DatasetError(f"{error}; {GRID_MEND}") from error
