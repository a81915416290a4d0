"""What may pass is tried again, what may not is told at once."""

import errno
import threading
import time
from functools import partial
from json import JSONDecodeError

import pytest

from subgrid.source import retries
from subgrid.source.retries import cause_of, enduring, limited, of_hub, reason, retried, transient, within


class ClientError(Exception):
    """Like an error of a client library, which carries a status."""

    def __init__(self, status: object, **more: object) -> None:
        super().__init__("refused")
        self.__dict__.update({"status": status, **more})


ClientError.__module__ = "aiohttp.client"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were slept, without sleeping them."""
    slept: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (OSError("cut"), True),
        (ClientError(503), True),
        (ClientError("429"), True),
        (ClientError(404), False),
        (ClientError(None, response=ClientError(None, status_code=403)), False),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (OSError(errno.ENOSPC, "full"), False),
        (ValueError(), False),
        (JSONDecodeError("an answer cut in the middle", "", 0), True),
    ],
)
def test_what_may_pass(error: Exception, expected: bool) -> None:
    assert transient(error) is expected


def test_what_fsspec_calls_not_found_is_looked_into() -> None:
    """Its http does so for any failure while it asks for a size."""
    for cause, expected in ((ClientError(503), True), (TimeoutError(), True), (ClientError(404), False), (None, False)):
        error = FileNotFoundError("url")
        error.__cause__ = cause
        assert transient(error) is expected


def test_absent_is_what_is_said_of_the_file_itself() -> None:
    """The hub's library answers alike for a file, a commit and a repository, all with status 404."""
    errors = pytest.importorskip("huggingface_hub.errors")
    response = pytest.importorskip("httpx2").Response(
        404, request=pytest.importorskip("httpx2").Request("GET", "http://h")
    )
    for name, absent in (
        ("RemoteEntryNotFoundError", True),
        ("RepositoryNotFoundError", False),
        ("GatedRepoError", False),
        ("RevisionNotFoundError", False),
        ("BucketNotFoundError", False),
        ("HfHubHTTPError", False),
    ):
        cause = getattr(errors, name)("told", response=response)
        with pytest.raises(FileNotFoundError) as raised:
            retried(partial(_raise, cause))
        assert (cause_of(raised.value) is raised.value) is absent, name
        assert cause_of(cause) is cause and of_hub(cause) and not of_hub(raised.value)


def _raise(error: Exception) -> None:
    raise error


def test_a_call_is_made_until_it_succeeds(pauses: list[float]) -> None:
    left = [TimeoutError(), ClientError(500), None]

    def call() -> str:
        if (error := left.pop(0)) is not None:
            raise error
        return "done"

    assert retried(call) == "done"
    assert len(pauses) == 2 and all(0.5 * base <= one <= 1.5 * base for one, base in zip(pauses, (0.5, 1), strict=True))


def test_patience_ends(pauses: list[float]) -> None:
    def call() -> None:
        raise TimeoutError("still nothing")

    with pytest.raises(TimeoutError, match="still nothing"):
        retried(call)
    assert len(pauses) == len(retries.PAUSES)


def test_what_will_not_pass_is_raised_at_once(pauses: list[float]) -> None:
    with pytest.raises(ZeroDivisionError):
        retried(lambda: 1 / 0)
    assert pauses == []


def test_what_a_client_calls_absent_in_its_own_words_is_a_missing_file(pauses: list[float]) -> None:
    def call() -> None:
        raise ClientError(404)

    with pytest.raises(FileNotFoundError, match="ClientError: refused"):
        retried(call)
    assert pauses == []


def test_another_patience(pauses: list[float]) -> None:
    """Pauses, what may pass and how to wait are the caller's."""
    waited: list[float] = []
    with pytest.raises(ZeroDivisionError):
        retried(lambda: 1 / 0, [10.0, 20.0], lambda error: len(waited) < 1, waited.append)
    assert pauses == [] and len(waited) == 1 and 5 <= waited[0] <= 15


def test_a_reason_is_one_line() -> None:
    assert reason(OSError("one\n  two")) == "OSError: one two"
    assert reason(TimeoutError()) == "no answer in time"


class Slow:
    """A file system that takes its time."""

    def info(self, path: str, pause: float = 0) -> str:
        time.sleep(pause)
        if path == "absent":
            raise FileNotFoundError(path)
        return path


def test_a_call_that_brings_nothing_in_time_has_failed() -> None:
    assert within(5, Slow(), "info", "here", pause=0.01) == "here"
    with pytest.raises(FileNotFoundError):
        within(5, Slow(), "info", "absent")
    with pytest.raises(TimeoutError):
        within(0.05, Slow(), "info", "here", pause=1)


def test_a_call_that_does_not_return_is_left_alone() -> None:
    over = threading.Event()
    with pytest.raises(TimeoutError) as error:
        limited(0.05, lambda: over.wait(20))
    over.set()
    assert reason(error.value) == "no answer in time"
    assert limited(5, lambda: "done") == "done"
    with pytest.raises(ZeroDivisionError):
        limited(5, lambda: 1 / 0)


def test_silence_is_borne_fewer_times_than_other_failures(pauses: list[float]) -> None:
    failures: list[Exception] = [OSError("cut"), TimeoutError(), OSError("cut"), TimeoutError(), OSError("cut")]

    def call() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    with pytest.raises(TimeoutError):
        retried(call, again=enduring(2))
    assert len(failures) == 1 and retried(call, again=enduring(2)) == "done"
