"""Everything that determines the bytes of a data set: settings, plan, grid; written first into the folder of a build.

Parts that share a folder, and a build that is resumed, compare theirs with the one that stands there.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.example import Feature, RecordLayout
from subgrid.records.files import write_json, write_whole
from subgrid.records.plan import Group, Plan, make_groups, read_plan
from subgrid.records.stored import Storage
from subgrid.schema.grid import Grid
from subgrid.schema.variable_sets import VariableSet, variable_set

FORMAT = "subgrid-build/1"
BUILD_FILE, PLAN_FILE, GRID_FILE = "build.json", "plan.json", "grid.nc"
SHARDS, PARTS = "shards", "parts"


@dataclass(frozen=True)
class BuildSettings:
    """What a user chooses about a data set's bytes.

    Attributes:
        variables: name of the variable set.
        float64: store rows in float64 instead of float32.
        shard_size: bytes of a shard, about.
        seed: of all permutations and draws of the build.
    """

    variables: str = "kaggle"
    float64: bool = False
    shard_size: int = 64_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        variable_set(self.variables)
        if self.shard_size < 1:
            raise SettingsError(f"shard size must be at least 1 byte, found {self.shard_size}")


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
        return make_groups(self.plan, self.grid.columns, self.layout.stride, self.settings.shard_size)

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

    def lay(self, out: Path) -> None:
        """Lay the blueprint into the folder of a build, or compare it with the one that is there.

        Raises:
            DatasetError: the folder holds something else, or a build of other settings, plan or grid (named).
        """
        if out.exists() and not out.is_dir():
            raise DatasetError(f"{out}: expected a folder to build into, found a file")
        if not (out / BUILD_FILE).exists():
            self._refuse_strangers(out)
            for folder in (out / SHARDS, out / PARTS):
                folder.mkdir(parents=True, exist_ok=True)
            write_whole(out / GRID_FILE, self.grid.write)
            write_json(out / PLAN_FILE, self.plan.to_json())
            write_json(out / BUILD_FILE, {"format": FORMAT, **asdict(self.settings)})
        found = read_blueprint(out)  # another part may have been first
        for name, one, other in (
            *((key, getattr(found.settings, key), value) for key, value in asdict(self.settings).items()),
            ("plan", found.plan.digest[:12], self.plan.digest[:12]),
            ("grid", found.grid.digest[:12], self.grid.digest[:12]),
        ):
            if one != other:
                raise DatasetError(
                    f"{out}: holds a build with {name} = {one}, this one has {name} = {other}; use another folder, or "
                    "the same settings to go on with it"
                )

    @staticmethod
    def _refuse_strangers(out: Path) -> None:
        ours = {SHARDS, PARTS, BUILD_FILE, PLAN_FILE, GRID_FILE}
        strangers = [
            item.name for item in (out.iterdir() if out.exists() else ())
            if item.name not in ours and ".partial-" not in item.name
        ]  # fmt: skip
        if strangers:
            raise DatasetError(
                f"{out}: expected an empty folder or an unfinished build, found {', '.join(sorted(strangers)[:5])}"
            )


def read_blueprint(out: Path) -> Blueprint:
    """Read the blueprint of a build's folder; raises DatasetError when it is not one."""
    try:
        data = json.loads((out / BUILD_FILE).read_text())
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise DatasetError(f"{out / BUILD_FILE}: expected format {FORMAT}")
        return Blueprint(BuildSettings(**data), read_plan(out / PLAN_FILE), Grid.read(out / GRID_FILE))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise DatasetError(f"{out}: not the folder of a build ({error})") from error
