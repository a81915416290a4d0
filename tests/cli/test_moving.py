"""The command that fetches raw steps: what it writes, says and refuses; killed and gone on with; built from."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from subgrid.records.manifest import read_manifest

DAY = ("--start", "0001-02-01", "--end", "0001-02-01-13200")
"""The twelve steps that the hub on loopback has, nine of them whole."""
GRID = "ClimSim_low-res_grid-info.nc"


def fault(path: str, **settings: Any) -> Any:
    return sys.modules["hub_server"].Fault(path, **settings)


def expected(hub: Any) -> set[str]:
    """The grid and the files of whole steps."""
    absent = ("0001-02-01-02400", "0001-02-01-04800", "0001-02-01-07200")
    return {GRID} | {name for name in hub.files if name.startswith("train/") and name[-19:-3] not in absent}


def held(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.nc")}


def same(hub: Any, out: Path) -> bool:
    return held(out) == {name: hub.files[name] for name in expected(hub)}


def test_a_period_comes_whole_with_its_gaps_written_down(subgrid, hub: Any, tmp_path: Path) -> None:
    answer = subgrid("download", tmp_path / "raw", *DAY)
    assert answer.code == 0
    assert same(hub, tmp_path / "raw")
    assert (tmp_path / "raw" / "download-gaps.txt").read_text().splitlines() == [
        "0001-02-01-02400 has no mlo",
        "0001-02-01-04800 has no mli",
        "0001-02-01-07200 has no mli and mlo",
    ]
    assert "9 steps, 19 files" in answer.err and "gaps: 3 of 12 steps" in answer.err
    assert answer.out.startswith(f"{tmp_path / 'raw'}: 19 files fetched (")
    plan = json.loads((tmp_path / "raw" / "download.json").read_text())
    assert (plan["commit"], plan["start"], plan["end"]) == (hub.commit, DAY[1], DAY[3])
    assert all(f"/resolve/{hub.commit}/" in one.path for one in hub.requests("hub", "/resolve/"))


def test_the_second_time_nothing_is_asked_for(subgrid, hub: Any, tmp_path: Path) -> None:
    subgrid("download", tmp_path, *DAY)
    hub.asked.clear()
    answer = subgrid("download", tmp_path)
    assert (answer.code, hub.asked) == (0, [])
    assert "0 files fetched" in answer.out and "19 were there" in answer.out
    (tmp_path / GRID).write_bytes(bytes(len(hub.files[GRID])))
    assert "1 files fetched" in subgrid("download", tmp_path, "--verify").out
    assert same(hub, tmp_path)


def test_a_dry_run_tells_all_and_keeps_nothing(subgrid, hub: Any, tmp_path: Path) -> None:
    answer = subgrid("download", tmp_path / "raw", *DAY, "--dry-run", "--json")
    told, bytes_wanted = answer.data, sum(len(hub.files[name]) for name in expected(hub))
    assert (told["steps"], told["files"], told["bytes"]) == (9, 19, bytes_wanted)
    assert (told["files_there"], told["bytes_to_fetch"]) == (0, bytes_wanted)
    assert (told["commit"], told["calendar_steps"], told["grids"]) == (hub.commit, 12, [GRID])
    assert told["gaps"] == {
        "0001-02-01-02400": "mlo", "0001-02-01-04800": "mli", "0001-02-01-07200": "mli and mlo",
    }  # fmt: skip
    assert told["hours"] == pytest.approx(bytes_wanted / told["rate"] / 3600)
    assert abs(told["bytes_free"] - shutil.disk_usage(tmp_path).free) < 1e9
    assert not (tmp_path / "raw").exists()
    words = subgrid("download", tmp_path / "raw", *DAY, "--dry-run")
    assert "measured just now with 8 at once" in words.err and "nothing was kept" in words.out


def test_a_plan_made_once_serves_all_parts(subgrid, hub: Any, tmp_path: Path) -> None:
    plan, out = tmp_path / "plan.json", tmp_path / "raw"
    assert subgrid("download", out, *DAY, "--plan", plan, "--dry-run").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
    made, seen = plan.read_text(), []
    for index in range(1, 4):
        hub.asked.clear()
        assert subgrid("download", out, "--plan", plan, "--part", f"{index}/3").code == 0
        assert hub.requests("hub", "/api/") == []
        seen.append({name for name in held(out)} - set().union(*seen))
    assert [len([name for name in names if ".mli." in name]) for names in seen] == [3, 3, 3]
    assert same(hub, out) and plan.read_text() == made and not (out / "download.json").exists()


def test_a_folder_can_be_built_from(subgrid, hub: Any, tmp_path: Path) -> None:
    subgrid("download", tmp_path / "raw", *DAY)
    assert subgrid("build", tmp_path / "raw", tmp_path / "data").code == 0
    manifest = read_manifest(tmp_path / "data")
    assert manifest.rows("training") == 9 * 24 and manifest.skipped == ()
    plain = tmp_path / "plain"
    for name in expected(hub):
        (plain / name).parent.mkdir(parents=True, exist_ok=True)
        (plain / name).write_bytes(hub.files[name])
    subgrid("build", plain, tmp_path / "other")
    assert read_manifest(tmp_path / "other").digest == manifest.digest


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_killed_download_goes_on_in_the_middle_of_its_files(subgrid, process, hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault("mli", pause=0.1, times=99))
    running = process("download", tmp_path, *DAY, "--workers", 3)
    wait_for(lambda: len([path for path in tmp_path.rglob("*.mli.*.partial") if path.stat().st_size > 30_000]) == 3)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    time.sleep(0.5)  # until the server has noticed, and no longer counts what it sends
    hub.faults.clear()
    partial = {path: path.read_bytes() for path in tmp_path.rglob("*.partial")}
    left = {path.relative_to(tmp_path).as_posix().removesuffix(".partial"): len(part) for path, part in partial.items()}
    whole = set(held(tmp_path))
    assert len(left) == 3 and all(left.values())
    hub.asked.clear()
    hub.sent.clear()
    answer = subgrid("download", tmp_path)
    assert answer.code == 0 and same(hub, tmp_path)
    assert list(tmp_path.rglob("*.partial")) == []
    expected_bytes = {name: len(hub.files[name]) - left.get(name, 0) for name in expected(hub) - whole}
    assert hub.sent == expected_bytes
    for name, size in left.items():
        asked = [one.headers.get("range") for one in hub.requests("store", name)]
        assert asked == [f"bytes={size}-"]


def test_ctrl_c_is_130_and_the_same_command_goes_on(subgrid, process, hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault("mli", pause=0.1, times=99))
    running = process("download", tmp_path, *DAY)
    wait_for(lambda: any(path.stat().st_size > 0 for path in tmp_path.rglob("*.partial")))
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "interrupted; what is finished is kept: run the same command again"
    hub.faults.clear()
    assert subgrid("download", tmp_path).code == 0
    assert same(hub, tmp_path)


def test_what_failed_is_listed_and_tried_again_by_the_same_command(subgrid, hub: Any, tmp_path: Path) -> None:
    bad = "train/0001-02/E3SM-MMF.mlo.0001-02-01-01200.nc"
    hub.faults.append(fault(bad, wrong=True, times=2))
    answer = subgrid("download", tmp_path, *DAY)
    assert answer.code == 1
    assert f"  {bad}: its bytes are not those of sha256:" in answer.err
    assert "the same command tries them again" in answer.err
    assert not list(tmp_path.rglob("*.partial"))
    hub.sent.clear()
    assert subgrid("download", tmp_path, *DAY).code == 0
    assert same(hub, tmp_path) and list(hub.sent) == [bad]


def test_failures_stand_in_the_json_too(subgrid, hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault("mlo.0001-02-01-01200", status=400))
    answer = subgrid("download", tmp_path, *DAY, "--json")
    assert answer.code == 1
    assert answer.data["failed"] == {"train/0001-02/E3SM-MMF.mlo.0001-02-01-01200.nc": "status 400"}
    assert (answer.data["fetched"], answer.data["there"], answer.data["absent"]) == (18, 0, [])


def test_a_file_that_is_listed_but_absent_is_a_gap(subgrid, hub: Any, tmp_path: Path) -> None:
    lost = "train/0001-02/E3SM-MMF.mlo.0001-02-01-00000.nc"
    hub.lost.add(lost)
    answer = subgrid("download", tmp_path, *DAY)
    assert answer.code == 0 and "files that the hub lists but does not have (404): 1" in answer.err
    assert f"{lost} is listed, but absent" in (tmp_path / "download-gaps.txt").read_text()


def test_each_part_keeps_its_own_gaps(subgrid, hub: Any, tmp_path: Path) -> None:
    lost = "train/0001-02/E3SM-MMF.mlo.0001-02-01-00000.nc"  # of part 1
    hub.lost.add(lost)
    for index in (1, 2):
        assert subgrid("download", tmp_path, *DAY, "--part", f"{index}/2").code == 0
    first, second = ((tmp_path / f"download-gaps-{index}-of-2.txt").read_text() for index in (1, 2))
    assert lost in first and lost not in second


def test_a_disk_that_is_too_small_is_refused_unless_forced(
    subgrid, refused, hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    out = tmp_path / "raw"
    message = refused("download", out, *DAY)
    assert "1.74 MB are to be fetched, and 1 MB are free" in message and "--force" in message
    assert not out.exists()
    assert subgrid("download", out, *DAY, "--dry-run").code == 0
    assert subgrid("download", out, *DAY, "--force").code == 0
    assert same(hub, out)


def test_the_token_is_nowhere_but_in_requests_to_the_hub(
    subgrid, hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_" + "secret" * 5
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.faults += [
        fault("mli.0001-02-01-00000", status=400),
        fault("mli.0001-02-01-01200", cut=100, times=2),
        fault("mlo.0001-02-01-01200", status=500),
    ]
    answers = [subgrid("download", tmp_path, *DAY, "--json"), subgrid("download", tmp_path, *DAY)]
    assert [answer.code for answer in answers] == [1, 0]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert hub.token.encode() not in b"".join(written)
    assert hub.token not in "".join(answer.out + answer.err for answer in answers)
    assert "Signature" not in "".join(answer.out + answer.err for answer in answers)
    assert all(one.headers["authorization"] == f"Bearer {hub.token}" for one in hub.asked if one.at == "hub")
    assert hub.token not in str([one for one in hub.asked if one.at == "store"])


def test_a_refused_token_is_not_shown(refused, hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_" + "right" * 6
    monkeypatch.setenv("HF_TOKEN", "hf_" + "wrong" * 6)
    message = refused("download", tmp_path / "raw", *DAY)
    assert "HF_TOKEN" in message and "wrong" not in message
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--repository", "LEAP/nothing"), "LEAP/nothing: http://127.0.0.1:.* has no such data set repository"),
        (("--repository", "no repository"), "expected a repository like LEAP/ClimSim_low-res"),
        (("--part", "4/3"), "expected i/N with i from 1 to N"),
        (("--start", "0001-13"), "is not a date of the no-leap calendar"),
        (("--start", "0001-04", "--end", "0001-03"), "no step lies between"),
        (("--start", "0001-04", "--end", "0001-04"), "no step from 0001-04 to 0001-04"),
        (("--plan", "{tmp}/broken.json"), "not a plan of a download"),
    ],
)
def test_what_cannot_be_is_refused(refused, hub: Any, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    import re

    (tmp_path / "broken.json").write_text("{")
    told = refused("download", tmp_path / "raw", *(text.format(tmp=tmp_path) for text in arguments))
    assert re.search(message, told)
    assert not (tmp_path / "raw").exists()
