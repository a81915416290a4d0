"""A limit of silence for whatever the hub's library asks: listings, commits, looks at a repository.

Left alone it waits for a silent hub for ever, partly in threads of its own, which the end of a program waits for: a
limit around the call would not do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

SILENCE = 30.0
"""Seconds without a byte after which a request that reads is given up."""

COMMIT = 120.0
"""The same for one that writes: a commit of many files takes the hub up to a minute before it says a word."""

_LOCK = Lock()


@dataclass(frozen=True)
class _Limited:
    """Makes clients as ``make`` does, each with the limit."""

    make: Callable[[], Any]

    def __call__(self) -> Any:
        client = self.make()
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "request": [*hooks["request"], _limit]}
        return client


def limit_silence() -> None:
    """Give requests of the library that have no limit one of ours; to be called before the library is asked.

    It takes another client after a failed connection and in a forked process, so what makes its clients is wrapped,
    once; a factory that the user has set stays in use.
    """
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    with _LOCK:
        # It can be set through a function, but not asked for; a later version may keep it elsewhere.
        present = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
        if not isinstance(present, _Limited):
            set_client_factory(_Limited(present))


def _limit(request: Any) -> None:
    limits = request.extensions.get("timeout") or {}
    if all(limit is None for limit in limits.values()):
        seconds = SILENCE if request.method in ("GET", "HEAD") else COMMIT
        request.extensions = {**request.extensions, "timeout": dict.fromkeys(("connect", "read", "write"), seconds)}
