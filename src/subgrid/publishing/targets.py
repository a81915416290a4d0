"""Where published files go: a folder (as links), any fsspec URL (whole objects), a Hugging Face repository (commits).

Each target says whether it has a file already, by size and checksum, so that a publication that was stopped goes on.
"""

import base64
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import md5, sha1, sha256
from pathlib import Path
from typing import Any, Protocol

import google_crc32c

from subgrid.errors import DatasetError, MissingExtraError, SettingsError, SubgridError
from subgrid.publishing.contents import Content, crc32c_of, hashed, size_of
from subgrid.records.files import write_whole
from subgrid.records.transfer import Fixed, Patience, TransferError, fetch, persist
from subgrid.source.hub.session import limit_silence
from subgrid.source.locations import is_remote, shown
from subgrid.source.retries import cause_of, of_client, reason, retried, status_of, within
from subgrid.source.urls import local_path

_SLOWEST = 50_000  # bytes a second; slower counts as stalled
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_KINDS = {"datasets": "dataset", "models": "model"}
_NO_TARGETS = ("buckets", "spaces", "kernels")  # no repositories of files, or of programs
_FILES, _BYTES = 100, 5 * 10**9  # of one commit


class Target(Protocol):
    """A place that takes files."""

    label: str
    copied: int
    """Files that had to be copied where links were wanted."""

    def has(self, name: str, content: Content) -> bool:
        """Whether this very file is there."""

    def put(self, files: Sequence[tuple[str, Content]]) -> None:
        """Send files, in order."""


def open_target(url: str, patience: Patience | None = None, packed: bool = False) -> Target:
    """The target that TARGET means; raises SettingsError for a Hugging Face URL that names no repository.

    Args:
        url: or a path.
        patience: with a store.
        packed: a folder will be packed by another program, so it gets no symbolic links.
    """
    if url.startswith("hf://"):
        return HubTarget(url, patience or Patience())
    return ObjectTarget(url, patience or Patience()) if is_remote(url) else FolderTarget(local_path(url), packed)


class FolderTarget:
    """A folder of links to the files: hard ones, else symbolic ones, or copies where it is to be ``packed``.

    ``shutil.make_archive``, which the ``kaggle`` client packs folders with, keeps symbolic links as they are: what it
    sends would lead nowhere.
    """

    def __init__(self, folder: Path, packed: bool = False) -> None:
        self.folder, self.label, self.packed, self.copied = folder, str(folder), packed, 0

    def has(self, name: str, content: Content) -> bool:
        """See ``Target``."""
        path = self.folder / name
        if not path.is_file():
            return False
        if isinstance(content, bytes):
            return path.read_bytes() == content
        if self.packed and (path.is_symlink() or not path.samefile(content)):
            return not path.is_symlink() and size_of(path) == size_of(content) and crc32c_of(path) == crc32c_of(content)
        return path.samefile(content)

    def put(self, files: Sequence[tuple[str, Content]]) -> None:
        """Link or copy files; raises SubgridError when the folder cannot take them."""
        for name, content in files:
            path = self.folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SubgridError(f"{path.parent}: cannot be made ({error.strerror})") from error
            write_whole(path, partial(self._bring, content))

    def _bring(self, content: Content, path: Path) -> None:
        if isinstance(content, bytes):
            path.write_bytes(content)
            return
        try:
            os.link(content.resolve(), path)  # resolved: what is a link itself shall not become one more
        except OSError:  # another file system, or one without hard links
            if self.packed:
                shutil.copyfile(content, path)
                self.copied += 1
            else:
                path.symlink_to(content.resolve())


class _Checksum:
    """Takes bytes and keeps their CRC32C."""

    def __init__(self) -> None:
        self.found = google_crc32c.Checksum()

    def write(self, data: bytes) -> None:
        """Take some."""
        self.found.update(data)


class ObjectTarget:
    """An object store: objects appear whole."""

    copied = 0

    def __init__(self, url: str, patience: Patience) -> None:
        self.origin, self.patience, self.label = Fixed(url), patience, shown(url)

    def has(self, name: str, content: Content) -> bool:
        """By the store's checksum where it gives one (MD5 of S3 and Google), else by reading the object back."""
        info = self._info(name)
        if info is None or info.get("size") != size_of(content):
            return False
        found = _matches(info, content)
        if found is not None:
            return found
        sink = _Checksum()
        fetch(name, size_of(content), sink, self.origin, self.patience)
        return int.from_bytes(sink.found.digest(), "big") == crc32c_of(content)

    def put(self, files: Sequence[tuple[str, Content]]) -> None:
        """Send each and look at what came of it; raises TransferError when it cannot be sent or arrives otherwise."""
        for name, content in files:
            size = size_of(content)
            seconds = max(self.patience.stall, size / _SLOWEST)

            def send(system: Any, path: str, url: str, content: Content = content, seconds: float = seconds) -> None:
                if isinstance(content, bytes):
                    within(seconds, system, "pipe_file", path, content)
                else:
                    within(seconds, system, "put_file", str(content), path)

            persist(send, name, self.origin, self.patience)
            info = self._info(name)
            if info is None or info.get("size") != size or _matches(info, content) is False:
                raise TransferError(f"{self.label}/{name}: arrived otherwise than it was sent; publish again")

    def _info(self, name: str) -> dict[str, Any] | None:
        def ask(system: Any, path: str, url: str) -> dict[str, Any]:
            system.invalidate_cache()
            return dict(within(self.patience.stall, system, "info", path))

        try:
            return persist(ask, name, self.origin, self.patience)
        except FileNotFoundError:
            return None


def _matches(info: dict[str, Any], content: Content) -> bool | None:
    """Whether the store's own checksum is that of the content; None where it gives none that is plain."""
    tag = str(info.get("ETag") or "").strip('"')
    if len(tag) == 32 and "-" not in tag:
        return bool(tag == hashed(content, md5(usedforsecurity=False)).hexdigest())
    if info.get("crc32c"):
        return base64.b64decode(info["crc32c"]) == crc32c_of(content).to_bytes(4, "big")
    if info.get("md5Hash"):
        return bool(base64.b64decode(info["md5Hash"]) == hashed(content, md5(usedforsecurity=False)).digest())
    return None


class HubTarget:
    """A repository of the Hugging Face hub: ``hf://datasets/OWNER/NAME[/folder]`` or ``hf://[models/]OWNER/NAME[/folder]``.

    The token is found by ``huggingface_hub`` in its usual places. Files go in commits of a hundred; the file that makes
    the others whole is in the last one.
    """

    copied = 0

    def __init__(self, url: str, patience: Patience) -> None:
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise MissingExtraError(f"{shown(url)}: needs an optional library; pip install 'subgrid[hub]'") from error
        limit_silence()
        parts = url.removeprefix("hf://").strip("/").split("/")
        self.kind = _KINDS.get(parts[0], "model")
        parts = parts[1:] if parts[0] in _KINDS else parts
        if len(parts) < 2 or not all(parts) or not all(map(_NAME.fullmatch, parts[:2])) or parts[0] in _NO_TARGETS:
            raise SettingsError(
                f"{shown(url)}: expected hf://datasets/OWNER/NAME, or hf://OWNER/NAME for a run, OWNER and NAME of "
                f"letters, digits, hyphens, underlines and points, and no {' or '.join(_NO_TARGETS)}"
            )
        if "?" in url:
            raise SettingsError(
                f"{shown(url)}: a folder of a repository has no question mark in its name, found one; tokens are found "
                "where `hf auth login` leaves them, and in HF_TOKEN"
            )
        self.label, self.repository, self.folder = shown(url).rstrip("/"), "/".join(parts[:2]), "/".join(parts[2:])
        self._api, self._patience = HfApi(), patience
        self._known: dict[str, Any] | None = None

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name

    def _there(self) -> dict[str, Any]:
        """Files of the repository by path, asked once."""
        if self._known is None:
            found = self._asked(
                lambda: list(self._api.list_repo_tree(self.repository, repo_type=self.kind, recursive=True))
            )
            self._known = {item.path: item for item in found if hasattr(item, "blob_id")}
        return self._known

    def has(self, name: str, content: Content) -> bool:
        """By size and the hub's SHA-256, or git's SHA-1 of a small file."""
        item = self._there().get(self._path(name))
        if item is None or item.size != size_of(content):
            return False
        if item.lfs is not None:
            return bool(item.lfs.sha256 == hashed(content, sha256()).hexdigest())
        start = sha1(f"blob {item.size}\0".encode(), usedforsecurity=False)
        return bool(item.blob_id == hashed(content, start).hexdigest())

    def put(self, files: Sequence[tuple[str, Content]]) -> None:
        """Commit files; raises SubgridError when the hub refuses."""
        from huggingface_hub import CommitOperationAdd

        for some in _commits(files):
            operations = [
                CommitOperationAdd(self._path(name), content if isinstance(content, bytes) else str(content))
                for name, content in some
            ]
            told = f"Publish {some[0][0]}" + (f" and {len(some) - 1} more files" if len(some) > 1 else "")
            commit = partial(
                self._api.create_commit, self.repository, operations, commit_message=told, repo_type=self.kind
            )
            pauses = [self._patience.pause * 2**number for number in range(self._patience.tries - 1)]
            self._asked(partial(retried, commit, pauses))  # listings are asked for again by the client itself

    def _asked(self, call: Any) -> Any:
        """What a call brings; whatever goes wrong becomes an error of ours."""
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

        try:
            return call()
        except HFValidationError:
            # Its own message holds the whole name, and whatever stands in it by mistake.
            raise SettingsError(f"{self.label}: the hub allows no such name of a repository") from None
        except Exception as raised:
            error = cause_of(raised)
            if isinstance(error, RepositoryNotFoundError):
                raise DatasetError(
                    f"{self.label}: there is no such repository, or the token may not see it; make it on the site or "
                    "with `hf repo create`, and log in with `hf auth login`"
                ) from error
            if (status := status_of(error)) is not None:
                told = f"the hub refused (status {status})"
            elif of_client(error) or isinstance(error, (OSError, RuntimeError)):  # RuntimeError: what hf_xet raises
                told = f"the hub does not answer ({reason(error)})"
            else:
                raise
            raise TransferError(f"{self.label}: {told}; publish again to go on") from error


def _commits(files: Sequence[tuple[str, Content]]) -> Iterator[list[tuple[str, Content]]]:
    """Files in order, in groups of bounded number and size."""
    group: list[tuple[str, Content]] = []
    total = 0
    for name, content in files:
        if group and (len(group) == _FILES or total + size_of(content) > _BYTES):
            yield group
            group, total = [], 0
        group.append((name, content))
        total += size_of(content)
    if group:
        yield group
