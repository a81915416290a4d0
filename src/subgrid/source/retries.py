"""Patience with networks, and its end.

A call that fails for a reason that may pass is made again, after growing pauses; one that brings nothing in time has
failed.
"""

import errno
import random
import threading
import time
from collections.abc import Callable, Sequence
from json import JSONDecodeError
from typing import Any, TypeVar

from subgrid.source.urls import without_secrets

T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try, times a draw from 0.5 ... 1.5 so that many clients do not come back at once."""

_CLIENTS = {
    "aiohttp",
    "aiobotocore",
    "botocore",
    "gcsfs",
    "google",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "requests",
    "urllib3",
}
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_PASSING = {408, 425, 429}
"""Answers of the 4xx kind that ask for patience: time-out, too early, too many requests."""
_ABSENT = 404


def transient(error: BaseException) -> bool:
    """Whether an error of a file system may pass: time-out, cut connection or answer, 429, 5xx; not 403, full disk."""
    error = cause_of(error)
    if isinstance(error, _FINAL) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        return False
    if (status := status_of(error)) is not None and status >= 400:
        return status >= 500 or status in _PASSING
    return isinstance(error, (OSError, EOFError, JSONDecodeError)) or of_client(error)


def cause_of(error: BaseException) -> BaseException:
    """The failure itself: file systems call "not found" what says nothing of the file.

    fsspec's http does so with whatever it meets when it asks for a size, a 403 too, and the hub's with a repository or
    a commit that is gone, closed or not for this user.
    """
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or cause is None or not of_client(cause) or _tells_absence(cause):
        return error
    return cause


def _tells_absence(cause: BaseException) -> bool:
    """Whether an error of a client is about the file itself. The hub answers 404 for all that it does not show."""
    if of_hub(cause):
        return any(kind.__name__ == "EntryNotFoundError" for kind in type(cause).__mro__)
    return status_of(cause) == _ABSENT


def of_hub(error: BaseException) -> bool:
    """Whether the library of the Hugging Face hub raised an error."""
    return type(error).__module__.partition(".")[0] == "huggingface_hub"


def of_client(error: BaseException) -> bool:
    """Whether one of the libraries that speak to networks raised an error, or time was up."""
    return isinstance(error, TimeoutError) or type(error).__module__.partition(".")[0] in _CLIENTS


def status_of(error: Any) -> int | None:
    """The HTTP status that an error of one of the client libraries carries."""
    holders = (error, getattr(error, "response", None))
    names = ("status", "status_code", "code")
    found = (getattr(holder, name, None) for holder in holders for name in names)
    return next((int(str(one)) for one in found if str(one).isdecimal()), None)


def retried(
    call: Callable[[], T],
    pauses: Sequence[float] | None = None,
    again: Callable[[Exception], bool] = transient,
    wait: Callable[[float], object] | None = None,
) -> T:
    """The result of a call that is made again after each of the pauses; the last error is raised as it is.

    Args:
        call: what is tried.
        pauses: seconds, each times a draw from 0.5 ... 1.5; default ``PAUSES``, which makes six tries.
        again: whether an error may pass.
        wait: waits so many seconds; default ``time.sleep``.

    Raises FileNotFoundError where a client library says with an error of its own that there is no such thing (404);
    of what, ``cause_of`` tells.
    """
    for pause in (*(PAUSES if pauses is None else pauses), None):
        try:
            return call()
        except Exception as error:
            if pause is None or not again(error):
                if not isinstance(error, FileNotFoundError) and status_of(error) == _ABSENT:
                    raise FileNotFoundError(reason(error)) from error
                raise
        (wait or time.sleep)(pause * random.uniform(0.5, 1.5))
    raise AssertionError("the last try ends in a result or an error")


def enduring(silences: int) -> Callable[[Exception], bool]:
    """Whether an error may pass, as ``transient`` says, but for the last of so many tries that brought nothing in time.

    For one call of ``retried``: it counts.
    """
    seen = 0

    def again(error: Exception) -> bool:
        nonlocal seen
        seen += isinstance(error, TimeoutError)
        return seen < silences and transient(error)

    return again


def within(seconds: float, system: Any, name: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of a file system; raises TimeoutError when it brings nothing in time."""
    if getattr(system, "async_impl", False):
        from fsspec.asyn import sync

        method = getattr(system, f"_{name}")
        return sync(system.loop, method, *arguments, timeout=seconds, **options)
    return limited(seconds, lambda: getattr(system, name)(*arguments, **options))


def limited(seconds: float, call: Callable[[], T]) -> T:
    """The result of a call; raises TimeoutError when there is none in time. What it does then is left to itself."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)  # one that hangs must not keep the program from ending
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found[0]


def reason(error: BaseException) -> str:
    """An error in one line, with its type; one of our own limits says nothing more than that it was reached.

    Clients name whole URLs; here they stand without what may be secret.
    """
    error = cause_of(error)
    text = without_secrets(" ".join(str(error).split()))
    if isinstance(error, TimeoutError) and not text:
        return "no answer in time"
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
