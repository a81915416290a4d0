"""Steps of a simulation: found by file name, paired, placed in time, chosen.

A step is a pair of files ``*.mli.YYYY-MM-DD-SSSSS.nc`` (the column before physics) and ``*.mlo.…`` (after it). The
calendar has no leap years; a time is whole seconds since 0001-01-01 00:00, and comes from the name alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from subgrid.errors import InputError, SettingsError
from subgrid.source.locations import Location

DAY = 86_400
YEAR_DAYS = 365
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NAME = re.compile(r"(?:.*/)?[^/]*\.(mli|mlo)\.(\d{4}-\d{2}-\d{2}-\d{5})\.nc")
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:-(\d{5}))?)?)?")


@dataclass(frozen=True, order=True, slots=True)
class Step:
    """One instant of a simulation.

    Attributes:
        time: seconds since 0001-01-01 without leap years.
        mli: name of the file before physics, relative to its location; empty where the source does not list it.
        mlo: name of the file after physics, the same.
    """

    time: int
    mli: str
    mlo: str

    @property
    def label(self) -> str:
        """``YYYY-MM-DD-SSSSS`` as in the file name."""
        return label_of(self.time)

    @property
    def complete(self) -> bool:
        """Whether both files are there."""
        return bool(self.mli and self.mlo)


def time_of(label: str) -> int:
    """Seconds since 0001-01-01 of a full or partial label (``0001``, ``0001-02``, … ``0001-02-01-01200``).

    A partial label means its first instant. Raises SettingsError for anything that is not a date of the calendar.
    """
    match = _PARTIAL.fullmatch(label)
    year, month, day, second = (int(part) if part else None for part in match.groups()) if match else (None,) * 4
    month, day, second = month or (1 if month is None else 0), day or (1 if day is None else 0), second or 0
    if year is None or year < 1 or not 1 <= month <= 12 or not 1 <= day <= _MONTH_DAYS[month - 1] or second >= DAY:
        raise SettingsError(
            f"{label!r} is not a date of the no-leap calendar; expected YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DD-SSSSS"
        )
    days = (year - 1) * YEAR_DAYS + sum(_MONTH_DAYS[: month - 1]) + day - 1
    return days * DAY + second


def end_of(label: str) -> int:
    """The first instant after the period that a full or partial label names, in seconds since 0001-01-01."""
    start, fields = time_of(label), label.split("-")
    spans = {1: YEAR_DAYS * DAY, 3: DAY, 4: 1}
    return start + (spans[len(fields)] if len(fields) != 2 else _MONTH_DAYS[int(fields[1]) - 1] * DAY)


def label_of(time: int) -> str:
    """The label of a time, the inverse of ``time_of``."""
    days, second = divmod(time, DAY)
    year, day = divmod(days, YEAR_DAYS)
    month = 0
    while day >= _MONTH_DAYS[month]:
        day -= _MONTH_DAYS[month]
        month += 1
    return f"{year + 1:04d}-{month + 1:02d}-{day + 1:02d}-{second:05d}"


def list_steps(location: Location) -> list[Step]:
    """All steps below a location, by time, also those that lack a file; raises InputError for none or for doubles."""
    return pair(location.names(), location.shown)


def pair(names: Sequence[str], where: str) -> list[Step]:
    """Pair file names into steps, by time; ``where`` is for messages. Names of other files are passed over.

    A step may lack one of its files. Raises InputError where none has an ``mli``, or one has two of a kind.
    """
    found: dict[str, dict[str, str]] = {"mli": {}, "mlo": {}}
    for name in names:
        if match := _NAME.fullmatch(name):
            kind, label = match.groups()
            if label in found[kind]:
                raise InputError(f"{where}: two {kind} files of the step {label}: {found[kind][label]} and {name}")
            found[kind][label] = name
    if not found["mli"]:
        raise InputError(
            f"{where}: no raw steps found; expected files named like train/0001-02/E3SM-MMF.mli.0001-02-01-00000.nc "
            f"among the {len(names)} files there"
        )
    labels = found["mli"].keys() | found["mlo"].keys()
    return sorted(_step(label, found["mli"].get(label, ""), found["mlo"].get(label, ""), where) for label in labels)


def _step(label: str, mli: str, mlo: str, where: str) -> Step:
    try:
        return Step(time_of(label), mli, mlo)
    except SettingsError as error:
        raise InputError(f"{where}: {mli or mlo}: {error}") from error


@dataclass(frozen=True)
class Choice:
    """Which steps to take: from ``start`` to the end of the period ``end``, then every ``stride``-th of them."""

    start: str | None = None
    end: str | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise SettingsError(f"stride must be at least 1, found {self.stride}")
        for label in (self.start, self.end):
            if label:
                time_of(label)

    def of(self, steps: Sequence[Step]) -> list[Step]:
        """Apply the choice to steps sorted by time."""
        first = time_of(self.start) if self.start else 0
        last = end_of(self.end) if self.end else None
        inside = [step for step in steps if step.time >= first and (last is None or step.time < last)]
        if not inside:
            raise SettingsError(
                f"no step lies between {self.start or 'the beginning'} and {self.end or 'the end'}; "
                f"the source has {steps[0].label} ... {steps[-1].label}"
            )
        return inside[:: self.stride]
