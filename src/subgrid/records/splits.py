"""Which steps validate: rules that do not leak, since steps 20 minutes apart are nearly the same.

every=5                     the 5th, 10th, ... step
dates=0008-02..0009-01/7    every 7th step of those months; the others of those months are in neither split
blocks=10d/50               the first 10 days of every 50, counted from the calendar's first day
file=LIST                   the steps whose labels stand in a text file, one a line
rows=200000                 that many rows, drawn from the training steps: leaks neighbours, as the winner's did
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from subgrid.errors import SettingsError
from subgrid.source.steps import DAY, Step, end_of, time_of

TRAINING, VALIDATION = "training", "validation"
SPLITS = (TRAINING, VALIDATION)

_FORMS = "every=5, dates=0008-02..0009-01/7, blocks=10d/50, file=LIST or rows=200000"
_Assign = Callable[[Sequence[Step]], list[str | None]]


@dataclass(frozen=True)
class SplitRule:
    """A parsed rule.

    Attributes:
        text: the rule as written, empty for none.
        assign: gives every step its split, or None for a step in neither.
        rows: validation rows drawn from training steps (0 for rules by step).
    """

    text: str
    assign: _Assign
    rows: int = 0

    @property
    def leaks(self) -> bool:
        """Whether validation rows have training rows of the same instant beside them."""
        return self.rows > 0


def parse_split(text: str | None) -> SplitRule:
    """Parse a rule; an empty one trains on every step. Raises SettingsError naming the forms that are known."""
    if not text:
        return SplitRule("", lambda steps: [TRAINING] * len(steps))
    kind, _, value = text.partition("=")
    parsers = {"every": _every, "dates": _dates, "blocks": _blocks, "file": _file, "rows": _rows}
    if kind not in parsers or not value:
        raise SettingsError(f"validation split {text!r} is not understood; expected {_FORMS}")
    return parsers[kind](text, value)


def _positive(text: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise SettingsError(f"validation split {text!r}: expected a whole number of at least 1, found {value!r}")
    return int(value)


def _every(text: str, value: str) -> SplitRule:
    every = _positive(text, value)
    if every < 2:
        raise SettingsError(f"validation split {text!r} leaves nothing to train on; use 2 or more")
    return SplitRule(
        text, lambda steps: [VALIDATION if place % every == 0 else TRAINING for place in range(1, len(steps) + 1)]
    )


def _dates(text: str, value: str) -> SplitRule:
    match = re.fullmatch(r"([\d-]+)\.\.([\d-]+)/(\d+)", value)
    if not match:
        raise SettingsError(f"validation split {text!r} is not understood; expected dates=0008-02..0009-01/7")
    first, last, stride = time_of(match[1]), end_of(match[2]), _positive(text, match[3])
    if last <= first:
        raise SettingsError(f"validation split {text!r} ends before it begins; expected dates=0008-02..0009-01/7")

    def assign(steps: Sequence[Step]) -> list[str | None]:
        inside = [first <= step.time < last for step in steps]
        places = iter(range(sum(inside)))
        return [(VALIDATION if next(places) % stride == 0 else None) if held else TRAINING for held in inside]

    return SplitRule(text, assign)


def _blocks(text: str, value: str) -> SplitRule:
    match = re.fullmatch(r"(\d+)d/(\d+)", value)
    if not match or not 0 < int(match[1]) < int(match[2]):
        raise SettingsError(f"validation split {text!r} is not understood; expected blocks=10d/50, fewer days than 50")
    held, period = int(match[1]) * DAY, int(match[2]) * DAY
    return SplitRule(text, lambda steps: [VALIDATION if step.time % period < held else TRAINING for step in steps])


def _file(text: str, value: str) -> SplitRule:
    try:
        labels = {line.strip() for line in Path(value).read_text().splitlines() if line.strip()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"validation split {text!r}: the list cannot be read ({error})") from error

    def assign(steps: Sequence[Step]) -> list[str | None]:
        missing = sorted(labels - {step.label for step in steps})
        if missing:
            raise SettingsError(
                f"validation split {text!r}: {len(missing)} of {len(labels)} steps in the list are not among the "
                f"chosen ones, the first is {missing[0]!r}"
            )
        return [VALIDATION if step.label in labels else TRAINING for step in steps]

    return SplitRule(text, assign)


def _rows(text: str, value: str) -> SplitRule:
    return SplitRule(text, lambda steps: [TRAINING] * len(steps), rows=_positive(text, value))
