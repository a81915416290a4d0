"""Names and gaps against cftime's no-leap calendar, parts against sets, plan files that come back or are refused."""

import dataclasses
import json
from typing import Any

import cftime
import pytest

from subgrid.errors import DatasetError, InputError, SettingsError
from subgrid.source.hub.plan import FIRST, LAST, DownloadPlan, Wish, calendar, file_names, make_plan, months
from subgrid.source.hub.repository import RemoteFile, Repository
from subgrid.source.steps import Choice, label_of

COMMIT = "a" * 40
LABELS = [f"0001-02-01-{second:05d}" for second in range(0, 14400, 1200)]
COMPLETE = [LABELS[place] for place in (0, 1, 3, 5, 7, 8, 9, 10, 11)]


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def plan_of(hub: Any, wish: Wish | None = None, known: DownloadPlan | None = None) -> DownloadPlan:
    return make_plan(Repository("LEAP/ClimSim_low-res"), wish or Wish("0001-02-01", LABELS[-1]), known, silent)


def labels(files: list[RemoteFile]) -> list[str]:
    return [file.name.split(".mli.")[1][:-3] for file in files if ".mli." in file.name]


def test_the_names_of_a_month_are_cftime_s() -> None:
    first, last = cftime.DatetimeNoLeap(4, 2, 1), cftime.DatetimeNoLeap(4, 3, 1)
    dates = cftime.num2date(range(0, int((last - first).total_seconds()), 1200), f"seconds since {first}", "noleap")
    names = [
        f"train/{date.year:04d}-{date.month:02d}/E3SM-MMF.mli.{date.year:04d}-{date.month:02d}-{date.day:02d}-"
        f"{date.hour * 3600 + date.minute * 60 + date.second:05d}.nc"
        for date in dates
    ]
    assert [file_names(label_of(time))["mli"] for time in calendar("0004-02", "0004-02")] == names


def test_the_training_part_has_the_published_number_of_steps() -> None:
    assert len(calendar("0001-03", "0001-03")) == 2232
    assert len(calendar(FIRST, LAST)) == 210_240
    assert len(months(FIRST, LAST)) == 96
    assert months("0001-12-31", "0002-01") == ["0001-12", "0002-01"]


def test_a_start_between_steps_means_the_next_step() -> None:
    assert label_of(calendar("0001-02-01-00001", "0001-02-01")[0]) == "0001-02-01-01200"
    with pytest.raises(SettingsError, match="no step lies between 0001-03 and 0001-02"):
        calendar("0001-03", "0001-02")


def test_gaps_are_what_the_listing_lacks(hub: Any) -> None:
    plan = plan_of(hub)
    assert plan.gaps() == {LABELS[2]: "mlo", LABELS[4]: "mli", LABELS[6]: "mli and mlo"}
    assert (plan.commit, plan.steps()) == (hub.commit, 12)
    assert [grid.name for grid in plan.grids] == ["ClimSim_low-res_grid-info.nc"]


def test_a_month_that_the_hub_does_not_have_is_all_gaps(hub: Any) -> None:
    plan = plan_of(hub, Wish("0001-02-01-12000", "0001-03-01-01200"))
    assert len(plan.gaps()) == 28 * 72 - 12 + 2
    assert set(plan.gaps().values()) == {"mli and mlo"}
    with pytest.raises(InputError, match="no step from 0002-05 to 0002-05"):
        plan_of(hub, Wish("0002-05", "0002-05")).part(1, 1)


def test_other_files_of_a_folder_are_passed_over(hub: Any) -> None:
    for name in ("E3SM-MMF.mlexpand.0001-02-01-00000.nc", "E3SM-MMF.mli.0001-02-01-00600.nc", "notes.txt"):
        hub.files[f"train/0001-02/{name}"] = b"x"
    hub.files["train/0001-02/deeper/E3SM-MMF.mli.0001-02-01-02400.nc"] = b"x"
    assert len(plan_of(hub).files) == 20


@pytest.mark.parametrize("count", [1, 2, 4, 9, 20])
def test_parts_are_disjoint_and_complete(hub: Any, count: int) -> None:
    plan = plan_of(hub)
    parts = [labels(plan.part(index, count)) for index in range(1, count + 1)]
    assert sorted(sum(parts, [])) == COMPLETE
    assert parts == [COMPLETE[index::count] for index in range(count)]
    for index in range(1, count + 1):
        names = [file.name for file in plan.part(index, count)]
        assert names[0] == "ClimSim_low-res_grid-info.nc"
        assert [name.replace(".mli.", ".mlo.") for name in names[1::2]] == names[2::2]


def test_a_stride_counts_as_a_build_s_does(hub: Any) -> None:
    listed = [label for label in LABELS if label != LABELS[6]]  # of which neither file is there
    wanted = [label for label in listed[::3] if label not in (LABELS[2], LABELS[4])]
    assert labels(plan_of(hub, Wish("0001-02-01", LABELS[-1], 3)).part(1, 1)) == wanted


def test_a_plan_comes_back_from_its_file(hub: Any) -> None:
    hub.small.add("ClimSim_low-res_grid-info.nc")
    plan = plan_of(hub)
    assert DownloadPlan.from_json(json.loads(json.dumps(plan.to_json())), "plan") == plan
    assert plan.grids[0].digest.startswith("git:")


def test_only_months_that_are_asked_for_are_listed_and_each_once(hub: Any) -> None:
    plan = plan_of(hub)
    hub.asked.clear()
    hub.commit = "b" * 40  # the repository moves on; the plan stays with its commit
    assert plan_of(hub, Wish(), plan) == plan
    assert plan_of(hub, Wish("0001-02-01-02400"), plan).gaps() == plan.gaps()
    assert hub.asked == []


def test_a_further_month_is_listed_at_the_commit_of_the_plan(hub: Any) -> None:
    hub.files["train/0001-03/E3SM-MMF.mli.0001-03-01-00000.nc"] = b"mli"
    hub.files["train/0001-03/E3SM-MMF.mlo.0001-03-01-00000.nc"] = b"mlo"
    plan = plan_of(hub)
    hub.asked.clear()
    further = plan_of(hub, Wish("0001-03", "0001-03"), plan)
    assert [one.path.split("?")[0] for one in hub.asked] == [
        f"/api/datasets/LEAP/ClimSim_low-res/tree/{hub.commit}/train%2F0001-03"
    ]
    assert further.months == ("0001-02", "0001-03") and len(further.files) == 22
    assert labels(further.part(1, 1)) == ["0001-03-01-00000"]


def test_a_plan_of_another_repository_is_refused(hub: Any) -> None:
    plan = dataclasses.replace(plan_of(hub), repository="LEAP/ClimSim_high-res")
    with pytest.raises(DatasetError, match="the plan is of LEAP/ClimSim_high-res, not of LEAP/ClimSim_low-res"):
        plan_of(hub, Wish(), plan)


MLI = "train/0001-02/E3SM-MMF.mli.0001-02-01-00000.nc"
GOOD = DownloadPlan(
    "LEAP/ClimSim_low-res",
    COMMIT,
    Choice("0001-02", "0001-02"),
    ("0001-02",),
    {MLI: RemoteFile(MLI, 5, "sha256:" + "0" * 64)},
    (),
).to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "subgrid-plan/1"},
        {"commit": "main"},
        {"commit": 7},
        {"start": "soon"},
        {"end": None},
        {"stride": 0},
        {"files": ["a"]},
        {"files": {"../../.bashrc": "5 sha256:" + "0" * 64}},
        {"files": {"train/0001-02/../E3SM-MMF.mli.0001-02-01-00000.nc": "5 sha256:" + "0" * 64}},
        {"files": {"train/0001-03/E3SM-MMF.mli.0001-02-01-00000.nc": "5 sha256:" + "0" * 64}},
        {"files": {"/a_grid-info.nc": "5 sha256:" + "0" * 64}},
        {"files": {"a_grid-info.nc": "5 md5:" + "0" * 32}},
        {"files": {"a_grid-info.nc": "-5 sha256:" + "0" * 64}},
        {"files": {"a_grid-info.nc": 5}},
    ],
)
def test_what_is_not_a_plan_is_refused(change: dict[str, Any]) -> None:
    assert DownloadPlan.from_json(GOOD, "plan").to_json() == GOOD
    with pytest.raises(DatasetError, match="^here: "):
        DownloadPlan.from_json(GOOD | change, "here")


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '"plan"'])
def test_other_json_is_not_a_plan(text: str) -> None:
    with pytest.raises(DatasetError, match="^here: not a plan of a download"):
        DownloadPlan.from_json(json.loads(text), "here")
