"""What to download: the files of a period, listed at one commit, and the gaps against the calendar.

A simulation takes a step every 1,200 s of a calendar without leap years, so the names of a month are known before the
hub is asked: a month of 31 days has 2,232 steps, 4,464 files.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.schema.variables import TIME_STEP
from subgrid.source.hub import is_commit
from subgrid.source.hub.repository import RemoteFile, Repository
from subgrid.source.locations import GRID_ENDING
from subgrid.source.steps import DAY, Choice, end_of, label_of, pair, time_of

FORMAT = "subgrid-download/1"
FIRST, LAST = "0001-02", "0009-01"
"""The months of the repositories' training part, both included: 8 years, 210,240 steps."""

KINDS = ("mli", "mlo")

_STEP_FILE = re.compile(r"train/(\d{4}-\d{2})/E3SM-MMF\.(?:mli|mlo)\.\1-\d{2}-\d{5}\.nc")
_GRID_FILE = re.compile(rf"[^/]*{re.escape(GRID_ENDING)}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|git:[0-9a-f]{40}")


def file_names(label: str) -> dict[str, str]:
    """The paths in a repository of a step's two files, by kind: mli, mlo."""
    return {kind: f"train/{label[:7]}/E3SM-MMF.{kind}.{label}.nc" for kind in KINDS}


def calendar(start: str, end: str) -> range:
    """Times of all steps from ``start`` to the end of the period ``end``, s; raises SettingsError for none."""
    times = range(-(-time_of(start) // TIME_STEP) * TIME_STEP, end_of(end), TIME_STEP)
    if not times:
        raise SettingsError(f"no step lies between {start} and {end}: expected a start that is not after the end")
    return times


def months(start: str, end: str) -> list[str]:
    """The months ``YYYY-MM`` that a period touches, in order."""
    times = calendar(start, end)
    return list(dict.fromkeys(label_of(time)[:7] for time in range(times[0] // DAY * DAY, times[-1] + 1, DAY)))


@dataclass(frozen=True)
class DownloadPlan:
    """The period that is wanted, and what the hub lists for its months at one commit.

    Attributes:
        repository: ``owner/name``.
        commit: the hash that every transfer uses.
        choice: start and end (both set) and stride, as a build takes them.
        months: the months that have been listed, whether the hub has their folders or not.
        files: files of these months whose names are in the calendar, by name.
        grids: the grid files in the repository's root.
    """

    repository: str
    commit: str
    choice: Choice
    months: tuple[str, ...]
    files: dict[str, RemoteFile]
    grids: tuple[RemoteFile, ...]

    def gaps(self) -> dict[str, str]:
        """Steps of the period, by label, of which files are absent: ``mli``, ``mlo`` or ``mli and mlo``."""
        absent = {
            label: " and ".join(kind for kind, name in file_names(label).items() if name not in self.files)
            for label in map(label_of, self._times())
        }
        return {label: kinds for label, kinds in absent.items() if kinds}

    def steps(self) -> int:
        """How many steps the calendar has in the period."""
        return len(self._times())

    def part(self, index: int, count: int) -> list[RemoteFile]:
        """Files of part ``index`` (from 1) of ``count``, after the grid files: every count-th step, mli before mlo.

        Counted are the steps of which both files are listed, after start, end and stride: as a build counts. Raises
        InputError where the hub has none.
        """
        names = [name for time in self._times() for name in file_names(label_of(time)).values() if name in self.files]
        if not any(".mli." in name for name in names):
            raise InputError(
                f"{self.repository}: no step from {self.choice.start} to {self.choice.end}; the training part of the "
                f"public repositories has {FIRST} to {LAST}"
            )
        complete = [step for step in self.choice.of(pair(names, self.repository)) if step.complete]
        return [
            *self.grids,
            *(self.files[name] for step in complete[index - 1 :: count] for name in (step.mli, step.mlo)),
        ]

    def _times(self) -> range:
        return calendar(self.choice.start or FIRST, self.choice.end or LAST)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a plan file: ``name: "size digest"`` for each file."""
        return {
            "format": FORMAT,
            "repository": self.repository,
            "commit": self.commit,
            "start": self.choice.start,
            "end": self.choice.end,
            "stride": self.choice.stride,
            "months": list(self.months),
            "files": {file.name: f"{file.size} {file.digest}" for file in (*self.grids, *self.files.values())},
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> "DownloadPlan":
        """The inverse of ``to_json``; raises DatasetError for anything else, naming ``where``."""
        try:
            if data["format"] != FORMAT:
                raise DatasetError(f"{where}: expected a plan of format {FORMAT}, found {data['format']!r}")
            choice = Choice(data["start"], data["end"], data["stride"])
            calendar(choice.start or "", choice.end or "")
            if not is_commit(data["commit"]):
                raise ValueError(f"the commit {data['commit']!r} is not a hash")
            files = [_parse(name, text) for name, text in data["files"].items()]
        except DatasetError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DatasetError(f"{where}: not a plan of a download ({type(error).__name__}: {error})") from error
        grids = tuple(file for file in files if _GRID_FILE.fullmatch(file.name))
        steps = {file.name: file for file in files if file not in grids}
        return cls(data["repository"], data["commit"], choice, tuple(data["months"]), steps, grids)


def _parse(name: str, text: str) -> RemoteFile:
    """A file of a plan; its name becomes a path, so it must be one that the calendar or a grid can have."""
    size, _, digest = text.partition(" ")
    if not (_STEP_FILE.fullmatch(name) or _GRID_FILE.fullmatch(name)):
        raise ValueError(f"{name!r} is not the name of a step or of a grid file")
    if not (size.isdecimal() and _DIGEST.fullmatch(digest)):
        raise ValueError(f"{name}: expected a size and a digest, found {text!r}")
    return RemoteFile(name, int(size), digest)


@dataclass(frozen=True)
class Wish:
    """What a user asks for; None is "as the plan says", and without a plan the whole training part."""

    start: str | None = None
    end: str | None = None
    stride: int | None = None

    def choice(self, plan: DownloadPlan | None) -> Choice:
        """The choice of steps, completed from a plan that exists."""
        known = plan.choice if plan else Choice(FIRST, LAST)
        return Choice(self.start or known.start, self.end or known.end, self.stride or known.stride)


def make_plan(
    repository: Repository, wish: Wish, known: DownloadPlan | None, report: Callable[[int, int], None]
) -> DownloadPlan:
    """Plan what is wished for, listing only the months that ``known`` does not have, at its commit.

    Args:
        repository: asked where something is not known.
        wish: of the user.
        known: an earlier plan; its commit stays.
        report: called with (months listed, months to list).
    Raises DatasetError where the plan is of another repository, SettingsError for a period without steps.
    """
    if known is not None and known.repository != repository.name:
        raise DatasetError(
            f"the plan is of {known.repository}, not of {repository.name}; use another folder, or another plan file"
        )
    choice = wish.choice(known)
    wanted = months(choice.start or FIRST, choice.end or LAST)
    if known is None:
        commit = repository.commit()
        grids = tuple(file for file in repository.files("", commit) if _GRID_FILE.fullmatch(file.name))
        known = DownloadPlan(repository.name, commit, choice, (), {}, grids)
    files, new = dict(known.files), [month for month in wanted if month not in known.months]
    for done, month in enumerate(new, 1):
        names = {name for time in calendar(month, month) for name in file_names(label_of(time)).values()}
        listed = repository.files(f"train/{month}", known.commit)
        files |= {file.name: file for file in listed if file.name in names}
        report(done, len(new))
    return replace(known, choice=choice, months=tuple(sorted({*known.months, *new})), files=files)
