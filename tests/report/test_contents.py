"""Contents: sections where there are data, plates with names that can be files, dates as ClimSim writes them."""

import re
from dataclasses import replace

import pytest

from subgrid.report.cases import Case
from subgrid.report.contents import date, plates, sections
from subgrid.schema.variable_sets import variable_set


def test_sections_are_those_with_data(case: Case) -> None:
    found = [section.id for section in sections([case])]
    assert found[:5] == ["variables", "zonal", "levels", "maps", "densities"]
    assert found[-2:] == ["training", "worst"]
    assert "ensembles" not in found  # a single network
    bare = replace(case, history=[], scores=case.scores.drop_vars(["band_r2", "column_r2"]))
    assert {"zonal", "maps", "training"} & {section.id for section in sections([bare])} == set()


def test_every_target_has_a_density_and_a_map(case: Case) -> None:
    names = [item.name for item in variable_set("kaggle").targets]
    by_id = {section.id: section for section in sections([case])}
    assert [plate.variable for plate in by_id["densities"].plates] == names
    assert [plate.variable for plate in by_id["maps"].plates] == names
    assert [plate.variable for plate in by_id["levels"].plates] == names[:6]


def test_names_of_plates_are_names_of_files_and_differ(case: Case) -> None:
    other = replace(case, subject=replace(case.subject, label="Another / run"))
    names = [plate.name for plate in plates(sections([case, other]))]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)] == []
    assert {"zonal-r2-tiny", "zonal-r2-another-run", "worst-tiny-1"} <= set(names)


def test_a_worst_column_says_where_and_when(case: Case) -> None:
    plate = next(plate for plate in plates(sections([case])) if plate.name == "worst-tiny-1")
    assert re.match(r"Row \d+, \d+°[NS] \d+°[EW], \d{4}-\d\d-\d\d \d\d:\d\d\. Error", plate.caption)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (0, "0001-01-01 00:00"),
        (7 * 365 * 86_400 + 31 * 86_400 + 41_400, "0008-02-01 11:30"),
        (58 * 86_400, "0001-02-28 00:00"),
        (59 * 86_400, "0001-03-01 00:00"),
        (365 * 86_400 - 1200, "0001-12-31 23:40"),
    ],
)
def test_dates_have_no_leap_years(time: int, expected: str) -> None:
    assert date(time) == expected
