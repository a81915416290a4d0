"""Patience with networks: a call that fails for a reason that may pass is made again, after growing pauses."""

import errno
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try, times a draw from 0.5 ... 1.5 so that many clients do not come back at once."""

_CLIENTS = {"aiohttp", "aiobotocore", "botocore", "gcsfs", "google", "httpx", "huggingface_hub", "requests", "urllib3"}
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_PASSING = {408, 425, 429}
"""Answers of the 4xx kind that ask for patience: time-out, too early, too many requests."""


def transient(error: BaseException) -> bool:
    """Whether an error of a file system may pass: time-out, cut connection, 429, 5xx; not 403, 404, full disk."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and cause is not None and _of_client(cause):
        error = cause  # fsspec's http calls whatever it meets when it asks for a size "not found"
    if isinstance(error, _FINAL) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        return False
    if (status := _status(error)) is not None and 400 <= status < 500:
        return status in _PASSING
    return isinstance(error, (OSError, EOFError)) or _of_client(error)


def _of_client(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or type(error).__module__.partition(".")[0] in _CLIENTS


def _status(error: Any) -> int | None:
    """The HTTP status that an error of one of the client libraries carries."""
    holders = (error, getattr(error, "response", None))
    names = ("status", "status_code", "code")
    found = (getattr(holder, name, None) for holder in holders for name in names)
    return next((int(str(one)) for one in found if str(one).isdecimal()), None)


def retried(call: Callable[[], T]) -> T:
    """The result of a call, made up to six times; the last error is raised as it is."""
    for pause in PAUSES:
        try:
            return call()
        except Exception as error:
            if not transient(error):
                raise
        time.sleep(pause * random.uniform(0.5, 1.5))
    return call()


def reason(error: BaseException) -> str:
    """An error in one line, with its type where it says nothing."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
