"""Dates against the no-leap calendar of cftime, pairs and choices against lists written by hand."""

import random
from pathlib import Path

import cftime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import InputError, SettingsError
from subgrid.source.locations import Location
from subgrid.source.steps import Choice, Step, end_of, label_of, list_steps, pair, time_of

EPOCH = cftime.DatetimeNoLeap(1, 1, 1)
LAST = 9999 * 365 * 86_400 - 1


def seconds(*date: int) -> int:
    elapsed = cftime.DatetimeNoLeap(*date) - EPOCH
    return elapsed.days * 86_400 + elapsed.seconds


@given(st.integers(0, LAST))
def test_labels_are_dates_without_leap_years(time: int) -> None:
    date = cftime.num2date(time, "seconds since 0001-01-01", calendar="noleap")
    second = date.hour * 3600 + date.minute * 60 + date.second
    assert label_of(time) == f"{date.year:04d}-{date.month:02d}-{date.day:02d}-{second:05d}"
    assert time_of(label_of(time)) == time


@pytest.mark.parametrize(
    ("label", "start", "end"),
    [
        ("0001", (1, 1, 1), (2, 1, 1)),
        ("0004-02", (4, 2, 1), (4, 3, 1)),
        ("0008-12", (8, 12, 1), (9, 1, 1)),
        ("0004-02-28", (4, 2, 28), (4, 3, 1)),
        ("0008-12-31", (8, 12, 31), (9, 1, 1)),
        ("9998", (9998, 1, 1), (9999, 1, 1)),
    ],
)
def test_a_partial_label_is_a_period(label: str, start: tuple[int, ...], end: tuple[int, ...]) -> None:
    assert (time_of(label), end_of(label)) == (seconds(*start), seconds(*end))


def test_a_full_label_is_one_second() -> None:
    assert time_of("0001-01-01-00000") == 0
    assert (time_of("0001-02-01-01200"), end_of("0001-02-01-01200")) == (31 * 86_400 + 1200, 31 * 86_400 + 1201)


@pytest.mark.parametrize(
    "label",
    ["0000", "1", "0001-13", "0001-00", "0001-02-29", "0004-02-29", "0001-04-31", "0001-01-00", "0001-01-01-86400"]
    + ["", "0001-", "0001-1", "0001-01-01-1200", "0001-01-01-00000-1", "-001", "0001/02", "now", "0001-02\n"],
)
def test_what_is_no_date_is_refused(label: str) -> None:
    for function in (time_of, end_of):
        with pytest.raises(SettingsError, match="is not a date of the no-leap calendar; expected YYYY"):
            function(label)


def name(kind: str, label: str, folder: str = "train/0001-02/") -> str:
    return f"{folder}E3SM-MMF.{kind}.{label}.nc"


def test_files_are_paired_by_time_and_others_passed_over() -> None:
    one, two, three = "0001-02-01-00000", "0001-02-01-01200", "0001-03-01-00000"
    names = [
        *(name("mli", three, ""), name("mli", one), name("mlo", one), name("mli", two)),
        *(name("mlo", "0009-01-01-00000"), "README.md", name("mli", one) + ".partial", "mli." + two + ".nc"),
        *("train/E3SM-MMF.mlx." + two + ".nc", "train/E3SM-MMF.mli.0001-02-01-0000.nc", "grid-info.nc"),
    ]
    random.Random(0).shuffle(names)
    start = 31 * 86_400
    assert pair(names, "raw") == [
        Step(start, name("mli", one), name("mlo", one)),
        Step(start + 1200, name("mli", two), ""),
        Step(start + 28 * 86_400, name("mli", three, ""), ""),
        Step(8 * 365 * 86_400, "", name("mlo", "0009-01-01-00000")),
    ]
    assert [step.label for step in pair(names, "raw") if step.complete] == [one]


def test_two_files_of_one_step_are_refused() -> None:
    twice = [name("mli", "0001-02-01-00000"), name("mli", "0001-02-01-00000", "copy/")]
    with pytest.raises(InputError, match="raw: two mli files of the step 0001-02-01-00000: train/.* and copy/"):
        pair(twice, "raw")


def test_a_source_without_steps_is_refused() -> None:
    for names in ([], ["notes.txt"], [name("mlo", "0001-02-01-00000")]):
        with pytest.raises(InputError, match=f"raw: no raw steps found; .* among the {len(names)} files"):
            pair(names, "raw")


def test_a_file_named_after_no_date_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"raw: .*E3SM-MMF\.mli\.0004-02-29-00000\.nc.*is not a date"):
        pair([name("mli", "0004-02-29-00000")], "raw")


def steps_of_hours(*hours: int) -> list[Step]:
    return [Step(hour * 3600, f"{hour}.mli", "") for hour in hours]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), [0, 1, 23, 24, 47, 48, 744, 745]),
        (Choice(stride=3), [0, 24, 744]),
        (Choice(start="0001-01-02"), [24, 47, 48, 744, 745]),
        (Choice(end="0001-01-02"), [0, 1, 23, 24, 47]),
        (Choice(start="0001-01-01-03600", end="0001-01", stride=2), [1, 24, 48]),
        (Choice(start="0001-02", end="0001"), [744, 745]),
        (Choice(start="0001-02", end="0001-02-01-00000"), [744]),
    ],
)
def test_choices_by_hand(choice: Choice, expected: list[int]) -> None:
    assert choice.of(steps_of_hours(0, 1, 23, 24, 47, 48, 744, 745)) == steps_of_hours(*expected)


def test_a_choice_of_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(SettingsError, match=r"between 0002 and the end; the source has 0001-01-01-00000 \.\.\. 0001-0"):
        Choice(start="0002").of(steps_of_hours(0, 24))
    for stride in (0, -1):
        with pytest.raises(SettingsError, match="stride must be at least 1"):
            Choice(stride=stride)


def test_the_real_steps_are_sixty_and_one_without_mlo(real_source: Path) -> None:
    steps = list_steps(Location(str(real_source)))
    assert len(steps) == 61 and steps == sorted(steps)
    assert [step.label for step in steps if not step.mlo] == ["0008-08-05-28800"]
    for step in steps:
        assert step.label in step.mli and step.mli.startswith(f"train/{step.label[:7]}/")
        assert all((real_source / file).is_file() for file in (step.mli, step.mlo) if file)
        year, month, day, second = (int(part) for part in step.label.split("-"))
        assert step.time == seconds(year, month, day) + second
