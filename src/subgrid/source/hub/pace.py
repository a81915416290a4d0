"""How long to wait when a server is busy, says no or goes silent, and how to wait so that Ctrl-C is heard at once."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from threading import Event, Lock

from subgrid.source.hub.session import SILENCE

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
"""Status codes after which the same request may succeed: RFC 9110 and RFC 6585, and those of content networks."""


class DownloadStoppedError(Exception):
    """The whole download is being stopped; not for users."""


@dataclass(frozen=True)
class Patience:
    """How stubborn a transfer is.

    Attributes:
        attempts: requests in a row without a new byte, until a file is given up.
        first: s, the wait after the first of them; it doubles with each.
        longest: s, what it grows to.
        longest_asked: s, the longest wait that a server may ask for; beyond it the file is given up.
        silence: s without a byte, or without a connection, that count as a cut connection.
    """

    attempts: int = 8
    first: float = 1.0
    longest: float = 60.0
    longest_asked: float = 900.0
    silence: float = SILENCE

    def wait(self, attempt: int, asked: float | None = None, draw: Callable[[], float] = random.random) -> float:
        """s to wait after failed attempt number ``attempt``, from 1: min(longest, first x 2^(attempt-1)) x U(0.5, 1).

        Where the server asked for a wait it is that and up to ``first`` more, so that not all come back at once.
        """
        if asked is not None:
            return asked + self.first * draw()
        return min(self.longest, self.first * 2.0 ** (attempt - 1)) * (0.5 + 0.5 * draw())


def asked_wait(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """s that a response asks to wait: Retry-After in seconds or as a date, else an exhausted ``RateLimit``; or None.

    ``headers`` are looked up as given: those of an HTTP response ignore case.
    """
    from huggingface_hub.utils import parse_ratelimit_headers

    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    if text:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - now())
        except ValueError:
            pass  # neither of the two forms of RFC 9110: as if it were not there
    limit = parse_ratelimit_headers(headers)
    return float(limit.reset_in_seconds) if limit is not None and limit.remaining == 0 else None


@dataclass
class Pace:
    """What the threads of one download share: a stop for all, and a time before which none asks again.

    Attributes:
        patience: the settings.
        stop: once set, every wait ends with DownloadStoppedError.
    """

    patience: Patience = Patience()
    stop: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)
    _until: float = 0.0

    def after(self, attempt: int, asked: float | None = None) -> None:
        """Wait after a failed attempt; what a server asked for holds all threads, its limits are those of a client."""
        seconds = self.patience.wait(attempt, asked)
        if asked is not None:
            with self._lock:
                self._until = max(self._until, time.monotonic() + asked)
        self.rest(seconds)

    def before(self) -> None:
        """To be called before a request: waits while all are held."""
        while (left := self._until - time.monotonic()) > 0:
            self.rest(left)
        self.check()

    def check(self) -> None:
        """Raise DownloadStoppedError once the download is being stopped."""
        if self.stop.is_set():
            raise DownloadStoppedError

    def rest(self, seconds: float) -> None:
        """Wait; raise DownloadStoppedError once the download is being stopped."""
        if self.stop.wait(seconds):
            raise DownloadStoppedError
