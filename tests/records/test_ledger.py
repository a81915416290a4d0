"""Reports of groups: the same bits come back, and nothing that is damaged or of another build is believed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from subgrid.errors import DatasetError
from subgrid.records.build import Prepared
from subgrid.records.ledger import (
    GroupReport,
    Shard,
    done_groups,
    encoded,
    plain,
    read_report,
    report_name,
    write_part,
    write_report,
)
from subgrid.records.plan import Group, Part
from subgrid.schema.variable_sets import variable_set
from subgrid.statistics.moments import Moments
from subgrid.statistics.table import Table

GROUP = Group("training", 3, ("0001-02-01-00000",), (0,))
SET = variable_set("v1")


def table_of(seed: int) -> Table:
    random = np.random.default_rng(seed)
    sizes = 10.0 ** random.integers(-300, 30, (SET.input_width, 1))
    return Table(SET, Moments.of(random.normal(size=(SET.input_width, 5)) * sizes), Moments.zero(SET.target_width))


def report_of(table: Table) -> GroupReport:
    shard = Shard(name="training-00003.tfrecord", split="training", rows=5, bytes=5 * 64, crc32c=2**32 - 1)
    return GroupReport(
        build="abc", group=GROUP.name, shards=(shard,), dropped={"0001-02-01-00000": "ünreadable\n"},
        flushed={"cam_out_SOLL": 3}, fill={}, other_time=1, moments={"training": encoded(table)},
    )  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    return tmp_path


def test_a_report_survives_the_round_trip_to_the_bit(out: Path) -> None:
    table = table_of(0)
    assert done_groups(out, [GROUP]) == []
    write_report(out, GROUP, report_of(table))
    assert done_groups(out, [GROUP]) == [GROUP]
    assert [path.name for path in (out / "parts").iterdir()] == ["training-00003.json"]
    found = read_report(out, GROUP, "abc")
    assert found == report_of(table)
    back = found.table("training", SET)
    for one, other in ((back.inputs, table.inputs), (back.targets, table.targets)):
        assert one.to_array().tobytes() == other.to_array().tobytes()


def test_a_split_without_rows_adds_nothing() -> None:
    empty = report_of(table_of(0)).table("validation", SET)
    assert empty.inputs.to_array().tobytes() == Moments.zero(SET.input_width).to_array().tobytes()
    assert empty.rows == 0


def test_a_report_of_another_build_is_refused(out: Path) -> None:
    write_report(out, GROUP, report_of(table_of(0)))
    with pytest.raises(DatasetError, match=r"training-00003\.json: belongs to another build"):
        read_report(out, GROUP, "abd")


def test_a_report_that_is_cut_anywhere_is_refused(out: Path) -> None:
    write_report(out, GROUP, report_of(table_of(0)))
    path = out / report_name(GROUP)
    whole = path.read_bytes()
    for size in [*range(0, 40), len(whole) // 2, len(whole) - 10, len(whole) - 3]:
        path.write_bytes(whole[:size])
        with pytest.raises(DatasetError, match=r"training-00003\.json: damaged .*; delete it and run the build again"):
            read_report(out, GROUP, "abc")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"null", b"{}"])
def test_a_report_that_is_something_else_is_refused(out: Path, content: bytes) -> None:
    (out / report_name(GROUP)).write_bytes(content)
    with pytest.raises(DatasetError, match="damaged"):
        read_report(out, GROUP, "abc")


@pytest.mark.parametrize("change", [{"colour": 1}, {"other_time": "often"}, {"moments": {"training": ["AA=="]}}])
def test_a_report_with_other_fields_is_refused(out: Path, change: dict[str, object]) -> None:
    write_report(out, GROUP, report_of(table_of(0)))
    data = plain(out / report_name(GROUP))
    (out / report_name(GROUP)).write_text(json.dumps(data | change))
    with pytest.raises(DatasetError, match="damaged"):
        read_report(out, GROUP, "abc")


def test_parts_are_declared_also_without_groups(ready: Callable[..., Prepared], out: Path) -> None:
    blueprint = ready().blueprint
    write_part(out, Part(1, 5), blueprint)
    write_part(out, Part(12, 99), blueprint)
    found = plain(out / "parts" / "part-0001-of-0005.json")
    names = ["training-00000", "training-00005", "training-00010", "validation-00000"]
    assert found == {"build": blueprint.digest, "part": [1, 5], "groups": names}
    assert plain(out / "parts" / "part-0012-of-0099.json")["groups"] == []


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"some\.json: damaged"):
        plain(tmp_path / "some.json")
