"""Reading objects of a store that may be slow, busy, broken or gone: in pieces, with patience that ends.

A piece that fails is asked for again after a pause that doubles; one that brings nothing in time counts as failed and
is asked for again in smaller pieces. What cannot pass by waiting (no such object, no permission) is not repeated.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from subgrid.errors import SubgridError
from subgrid.source.locations import file_system, forget_refusal, shown
from subgrid.source.retries import cause_of, of_hub, reason, retried, status_of, transient, within

T = TypeVar("T")

PIECE = 8 << 20
"""Bytes asked for at once."""
_SMALLEST_PIECE = 64 << 10


class TransferError(SubgridError):
    """An object could not be read; the message says which, where and why."""


class StoppedError(SubgridError):
    """A transfer that nobody waits for any more."""


@dataclass(frozen=True)
class Patience:
    """How long a store is waited for.

    Attributes:
        stall: seconds without an answer after which a request has failed.
        tries: requests for one piece.
        pause: seconds before the second try, about; each further pause is twice as long.
        stop: set by who gives up waiting.
    """

    stall: float = 60.0
    tries: int = 6
    pause: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)


class Origin(Protocol):
    """Where objects come from."""

    @property
    def url(self) -> str:
        """The URL at this moment."""

    def moved(self) -> bool:
        """Look whether the URL has changed; what follows comes from there then."""

    @property
    def may_move(self) -> bool:
        """Whether waiting can bring another URL."""


class Sink(Protocol):
    """What takes the bytes of an object, in order."""

    def write(self, data: Any, /) -> Any:
        """Take some bytes."""


@dataclass(frozen=True)
class Fixed:
    """A URL that stays."""

    url: str
    may_move: bool = False

    def moved(self) -> bool:
        """Never."""
        return False


def persist(call: Callable[[Any, str, str], T], name: str, origin: Origin, patience: Patience) -> T:
    """Call with (file system, path of the object, its URL) until it succeeds.

    Raises:
        FileNotFoundError: there is no such object, and the origin stays where it is.
        TransferError: every try failed; the URL and the last failure are named.
        StoppedError: nobody waits any more.
    """
    moved = False

    def attempt() -> T:
        if patience.stop.is_set():
            raise StoppedError(f"{name}: no longer wanted")
        return _ask(call, name, origin)

    def again(error: Exception) -> bool:
        nonlocal moved
        if isinstance(error, SubgridError):
            return False
        moved = origin.moved()
        return moved or origin.may_move or transient(error)

    def wait(seconds: float) -> None:
        if not moved:
            patience.stop.wait(seconds)

    try:
        return retried(attempt, [patience.pause * 2**number for number in range(patience.tries - 1)], again, wait)
    except SubgridError:
        raise
    except Exception as raised:
        error, url = cause_of(raised), f"{origin.url.rstrip('/')}/{name}"
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(shown(url)) from None
        raise TransferError(_told(error, url, patience)) from error


def _ask(call: Callable[[Any, str, str], T], name: str, origin: Origin) -> T:
    system, path = file_system(origin.url)
    try:
        return call(system, f"{path.rstrip('/')}/{name}", f"{origin.url.rstrip('/')}/{name}")
    except Exception as error:
        forget_refusal(system, error)
        raise


def _told(error: BaseException, url: str, patience: Patience) -> str:
    where, status = shown(url), status_of(error)
    if isinstance(error, TimeoutError):
        why = f"no answer within {patience.stall:g} s"
    elif of_hub(error):  # which 404 it is: of the repository, the commit
        why = reason(error)
    elif status is not None:
        why = f"status {status}"
    else:
        why = f"{type(error).__name__} {error}".replace(url, where).strip().splitlines()[0][:200]
    tries = f", tried {patience.tries} times" if transient(error) else ""
    return f"{where}: cannot be read ({why}){tries}; see to it that it can, and run the same command again"


def size_of(name: str, origin: Origin, patience: Patience, expected: int | None = None) -> int | None:
    """Bytes of an object, None where the store does not say; raises as ``persist``.

    Where a listing that the file system remembers says what is ``expected``, nothing is asked: a hub limits requests,
    and a folder of thousands of shards takes several to be listed anew.
    """

    def ask(system: Any, path: str, url: str) -> int | None:
        remembered = getattr(system, "dircache", None) or {}
        for entry in remembered.get(path.rpartition("/")[0], ()) if expected is not None else ():
            # A file system that was listed by names alone remembers no more than these.
            if isinstance(entry, dict) and entry["name"] == path and entry["size"] == expected:
                return expected
        system.invalidate_cache()
        size = within(patience.stall, system, "info", path)["size"]
        return None if size is None else int(size)

    return persist(ask, name, origin, patience)


def fetch(name: str, size: int, sink: Sink, origin: Origin, patience: Patience) -> None:
    """Write the ``size`` bytes of an object into ``sink``, piece by piece; raises as ``persist``.

    A store that gives more than was asked for is taken to ignore ranges: the piece is cut out of the whole.
    """
    place, piece = 0, PIECE

    def read(system: Any, path: str, url: str) -> bytes:
        nonlocal piece
        end = min(place + piece, size)
        try:
            options = {"cache_type": "none"} if "hf" in system.protocol else {}  # else it reads 5 MB ahead, for nothing
            data = within(patience.stall, system, "cat_file", path, start=place, end=end, **options)
        except TimeoutError:
            piece = max(piece // 4, _SMALLEST_PIECE)
            raise
        if len(data) > end - place and len(data) == size:
            return data[place:end]
        if len(data) != end - place:
            raise OSError(f"bytes {place} to {end} were asked for, {len(data)} came")
        return data

    while place < size:
        data = persist(read, name, origin, patience)
        sink.write(data)
        place += len(data)


def read_object(name: str, origin: Origin, patience: Patience) -> bytes:
    """The bytes of a small object; raises as ``persist``."""
    return persist(lambda system, path, url: within(patience.stall, system, "cat_file", path), name, origin, patience)
