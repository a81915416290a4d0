"""One file through everything that happens on networks; afterwards it is whole, or it is not there."""

import fcntl
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from subgrid.errors import InputError, SubgridError
from subgrid.source.hub.pace import DownloadStoppedError, Pace, Patience
from subgrid.source.hub.repository import RemoteFile, Repository
from subgrid.source.hub.transfer import AbsentError, FailedError, Request, Transfer, is_whole

NAME = "train/0001-02/E3SM-MMF.mli.0001-02-01-00000.nc"
QUICK = Patience(attempts=3, first=0.01, longest=0.05, longest_asked=5.0, silence=1.0)
Fetch = Callable[..., Transfer]


def fault(**settings: Any) -> Any:
    return sys.modules["hub_server"].Fault(settings.pop("path", NAME), **settings)


def listed(content: bytes, name: str = NAME) -> RemoteFile:
    return RemoteFile(name, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")


@pytest.fixture
def content(hub: Any) -> bytes:
    """What the file holds: 120,800 bytes."""
    return hub.files[NAME]


@pytest.fixture
def fetch(hub: Any, tmp_path: Path) -> Fetch:
    """Fetch a file, by default the one called NAME, to tmp_path/file."""

    def run(file: RemoteFile | None = None) -> list[tuple[int, int]]:
        counts: list[tuple[int, int]] = []
        request = Request.of(Repository("LEAP/ClimSim_low-res", patience=QUICK), hub.commit)
        Transfer(request, file or listed(hub.files[NAME]), tmp_path / "file", lambda *count: counts.append(count)).run()
        return counts

    return run


def ranges(hub: Any) -> list[str | None]:
    return [one.headers.get("range") for one in hub.requests("store", NAME)]


def test_a_file_comes_whole_and_nothing_else_stays(fetch: Fetch, content: bytes, tmp_path: Path) -> None:
    counts = fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert [sum(column) for column in zip(*counts, strict=True)] == [len(content), len(content)]


def test_a_partial_file_is_continued_where_it_ends(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(content[:50_000])
    counts = fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert ranges(hub) == ["bytes=50000-"]
    assert hub.sent[NAME] == len(content) - 50_000
    assert [sum(column) for column in zip(*counts, strict=True)] == [len(content), len(content) - 50_000]


def test_a_partial_file_that_is_complete_is_only_hashed(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(content)
    fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert hub.asked == []


@pytest.mark.parametrize("left", [b"other bytes" * 5, b"x" * 120_800, b"x" * 200_000])
def test_a_partial_file_of_something_else_is_dropped(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "file.partial").write_bytes(left)
    counts = fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert sum(held for held, _ in counts) == len(content)


def test_cut_connections_are_continued(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    hub.faults += [fault(cut=30_000) for _ in range(3)]
    fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert ranges(hub) == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]
    assert hub.sent[NAME] == len(content)


def test_many_cuts_are_borne_as_long_as_bytes_come(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    hub.faults.append(fault(cut=10_000, times=12))
    fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert len(ranges(hub)) == 13


@pytest.mark.parametrize("at", ["hub", "store"])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path, at: str, status: int
) -> None:
    hub.faults.append(fault(status=status, times=2, at=at))
    fetch()
    assert (tmp_path / "file").read_bytes() == content


def test_retry_after_is_kept_to(fetch: Fetch, hub: Any) -> None:
    hub.faults.append(fault(status=429, headers={"Retry-After": "1"}, at="hub"))
    fetch()
    first, second = (one.time for one in hub.requests("hub", "resolve"))
    assert 1.0 <= second - first < 3.0


def test_a_server_that_stays_broken_is_given_up_and_what_came_stays(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path
) -> None:
    hub.faults += [fault(cut=40_000), fault(status=503, times=99)]
    with pytest.raises(FailedError, match="status 503, 3 times in a row"):
        fetch()
    assert [path.name for path in tmp_path.iterdir()] == ["file.partial"]
    assert (tmp_path / "file.partial").read_bytes() == content[:40_000]
    hub.faults.clear()
    fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert hub.sent[NAME] == len(content)


def test_a_silent_server_is_a_cut_connection(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    hub.faults.append(fault(pause=3.0))
    fetch()
    assert (tmp_path / "file").read_bytes() == content


def test_wrong_bytes_of_the_right_size_are_fetched_again(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path
) -> None:
    hub.faults.append(fault(wrong=True))
    fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert hub.sent[NAME] == 2 * len(content)


def test_bytes_that_stay_wrong_never_stand_under_the_name(fetch: Fetch, hub: Any, tmp_path: Path) -> None:
    hub.faults.append(fault(wrong=True, times=99))
    with pytest.raises(FailedError, match="its bytes are not those of sha256:[0-9a-f]{64}, 2 times"):
        fetch()
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_after_a_cut_are_seen(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    hub.faults += [fault(cut=50_000, wrong=True)]
    fetch()
    assert (tmp_path / "file").read_bytes() == content


def test_a_server_without_ranges_sends_all_of_it(fetch: Fetch, hub: Any, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_bytes(content[:50_000])
    hub.faults.append(fault(plain=True))
    counts = fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert [sum(column) for column in zip(*counts, strict=True)] == [len(content), len(content)]


@pytest.mark.parametrize("range_sent", ["bytes 0-120799/120800", "bytes 49999-120799/120800", ""])
def test_another_range_than_asked_for_is_not_appended(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path, range_sent: str
) -> None:
    (tmp_path / "file.partial").write_bytes(content[:50_000])
    hub.faults.append(fault(status=206, headers={"Content-Range": range_sent}))
    fetch()
    assert (tmp_path / "file").read_bytes() == content


def test_a_file_that_is_longer_than_listed_fails(fetch: Fetch, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="more bytes than the 100000 that were listed"):
        fetch(listed(content[:100_000]))
    assert not (tmp_path / "file").exists()


def test_a_file_that_is_shorter_than_listed_fails(fetch: Fetch, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="in a row"):
        fetch(listed(content + b"more"))
    assert not (tmp_path / "file").exists()


def test_an_absent_file_is_a_gap(fetch: Fetch, hub: Any, tmp_path: Path) -> None:
    hub.lost.add(NAME)
    with pytest.raises(AbsentError):
        fetch()
    assert list(tmp_path.iterdir()) == []
    assert len(hub.asked) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_redirect_that_leads_nowhere_is_asked_for_again(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path, status: int
) -> None:
    hub.faults.append(fault(status=status, times=2))
    fetch()
    assert (tmp_path / "file").read_bytes() == content
    assert len(hub.requests("hub", "resolve")) == 3


def test_no_access_ends_everything(fetch: Fetch, hub: Any) -> None:
    hub.token = "hf_" + "secret" * 5
    with pytest.raises(InputError, match="does not open it to you"):
        fetch()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"status": 400}, "status 400"),
        ({"status": 429, "headers": {"Retry-After": "3600"}}, "status 429, to be asked again in 3600 s"),
    ],
)
def test_what_waiting_does_not_mend_is_not_asked_again(
    fetch: Fetch, hub: Any, settings: dict[str, Any], message: str
) -> None:
    hub.faults.append(fault(**settings))
    with pytest.raises(FailedError, match=message):
        fetch()
    assert len(hub.requests("store", NAME)) == 1


def test_the_token_goes_to_the_hub_and_not_where_it_redirects_to(
    fetch: Fetch, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_" + "secret" * 5
    monkeypatch.setenv("HF_TOKEN", hub.token)
    hub.faults.append(fault(cut=5000))
    fetch()
    assert [one.headers["authorization"] for one in hub.requests("hub", "resolve")] == [f"Bearer {hub.token}"] * 2
    elsewhere = hub.requests("store", NAME)
    assert len(elsewhere) == 2 and hub.token not in str(elsewhere)


def test_a_request_does_not_show_the_token(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_hidden")
    assert "hf_hidden" not in repr(Request.of(Repository("LEAP/ClimSim_low-res"), hub.commit))


def test_a_file_that_git_keeps_is_checked_by_git_s_digest(fetch: Fetch, hub: Any, tmp_path: Path) -> None:
    hub.small.add("README.md")
    (file,) = [file for file in Repository("LEAP/ClimSim_low-res").files("", hub.commit) if file.name == "README.md"]
    fetch(file)
    assert (tmp_path / "file").read_bytes() == hub.files["README.md"]
    hub.faults.append(fault(path="README.md", wrong=True, times=2, at="hub"))
    (tmp_path / "file").unlink()
    with pytest.raises(FailedError, match="its bytes are not those of git:"):
        fetch(file)


@contextmanager
def begun_elsewhere(folder: Path) -> Iterator[BinaryIO]:
    """The partial file, as a process that fetches it holds it."""
    with (folder / "file.partial").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def test_a_file_that_another_process_fetches_is_waited_for(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path
) -> None:
    with begun_elsewhere(tmp_path) as other:
        waiting = threading.Thread(target=fetch)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive() and hub.asked == []
        other.write(content)
        other.flush()
        os.replace(tmp_path / "file.partial", tmp_path / "file")
    waiting.join(10)
    assert not waiting.is_alive() and hub.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == content


def test_what_another_process_left_when_it_was_killed_is_taken_over(
    fetch: Fetch, hub: Any, content: bytes, tmp_path: Path
) -> None:
    with begun_elsewhere(tmp_path) as other:
        waiting = threading.Thread(target=fetch)
        waiting.start()
        other.write(content[:30_000])
        other.flush()
        time.sleep(0.3)
    waiting.join(10)
    assert (tmp_path / "file").read_bytes() == content
    assert ranges(hub) == ["bytes=30000-"]


def test_a_disk_that_refuses_ends_everything(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "inside").touch()
    with pytest.raises(SubgridError, match="file: cannot be written .*the same command again"):
        fetch()
    assert (tmp_path / "file.partial").stat().st_size == 120_800


def test_a_stop_leaves_the_partial_file(hub: Any, content: bytes, tmp_path: Path) -> None:
    request = Request.of(Repository("LEAP/ClimSim_low-res", patience=QUICK), hub.commit)

    def stop_after_some(held: int, fetched: int) -> None:
        request.pace.stop.set()

    hub.faults.append(fault(pause=0.05))
    with pytest.raises(DownloadStoppedError):
        Transfer(request, listed(content), tmp_path / "file", stop_after_some).run()
    came = (tmp_path / "file.partial").read_bytes() if (tmp_path / "file.partial").exists() else b""
    assert content.startswith(came) and len(came) < len(content)


def test_whole_files_are_told_from_damaged_ones(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for written, whole in ((content, True), (content[:-1], False), (content[:-1] + b"\xff", False)):
        path.write_bytes(written)
        assert is_whole(path, listed(content), Pace()) is whole
