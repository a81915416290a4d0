"""Reading objects with patience: what passes is waited for, what stays is told, secrets are not."""

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest

from subgrid.errors import InputError
from subgrid.records import transfer
from subgrid.records.transfer import (
    Fixed,
    Patience,
    StoppedError,
    TransferError,
    fetch,
    read_object,
    size_of,
)  # fmt: skip

ORIGIN = Fixed("memory://transfers/")
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    system.pipe_file("/transfers/a", CONTENT)
    yield system
    system.rm("/transfers", recursive=True)


class Trouble:
    """Makes the first calls of a memory file system's ``cat_file`` fail as told."""

    def __init__(self, system: Any, patch: pytest.MonkeyPatch, *failures: Exception | float) -> None:
        self.failures, self.calls, self.asked = list(failures), 0, []
        whole = type(system).cat_file

        def cat_file(path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
            self.calls += 1
            self.asked.append((start, end))
            if self.failures:
                failure = self.failures.pop(0)
                if isinstance(failure, Exception):
                    raise failure
                time.sleep(failure)
            return whole(system, path, start, end, **options)

        patch.setattr(system, "cat_file", cat_file)


def fetched(patience: Patience, size: int = len(CONTENT)) -> bytes:
    sink = io.BytesIO()
    fetch("a", size, sink, ORIGIN, patience)
    return sink.getvalue()


def test_pieces_make_the_whole(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PIECE", 3000)
    trouble = Trouble(memory, monkeypatch)
    assert fetched(Patience()) == CONTENT
    assert trouble.asked == [(0, 3000), (3000, 6000), (6000, 9000), (9000, 10240)]


def test_failures_that_pass_are_waited_for(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = Trouble(memory, monkeypatch, OSError("reset"), json.JSONDecodeError("half an answer", "", 0))
    start = time.monotonic()
    assert fetched(Patience(pause=0.1)) == CONTENT
    assert trouble.calls == 3 and time.monotonic() - start > 0.15  # 0.1 s, then twice that, times 0.5 ... 1.5


def test_failures_that_stay_end_it(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = Trouble(memory, monkeypatch, *[OSError("reset")] * 9)
    with pytest.raises(TransferError, match=r"^memory://transfers/a: cannot be read \(OSError reset\), tried 3 times"):
        fetched(Patience(tries=3, pause=0.001))
    assert trouble.calls == 3


class RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("https://me:hunter2@host")
        self.status = status


@pytest.mark.parametrize(("status", "calls"), [(401, 1), (403, 1), (416, 1), (408, 2), (429, 2), (500, 2), (503, 2)])
def test_what_waiting_cannot_help_is_not_repeated(
    status: int, calls: int, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(memory, monkeypatch, *[RefusedError(status)] * 2)
    with pytest.raises(TransferError, match=f"status {status}") as error:
        fetched(Patience(tries=2, pause=0.001))
    assert trouble.calls == calls and "hunter2" not in str(error.value)


def test_a_stall_is_a_failure_and_asks_for_less(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_SMALLEST_PIECE", 100)
    monkeypatch.setattr(transfer, "PIECE", 12_000)
    trouble = Trouble(memory, monkeypatch, 0.5, 0.5)
    assert fetched(Patience(stall=0.05, pause=0.001)) == CONTENT
    assert trouble.asked[:3] == [(0, 10240), (0, 3000), (0, 750)]


def test_a_stall_that_stays_ends_it(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Trouble(memory, monkeypatch, 0.5, 0.5)
    with pytest.raises(TransferError, match=r"no answer within 0\.05 s\), tried 2 times"):
        fetched(Patience(stall=0.05, tries=2, pause=0.001))


def test_an_object_too_short_is_not_taken(memory: Any) -> None:
    with pytest.raises(TransferError, match="bytes 0 to 10241 were asked for, 10240 came"):
        fetched(Patience(tries=2, pause=0.001), size=10_241)


def test_missing_objects_and_sizes(memory: Any) -> None:
    assert size_of("a", ORIGIN, Patience()) == len(CONTENT)
    assert read_object("a", ORIGIN, Patience()) == CONTENT
    for ask in (size_of, read_object):
        with pytest.raises(FileNotFoundError, match="memory://transfers/b"):
            ask("b", ORIGIN, Patience())


def test_nobody_waits_for_a_stopped_transfer(memory: Any) -> None:
    patience = Patience()
    patience.stop.set()
    with pytest.raises(StoppedError):
        fetched(patience)


def test_an_unknown_scheme_is_an_error_at_once() -> None:
    with pytest.raises(InputError, match="not a location that fsspec knows"):
        read_object("a", Fixed("nowhere://x"), Patience(pause=100))
