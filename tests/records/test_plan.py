"""Plans and groups against counts done by hand, and rules that hold for any plan."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.errors import DatasetError, SettingsError
from subgrid.records.plan import Group, Part, Plan, group_count, make_groups, make_plan, read_plan
from subgrid.records.splits import parse_split
from subgrid.source.steps import Step, label_of


def step(number: int, complete: bool = True) -> Step:
    label = label_of(number * 1200)
    return Step(number * 1200, f"E3SM-MMF.mli.{label}.nc", f"E3SM-MMF.mlo.{label}.nc" if complete else "")


def labels(*numbers: int) -> tuple[str, ...]:
    return tuple(label_of(number * 1200) for number in numbers)


def plan_of(training: int, validation: int = 0, rows: int = 0) -> Plan:
    return Plan(labels(*range(training)), labels(*range(training, training + validation)), "", rows)


def test_a_step_without_mlo_takes_no_place() -> None:
    steps = [step(number, complete=number not in (1, 4)) for number in range(8)]
    plan = make_plan(steps, parse_split("every=3"), columns=10)
    assert plan.training == labels(0, 2, 5, 6)  # the complete ones are 0 2 3 5 6 7: the 3rd and the 6th validate
    assert plan.validation == labels(3, 7)
    assert plan.skipped == labels(1, 4)
    assert plan.steps("training") == plan.training and plan.steps("validation") == plan.validation


def test_the_digest_is_that_of_steps_and_splits() -> None:
    plan = make_plan([step(number) for number in range(6)], parse_split("every=3"), 10)
    same = [replace(plan, skipped=labels(9)), replace(plan, split="every=7")]
    others = [
        replace(plan, training=plan.training[1:]),
        replace(plan, validation=()),
        replace(plan, validation_rows=5),
        replace(plan, training=plan.validation, validation=plan.training),
    ]
    assert {one.digest for one in same} == {plan.digest}
    assert len({plan.digest, *(one.digest for one in others)}) == 5


@pytest.mark.parametrize(
    ("steps", "split", "message"),
    [
        ([step(0, False)], None, "no step is left for training: 1 steps chosen, 1 without an mlo or mli file"),
        ([], None, "no step is left for training: 0 steps chosen"),
        ([step(0), step(1)], "rows=20", "'rows=20' takes all of the 20 rows"),
        ([step(0)], "dates=0001..0001/1", "1 for validation by 'dates=0001..0001/1'"),
    ],
)
def test_a_plan_without_training_is_refused(steps: list[Step], split: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_plan(steps, parse_split(split), 10)


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    steps = [step(number, number != 3) for number in range(9)]
    for split in (None, "every=4", "rows=7"):
        plan = make_plan(steps, parse_split(split), 10)
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(plan.to_json()))
        assert read_plan(path) == plan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "subgrid-plan/9"}, "^plan: expected a plan of format subgrid-plan/1, found 'subgrid-plan/9'$"),
        ({"steps": {"training": []}}, "not a plan file .KeyError"),
        ({"steps": [1]}, "not a plan file .TypeError"),
        ({"validation_rows": "some"}, "not a plan file .ValueError"),
        ({"steps": {"training": labels(2, 1), "validation": []}}, "must be sorted and each stand once"),
        ({"steps": {"training": labels(1, 1), "validation": []}}, "must be sorted and each stand once"),
        ({"steps": {"training": labels(1, 2), "validation": labels(2)}}, "the step 0001-.* stands in both splits"),
        ({"validation_rows": -3}, "validation_rows must be at least 0, found -3"),
        ({"commit": "main"}, "expected the hash of a commit of 40 digits, found 'main'"),
        ({"steps": {"training": ["yesterday"], "validation": []}}, "^plan: not a plan file .*'yesterday'"),
    ],
)
def test_a_damaged_plan_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        Plan.from_json(plan_of(4).to_json() | change, "plan")


def test_a_plan_of_no_commit_may_say_so() -> None:
    assert Plan.from_json(plan_of(4).to_json() | {"commit": None}, "plan").commit == ""


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"format": 1}', None])
def test_what_is_no_plan_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "steps.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"steps\.json"):
        read_plan(path)


@pytest.mark.parametrize(
    ("steps", "columns", "stride", "shard_size", "expected"),
    [
        (48, 384, 3968, 64_000_000, 2),  # 73 MB
        (1, 384, 3968, 1, 1),
        (5, 384, 3968, 1, 5),  # never more groups than steps
        (31, 10, 64, 1, 31),
        (32, 10, 64, 1, 32),
        (63, 10, 64, 1, 32),
        (64, 10, 64, 1, 64),
        (1000, 1, 1, 32, 32),  # 31.25 groups are 32
        (1000, 1, 1, 31, 64),  # 32.3 groups are 64
        (210_240, 384, 3968, 64_000_000, 5024),  # all of low-res: 320 GB in 5005.4 shards
        (0, 384, 3968, 64_000_000, 0),
    ],
)
def test_groups_counted_by_hand(steps: int, columns: int, stride: int, shard_size: int, expected: int) -> None:
    assert group_count(steps, columns * stride, shard_size) == expected


@given(st.integers(0, 3000), st.integers(1, 400), st.integers(1, 100), st.integers(1, 10**6))
def test_rules_of_the_number_of_groups(steps: int, columns: int, stride: int, shard_size: int) -> None:
    count = group_count(steps, columns * stride, shard_size)
    assert count <= steps and (count > 0) == (steps > 0)
    assert count < 32 or count % 32 == 0
    size = steps * columns * stride
    if count * 2 <= steps:  # room for as many groups as the size asks for
        assert size <= count * shard_size
        assert count == 1 or size > (count - 32 if count >= 32 else count - 1) * shard_size


@given(st.integers(1, 150), st.integers(0, 60), st.integers(1, 2000))
def test_every_step_is_in_one_group_and_groups_span_the_period(training: int, held: int, shard_size: int) -> None:
    plan = plan_of(training, held)
    groups = make_groups(plan, step_bytes=3 * 64, shard_size=shard_size)
    for split in ("training", "validation"):
        mine = [group for group in groups if group.split == split]
        assert [group.index for group in mine] == list(range(len(mine)))
        for place, label in enumerate(plan.steps(split)):
            group = mine[place % len(mine)]
            assert group.steps[place // len(mine)] == label
        assert sum(len(group.steps) for group in mine) == len(plan.steps(split))
        assert not any(sum(group.drawn) for group in mine)
    assert [group.split for group in groups] == sorted(group.split for group in groups)
    assert len({group.name for group in groups}) == len(groups)


@given(st.integers(1, 60), st.integers(0, 500))
def test_drawn_rows_are_spread_over_all_steps(steps: int, rows: int) -> None:
    groups = make_groups(plan_of(steps, rows=rows), step_bytes=64_000, shard_size=64_000 * 3)
    drawn = [count for group in groups for count in group.drawn]
    assert len(drawn) == steps and sum(drawn) == rows and max(drawn) - min(drawn) <= 1
    assert all(len(group.drawn) == len(group.steps) for group in groups)


@given(st.integers(0, 200), st.integers(1, 40))
def test_parts_share_the_groups_out(count: int, parts: int) -> None:
    groups = [Group("training", index, (), ()) for index in range(count)]
    shared = [Part(index + 1, parts).of(groups) for index in range(parts)]
    assert sorted(group.index for part in shared for group in part) == list(range(count))
    assert all(group.index % parts == index for index, part in enumerate(shared) for group in part)


def test_where_parts_divide_groups_a_part_needs_every_nth_step() -> None:
    plan = plan_of(320)
    groups = make_groups(plan, step_bytes=64, shard_size=64)
    assert len(groups) == 320
    groups = make_groups(plan, step_bytes=64, shard_size=64 * 5)
    assert len(groups) == 64
    needed = {label for group in Part.parse("3/32").of(groups) for label in group.steps}
    assert needed == set(plan.training[2::32])


def test_parts_are_parsed_strictly() -> None:
    assert Part.parse("3/32") == Part(3, 32) and Part() == Part(1, 1)
    for text in ("0/32", "33/32", "3", "3/", "/3", "a/b", "-1/3", "1/0", "1.5/2", "", "²/3"):
        with pytest.raises(SettingsError, match="expected i/N"):
            Part.parse(text)
