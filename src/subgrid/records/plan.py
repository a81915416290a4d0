"""What a build will do: the sorted steps of each split, and the groups that they are cut into.

A plan is made once, from what a source lists, and can be carried elsewhere as a small file. Group g of G takes the
steps g, g+G, g+2G ... of one split, so every group spans the whole period: a step is one instant, and a shuffle over
neighbouring steps is no shuffle. G follows from the rows and the shard size alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.draws import Draw
from subgrid.records.order import spread
from subgrid.records.splits import SPLITS, TRAINING, VALIDATION, SplitRule
from subgrid.source.hub import is_commit
from subgrid.source.naming import Naming
from subgrid.source.steps import Choice, Step, time_of

FORMAT = "subgrid-plan/1"
_PARTS = 32  # from this many groups on, their number is a multiple of it: 32 parts then need whole groups each


@dataclass(frozen=True)
class Plan:
    """Steps by split.

    Attributes:
        training, validation: labels of the steps, sorted.
        split: the rule that assigned them, as written.
        validation_rows: rows drawn from the training steps for validation, 0 for splits by step.
        skipped: labels of listed steps that lack one of their files; they take no place.
        draw: how the steps were drawn from those of the source, empty where they were not.
        naming: how the source calls the files, where the names follow from the labels.
        commit: of the repository of the hub that was listed, which every part then reads; empty for other sources.
    """

    training: tuple[str, ...]
    validation: tuple[str, ...]
    split: str = ""
    validation_rows: int = 0
    skipped: tuple[str, ...] = ()
    draw: str = ""
    naming: Naming | None = None
    commit: str = ""

    def steps(self, split: str) -> tuple[str, ...]:
        """Labels of the steps that a split's groups are cut from."""
        return self.training if split == TRAINING else self.validation

    @property
    def digest(self) -> str:
        """SHA-256 of steps and splits; what was skipped does not count, it takes no place, nor does where they lie."""
        parts = (self.training, self.validation, self.split.partition("=")[0], self.validation_rows)
        return sha256(json.dumps(parts).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain values for a plan file."""
        return {
            "format": FORMAT,
            "split": self.split,
            "validation_rows": self.validation_rows,
            "steps": {TRAINING: list(self.training), VALIDATION: list(self.validation)},
            "skipped": list(self.skipped),
            "draw": self.draw,
            "files": self.naming.to_json() if self.naming else None,
            "commit": self.commit,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> "Plan":
        """The inverse of ``to_json``; raises DatasetError for anything else, naming ``where``."""
        try:
            if data["format"] != FORMAT:
                raise DatasetError(f"{where}: expected a plan of format {FORMAT}, found {data['format']!r}")
            steps = {split: tuple(str(label) for label in data["steps"][split]) for split in SPLITS}
            naming = Naming.from_json(data["files"], where) if data.get("files") else None
            split, draw, commit = str(data["split"]), str(data.get("draw") or ""), str(data.get("commit") or "")
            plan = cls(
                steps[TRAINING], steps[VALIDATION], split, int(data["validation_rows"]), tuple(data["skipped"]), draw,
                naming, commit,
            )  # fmt: skip
            plan.refuse_nonsense(where)
        except DatasetError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{where}: not a plan file ({type(error).__name__}: {error})") from error
        return plan

    def refuse_nonsense(self, where: str) -> None:
        """Raise DatasetError for steps out of order or doubled, rows that are none, and a commit that may move on."""
        if any(list(labels) != sorted(set(labels), key=time_of) for labels in (self.training, self.validation)):
            raise DatasetError(f"{where}: the steps of a split must be sorted and each stand once")
        if both := set(self.training) & set(self.validation):
            raise DatasetError(f"{where}: the step {min(both)} stands in both splits")
        if self.validation_rows < 0:
            raise DatasetError(f"{where}: validation_rows must be at least 0, found {self.validation_rows}")
        if self.commit and not is_commit(self.commit):
            raise DatasetError(f"{where}: expected the hash of a commit of 40 digits, found {self.commit!r}")


def make_plan(steps: Sequence[Step], rule: SplitRule, columns: int) -> Plan:
    """Plan all complete steps (already chosen, sorted by time) of a grid of ``columns`` columns."""
    complete = [step for step in steps if step.complete]
    skipped = tuple(step.label for step in steps if not step.complete)
    splits = rule.assign(complete)
    chosen = {
        split: tuple(step.label for step, found in zip(complete, splits, strict=True) if found == split)
        for split in SPLITS
    }
    if not chosen[TRAINING]:
        raise SettingsError(
            f"no step is left for training: {len(steps)} steps chosen, {len(skipped)} without an mlo or mli file, "
            f"{len(chosen[VALIDATION])} for validation by {rule.text or 'no rule'!r}"
        )
    if rule.text and not rule.rows and not chosen[VALIDATION]:
        raise SettingsError(f"validation split {rule.text!r} takes none of the {len(complete)} steps")
    if rule.rows >= len(chosen[TRAINING]) * columns:
        raise SettingsError(
            f"validation split {rule.text!r} takes all of the {len(chosen[TRAINING]) * columns} rows there are"
        )
    return Plan(chosen[TRAINING], chosen[VALIDATION], rule.text, rule.rows, skipped)


@dataclass(frozen=True)
class Wanted:
    """Which of a source's steps a plan takes: those of ``choice``, and of these as many as ``draw`` says."""

    choice: Choice = Choice()
    draw: Draw | None = None

    def of(self, steps: Sequence[Step], seed: int) -> list[Step]:
        """The steps, sorted by time; raises SettingsError where there are none or too few."""
        chosen = self.choice.of(steps)
        return self.draw.of(chosen, seed) if self.draw else chosen

    def described(self, seed: int) -> str:
        """How the steps were drawn, for the plan file."""
        return f"{self.draw} with seed {seed}" if self.draw else ""


def read_plan(path: Path) -> Plan:
    """Read a plan file; raises DatasetError for anything else."""
    try:
        return parse_plan(path.read_bytes(), str(path))
    except OSError as error:
        raise DatasetError(f"{path}: not a plan file ({error})") from error


def parse_plan(content: bytes, where: str) -> Plan:
    """The plan in a file's content; ``where`` is for messages. Raises DatasetError for anything else."""
    try:
        return Plan.from_json(json.loads(content.decode()), where)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{where}: not a plan file ({error})") from error


@dataclass(frozen=True, slots=True)
class Group:
    """Steps whose rows are permuted together and become one shard (two where rows are drawn for validation).

    Attributes:
        split: the split its steps are from.
        index: its number, from 0 within its split.
        steps: labels of its steps, sorted.
        drawn: validation rows to draw from each step, all 0 but for the rule ``rows=``.
    """

    split: str
    index: int
    steps: tuple[str, ...]
    drawn: tuple[int, ...]

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.split}-{self.index:05d}"


def group_count(steps: int, step_bytes: int, shard_size: int, span: int = 0) -> int:
    """G: groups for that many steps, each of ``step_bytes`` in a shard, in shards of about ``shard_size`` bytes.

    A multiple of 32 from 32 on; never more than there are steps. With a ``span`` it is steps div span, at least 1.
    """
    if span:
        return min(steps, max(1, steps // span))
    wanted = min(steps, -(-steps * step_bytes // shard_size))
    if wanted < _PARTS:
        return wanted
    return min(-(-wanted // _PARTS), steps // _PARTS) * _PARTS


def make_groups(plan: Plan, step_bytes: int, shard_size: int, span: int = 0) -> list[Group]:
    """All groups of a plan, training before validation; see ``group_count``."""
    groups = []
    for split in SPLITS:
        steps = plan.steps(split)
        drawn = [spread(plan.validation_rows if split == TRAINING else 0, len(steps), i) for i in range(len(steps))]
        count = group_count(len(steps), step_bytes, shard_size, span)
        groups += [Group(split, g, steps[g::count], tuple(drawn[g::count])) for g in range(count)]
    return groups


@dataclass(frozen=True)
class Part:
    """One of ``count`` parts of a build, ``index`` from 1: the groups g with g mod count = index - 1."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise SettingsError(f"part {self.index}/{self.count}: expected i/N with i from 1 to N")

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Parse ``i/N``."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal()):
            raise SettingsError(f"part {text!r}: expected i/N, as in 3/32")
        return cls(int(index), int(count))

    def of(self, groups: Sequence[Group]) -> list[Group]:
        """The groups of this part."""
        return [group for group in groups if group.index % self.count == self.index - 1]
