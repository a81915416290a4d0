"""Rules of splitting against expectations written by hand."""

from pathlib import Path

import pytest

from subgrid.errors import SettingsError
from subgrid.records.splits import parse_split
from subgrid.source.steps import DAY, Step, label_of, time_of

T, V, N = "training", "validation", None


def steps_at(*times: int) -> list[Step]:
    return [Step(time, f"{label_of(time)}.mli", f"{label_of(time)}.mlo") for time in times]


def labelled(*labels: str) -> list[Step]:
    return steps_at(*(time_of(label) for label in labels))


def test_without_a_rule_every_step_trains() -> None:
    for text in (None, ""):
        rule = parse_split(text)
        assert rule.assign(steps_at(0, 1200, 2400)) == [T, T, T]
        assert (rule.text, rule.rows, rule.leaks) == ("", 0, False)


def test_every_fifth_step_validates() -> None:
    steps = steps_at(*range(0, 12 * 1200, 1200))
    assert parse_split("every=5").assign(steps) == [T, T, T, T, V, T, T, T, T, V, T, T]
    assert parse_split("every=2").assign(steps[:3]) == [T, V, T]
    assert not parse_split("every=5").leaks


def test_every_seventh_step_of_some_months_and_the_others_are_in_neither() -> None:
    """The paper's split in small: two steps a month, every third of 0008-02 ... 0008-04 held."""
    labels = [f"0008-{month:02d}-{day:02d}-00000" for month in (1, 2, 3, 4, 5) for day in (1, 28)]
    expected = [T, T, V, N, N, V, N, N, T, T]
    assert parse_split("dates=0008-02..0008-04/3").assign(labelled(*labels)) == expected


def test_the_last_period_of_dates_is_inside_to_its_last_instant() -> None:
    steps = labelled("0009-01-31-84600", "0009-01-31-86399", "0009-02-01-00000", "0008-01-31-86399", "0008-02-01-00000")
    steps.sort()
    assert parse_split("dates=0008-02..0009-01/1").assign(steps) == [T, V, V, V, T]
    assert parse_split("dates=0008..0008/1").assign(steps) == [V, V, T, T, T]


def test_blocks_of_days_are_counted_from_the_first_day_of_the_calendar() -> None:
    days = [0, 9, 10, 49, 50, 59, 60, 3650, 3659, 3660]
    steps = steps_at(*(day * DAY + 82_800 for day in days))
    assert parse_split("blocks=10d/50").assign(steps) == [V, V, T, T, V, V, T, V, V, T]
    assert parse_split("blocks=1d/2").assign(steps_at(DAY - 1, DAY, 2 * DAY)) == [V, T, V]


def test_blocks_depend_on_the_date_alone() -> None:
    rule, times = parse_split("blocks=2d/7"), range(0, 30 * DAY, 40_000)
    whole = dict(zip(times, rule.assign(steps_at(*times)), strict=True))
    assert rule.assign(steps_at(*times[3::4])) == [whole[time] for time in times[3::4]]


def test_a_list_of_labels(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("0001-02-01-01200\n\n  0001-02-01-03600  \n")
    steps = labelled(*(f"0001-02-01-{second:05d}" for second in (0, 1200, 2400, 3600)))
    rule = parse_split(f"file={tmp_path / 'list'}")
    assert rule.assign(steps) == [T, V, T, V]
    with pytest.raises(SettingsError, match="1 of 2 steps in the list are not among the chosen.*'0001-02-01-03600'"):
        rule.assign(steps[:3])


def test_drawn_rows_come_from_training_steps_and_leak() -> None:
    rule = parse_split("rows=200000")
    assert rule.assign(steps_at(0, 1200)) == [T, T] and rule.rows == 200_000 and rule.leaks


@pytest.mark.parametrize(
    "text",
    ["every", "every=", "every=0", "every=1", "every=-5", "every=2.5", "every=²", "fifth=5", "dates=0008-02", "=5"]
    + ["dates=0008-02..0009-01", "dates=0008-02..0009-01/0", "dates=0008-13..0009-01/7", "dates=0008-02..0009/x"]
    + ["blocks=10/50", "blocks=0d/50", "blocks=50d/50", "blocks=10d", "rows=0", "rows=many", "file=no/such/list"],
)
def test_what_is_not_understood_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(SettingsError, match="^validation split|is not a date") as caught:
        parse_split(text)
    assert text in str(caught.value) or "0008-13" in str(caught.value)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(SettingsError, match="dates=0009-01..0008-02/7"):
        parse_split("dates=0009-01..0008-02/7")


def test_a_list_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        parse_split(f"file={tmp_path / 'list'}")
