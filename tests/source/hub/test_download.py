"""Many files at once: what is taken, fetched, absent, failed; the folder against what the hub holds."""

import hashlib
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from subgrid.errors import InputError
from subgrid.source.hub.download import Download, DownloadProgress, Outcome, measure, survey
from subgrid.source.hub.pace import Patience
from subgrid.source.hub.repository import RemoteFile, Repository
from subgrid.source.hub.transfer import Request

QUICK = Patience(attempts=3, first=0.01, longest=0.05, silence=2.0)


def fault(path: str, **settings: Any) -> Any:
    return sys.modules["hub_server"].Fault(path, **settings)


def wanted(hub: Any) -> list[RemoteFile]:
    """All step files of the hub."""
    return [
        RemoteFile(name, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
        for name, content in sorted(hub.files.items())
        if name.startswith("train/")
    ]


def request(hub: Any) -> Request:
    return Request.of(Repository("LEAP/ClimSim_low-res", patience=QUICK), hub.commit)


def run(hub: Any, out: Path, **settings: Any) -> Outcome:
    return Download(request(hub), out, wanted(hub), **{"workers": 4, **settings}).run()


def same(hub: Any, out: Path) -> bool:
    """Whether the folder holds all step files of the hub, byte for byte, and nothing else."""
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return found == {file.name: hub.files[file.name] for file in wanted(hub)}


@pytest.mark.parametrize("workers", [1, 4, 64])
def test_all_files_come_and_the_second_time_none(hub: Any, tmp_path: Path, workers: int) -> None:
    first = run(hub, tmp_path, workers=workers)
    assert (first.there, first.fetched, first.absent, first.failed, first.untried) == (0, 20, [], {}, 0)
    assert first.bytes == sum(file.size for file in wanted(hub)) and first.seconds > 0
    assert same(hub, tmp_path)
    hub.asked.clear()
    second = run(hub, tmp_path, workers=workers)
    assert (second.there, second.fetched, second.bytes) == (20, 0, 0)
    assert hub.asked == []


def test_files_come_side_by_side(hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault("", pause=0.015, times=99))
    alone = run(hub, tmp_path / "alone", workers=1).seconds
    hub.faults[0].times = 99
    assert run(hub, tmp_path / "many", workers=10).seconds < alone / 2


def test_a_bad_day_ends_with_the_same_bytes(hub: Any, tmp_path: Path) -> None:
    hub.faults += [
        fault("mli.*-0[0-9]{4}.nc", cut=20_000, times=6),
        fault("mlo.0001-02-01-00000", wrong=True),
        fault("mlo.0001-02-01-01200", wrong=True),
        fault("mlo", status=500, times=2),
        fault("resolve", status=429, headers={"Retry-After": "0"}, times=3, at="hub"),
        fault("resolve", status=503, times=2, at="hub"),
    ]
    patient = Repository("LEAP/ClimSim_low-res", patience=Patience(attempts=9, first=0.01, longest=0.05))
    outcome = Download(Request.of(patient, hub.commit), tmp_path, wanted(hub), workers=4).run()
    assert (outcome.fetched, outcome.failed) == (20, {})
    assert same(hub, tmp_path)
    assert [fault.times for fault in hub.faults] == [0] * 6


def test_what_failed_is_named_and_comes_with_the_next_command(hub: Any, tmp_path: Path) -> None:
    bad = "train/0001-02/E3SM-MMF.mlo.0001-02-01-04800.nc"
    hub.files[bad] = hub.files["train/0001-02/E3SM-MMF.mlo.0001-02-01-00000.nc"][::-1]
    hub.faults.append(fault(bad, status=500, times=99))
    outcome = run(hub, tmp_path)
    assert outcome.failed == {bad: "status 500, 3 times in a row"}
    assert outcome.fetched == 19 and not (tmp_path / bad).exists()
    hub.faults.clear()
    again = run(hub, tmp_path)
    assert (again.there, again.fetched, again.failed) == (19, 1, {})
    assert same(hub, tmp_path)


def test_an_absent_file_is_neither_fetched_nor_failed(hub: Any, tmp_path: Path) -> None:
    lost = "train/0001-02/E3SM-MMF.mlo.0001-02-01-00000.nc"
    hub.lost.add(lost)
    outcome = run(hub, tmp_path)
    assert (outcome.absent, outcome.failed, outcome.fetched) == ([lost], {}, 19)


def test_files_of_another_size_are_fetched_and_with_verify_other_bytes_too(hub: Any, tmp_path: Path) -> None:
    run(hub, tmp_path)
    names = [file.name for file in wanted(hub)]
    (tmp_path / names[0]).write_bytes(b"short")
    (tmp_path / names[1]).write_bytes(bytes(len(hub.files[names[1]])))
    assert run(hub, tmp_path).fetched == 1
    assert not same(hub, tmp_path)
    assert run(hub, tmp_path, verify=True).fetched == 1
    assert same(hub, tmp_path)


def test_a_hopeless_download_ends_early(hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault("", status=500, times=999))
    outcome = run(hub, tmp_path, workers=2)
    assert 10 <= len(outcome.failed) <= 11 and outcome.untried == 20 - len(outcome.failed)


def test_no_access_is_one_error_and_not_one_for_each_file(hub: Any, tmp_path: Path) -> None:
    hub.token = "hf_" + "secret" * 5
    with pytest.raises(InputError, match="does not open it to you"):
        run(hub, tmp_path)
    assert len(hub.asked) <= 4


def test_progress_grows_to_the_whole(hub: Any, tmp_path: Path) -> None:
    seen: list[DownloadProgress] = []
    size = sum(file.size for file in wanted(hub))
    name = wanted(hub)[0].name
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / f"{name}.partial").write_bytes(hub.files[name][:1000])
    hub.faults += [fault("", cut=50_000, times=5), fault("", pause=0.1, times=10)]
    run(hub, tmp_path, report=seen.append)
    last = seen[-1]
    assert (last.bytes, last.total_bytes, last.files, last.total_files) == (size, size, 20, 20)
    assert last.fetched == size - 1000
    assert [one.files for one in seen] == sorted(one.files for one in seen)
    assert all(one.bytes <= one.total_bytes for one in seen) and len(seen) > 2


def test_an_interrupt_leaves_no_thread_and_no_wrong_file(hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault("", pause=0.02, times=999))

    def interrupt(progress: DownloadProgress) -> None:
        if progress.files > 2:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        run(hub, tmp_path, report=interrupt)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".nc", ".partial"}
    ours = [thread for thread in threading.enumerate() if "_work" in thread.name]
    assert ours == [] and threading.active_count() <= before + 8  # the server's own
    hub.faults.clear()
    run(hub, tmp_path)
    assert same(hub, tmp_path)


def test_a_survey_counts_by_size_and_writes_nothing(hub: Any, tmp_path: Path) -> None:
    import shutil

    files = wanted(hub)
    out = tmp_path / "not" / "there"
    empty = survey(files, out)
    assert (empty.there, empty.missing, empty.begun) == ([], files, 0)
    assert empty.needed == sum(file.size for file in files) and not out.exists()
    assert abs(empty.free - shutil.disk_usage(tmp_path).free) < 1e9
    (out / files[0].name).parent.mkdir(parents=True)
    (out / files[0].name).write_bytes(hub.files[files[0].name])
    (out / files[1].name).write_bytes(b"short")
    (out / f"{files[2].name}.partial").write_bytes(b"x" * 700)
    found = survey(files, out)
    assert (found.there, found.missing, found.begun) == (files[:1], files[1:], 700)
    assert found.needed == sum(file.size for file in files[1:]) - 700


def test_a_measured_rate_is_that_of_the_server(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subgrid.source.hub.download._SAMPLE_TIME", 1.0)
    hub.faults.append(fault("", pause=0.1, times=999))
    files = [file for file in wanted(hub) if ".mli." in file.name]
    rate = measure(request(hub), files, 2)
    assert rate is not None and 0.4 * 2 * 163_840 < rate < 1.2 * 2 * 163_840  # 16 kB each 0.1 s, two at once


def test_where_nothing_comes_no_rate_is_made_up(hub: Any) -> None:
    hub.faults.append(fault("", status=500, times=999))
    assert measure(request(hub), wanted(hub), 2) is None
    assert measure(request(hub), [], 2) is None
