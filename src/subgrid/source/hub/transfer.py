"""One file from the hub: streamed, hashed as it comes, resumed where it was cut, renamed when it is what was listed.

What has come lies in ``NAME.partial``; it holds a beginning of the file and survives a kill. Nothing stands under a
file's own name whose size and digest are not those of the listing.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from subgrid.disk import sync, taken
from subgrid.errors import SubgridError
from subgrid.source.hub.pace import RETRIED, Pace, asked_wait
from subgrid.source.hub.repository import RemoteFile, Repository, no_access

PARTIAL = ".partial"
_BLOCK = 1 << 20
_LOCK_WAIT = 0.2  # s between two looks whether another process is done with a file
_WRONG = 2  # transfers of wrong content until a file is given up: a cache on the way may hold a bad copy


class AbsentError(Exception):
    """The hub lists a file that it does not have (404); a gap, not for users."""


class FailedError(Exception):
    """A file that could not be fetched now, and why; listed at the end, not for users."""


class Digest(Protocol):
    """What hashes a file's bytes in their order."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """The hash of all bytes so far."""


def hasher(file: RemoteFile) -> Digest:
    """A new hash of the kind of the file's digest: SHA-256, or SHA-1 of git's blob, ``blob SIZE NUL content``."""
    if file.digest.startswith("sha256:"):
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def is_whole(path: Path, file: RemoteFile, pace: Pace) -> bool:
    """Whether a file on disk has the size and the digest that were listed; reads all of it."""
    digest = hasher(file)
    with path.open("rb") as opened:
        _add(opened, digest, pace)
        return opened.tell() == file.size and digest.hexdigest() == file.digest.partition(":")[2]


def _add(opened: BinaryIO, digest: Digest, pace: Pace) -> None:
    while block := opened.read(_BLOCK):
        pace.check()
        digest.update(block)


@dataclass(frozen=True)
class Problem:
    """Why an attempt ended early, and the wait in s that the server asks for."""

    text: str
    asked: float | None = None


@dataclass(frozen=True)
class Request:
    """How the hub is asked for files of one commit, during one download.

    Attributes:
        repository, commit: whose files.
        headers: of every request; hold the user's token.
        pace: shared by all threads of the download.
    """

    repository: Repository
    commit: str
    headers: Mapping[str, str] = field(repr=False)
    pace: Pace

    @classmethod
    def of(cls, repository: Repository, commit: str) -> "Request":
        """The request of a new download; the token is looked for now."""
        return cls(repository, commit, repository.headers(), Pace(repository.patience))

    def open(self, name: str, offset: int = 0) -> Any:
        """A context manager of the streamed response for a file from byte ``offset`` on, redirects followed.

        The client is the library's own: proxies and certificates are as the user set them for huggingface_hub. It drops
        the token when a redirect leads to another host.
        """
        import httpx2
        from huggingface_hub import get_session

        headers = {**self.headers, "Range": f"bytes={offset}-"} if offset else dict(self.headers)
        timeout = httpx2.Timeout(self.pace.patience.silence, pool=None)
        url = self.repository.url(self.commit, name)
        return get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True)

    def refusal(self, response: Any, name: str) -> Problem:
        """What an answer other than 200 and 206 means: a problem to wait for, or an error raised.

        Raises:
            AbsentError: the file is not there.
            FailedError: asking again will not help, or only later than our patience lasts.
            SubgridError: no file of this repository will be given.
        """
        repository, status = self.repository, response.status_code
        code, behind = response.headers.get("X-Error-Code"), bool(response.history)
        if code in ("RepoNotFound", "RevisionNotFound", "GatedRepo") or (status in (401, 403) and not behind):
            raise no_access(repository.name, repository.host, status)
        if status in (404, 410) and (code == "EntryNotFound" or not behind):
            raise AbsentError(name)
        asked = asked_wait(response.headers) if status in RETRIED else None
        if asked is not None and asked > self.pace.patience.longest_asked:
            raise FailedError(f"status {status}, to be asked again in {asked:.0f} s")
        # behind a redirect 401, 403 and 404 are those of a content network: the hub's next redirect may lead elsewhere
        if status not in (*RETRIED, 401, 403, 404, 416):
            raise FailedError(f"status {status}")
        return Problem(f"status {status}", asked)


@dataclass
class Transfer:
    """One file on its way.

    Attributes:
        request: how to ask for it.
        file: what was listed.
        path: where it is to stand.
        count: called with (bytes that lie there more than before, bytes that came over the network).
    """

    request: Request
    file: RemoteFile
    path: Path
    count: Callable[[int, int], None]
    _partial: Any = None
    _digest: Digest = field(init=False)
    _waited: bool = False

    def run(self) -> None:
        """Fetch the file, or wait while another process does.

        Raises:
            AbsentError, FailedError: see there.
            SubgridError: nothing can be fetched: no access, or the disk refuses.
            DownloadStoppedError: the download is being stopped; the partial file stays.
        """
        pace = self.request.pace
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not self._fetched(pace):
                pace.rest(_LOCK_WAIT)
        except OSError as error:
            raise SubgridError(
                f"{self.path}: cannot be written ({error.strerror or error}); nothing is lost: mend that and run the "
                "same command again"
            ) from error

    def _fetched(self, pace: Pace) -> bool:
        """Fetch the file, unless another process is at it (False) or has done it in the meantime."""
        with open(f"{self.path}{PARTIAL}", "a+b", buffering=0) as self._partial:
            if not self._lock():
                return False
            try:
                if self._waited and self.path.is_file() and is_whole(self.path, self.file, pace):
                    self.count(self.file.size, 0)
                else:
                    self._fetch(pace)
            finally:
                if not os.fstat(self._partial.fileno()).st_size:
                    Path(f"{self.path}{PARTIAL}").unlink(missing_ok=True)
        return True

    def _fetch(self, pace: Pace) -> None:
        self._recall(pace)
        wrong = 0
        while not self._complete(pace):
            wrong += 1
            self._restart()
            if wrong == _WRONG:
                raise FailedError(f"its bytes are not those of {self.file.digest}, {wrong} times")
        self._settle()

    def _complete(self, pace: Pace) -> bool:
        """Bring the partial file to its full length; whether its digest is the listed one."""
        failed, furthest = 0, self._partial.tell()
        while self._partial.tell() < self.file.size:
            pace.before()
            problem = self._attempt(self._partial.tell(), pace)
            if problem is None:
                continue
            failed = 1 if self._partial.tell() > furthest else failed + 1
            furthest = max(furthest, self._partial.tell())
            if failed >= pace.patience.attempts:
                raise FailedError(f"{problem.text}, {failed} times in a row")
            pace.after(failed, problem.asked)
        return self._digest.hexdigest() == self.file.digest.partition(":")[2]

    def _attempt(self, offset: int, pace: Pace) -> Problem | None:
        """One request and what comes of it; None when the file has its full length."""
        import httpx2
        from huggingface_hub.errors import OfflineModeIsEnabled

        try:
            with self.request.open(self.file.name, offset) as response:
                if response.status_code not in (200, 206):
                    if response.status_code == 416:
                        self._restart()
                    return self.request.refusal(response, self.file.name)
                if offset and response.status_code == 200:  # the server does not resume: it sends all of it
                    self._restart()
                elif offset and not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                    self._restart()
                    return Problem(f"another range than asked for ({response.headers.get('Content-Range')})")
                for chunk in response.iter_bytes():
                    pace.check()
                    self._take(chunk)
        except OfflineModeIsEnabled as error:
            raise SubgridError(f"{self.file.name}: HF_HUB_OFFLINE forbids to fetch it; unset it") from error
        except httpx2.HTTPError as error:
            return Problem(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        return None if self._partial.tell() == self.file.size else Problem("the connection ended early")

    def _take(self, chunk: bytes) -> None:
        if self._partial.tell() + len(chunk) > self.file.size:
            raise FailedError(f"more bytes than the {self.file.size} that were listed")
        left = memoryview(chunk)
        while left:  # a bare file may take less than it was given
            left = left[self._partial.write(left) :]
        self._digest.update(chunk)
        self.count(len(chunk), len(chunk))

    def _recall(self, pace: Pace) -> None:
        """Hash what an earlier transfer left, from its beginning."""
        self._digest = hasher(self.file)
        if os.fstat(self._partial.fileno()).st_size > self.file.size:
            self._partial.truncate(0)  # of another commit
        self._partial.seek(0)
        _add(self._partial, self._digest, pace)
        self.count(self._partial.tell(), 0)

    def _restart(self) -> None:
        self.count(-self._partial.tell(), 0)
        self._partial.truncate(0)
        self._partial.seek(0)
        self._digest = hasher(self.file)

    def _lock(self) -> bool:
        """Keep the partial file to this process, where the file system can; False while another has it."""
        if not taken(self._partial):
            self._waited = True
            return False
        try:
            same = os.path.samestat(os.fstat(self._partial.fileno()), os.stat(f"{self.path}{PARTIAL}"))
        except FileNotFoundError:
            same = False
        self._waited |= not same  # between our open and our lock another process finished the file and renamed it
        return same

    def _settle(self) -> None:
        os.fsync(self._partial)
        os.replace(f"{self.path}{PARTIAL}", self.path)
        sync(self.path.parent)
