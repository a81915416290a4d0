"""Pointer files: a small local file that names the URL of a data set, for data whose place changes.

``subgrid pointer FILE URL`` writes it, whole or not at all. A pointer stands wherever a data set is given; it is read
again when a shard cannot be read, so a training run goes on from the new place.
"""

import json
from pathlib import Path

from subgrid.errors import DatasetError, SettingsError, SubgridError
from subgrid.records.files import write_json
from subgrid.records.manifest import MANIFEST, parse_manifest
from subgrid.records.transfer import Fixed, Patience, read_object
from subgrid.source.locations import shown
from subgrid.source.urls import refuse_secrets

FORMAT = "subgrid-pointer/1"
_LARGEST = 64_000  # bytes; anything larger is no pointer


def write_pointer(path: Path, url: str) -> str:
    """Let ``path`` name ``url`` from now on; a folder's path is written in full. Returns what was written.

    Raises:
        SettingsError: ``path`` holds something else than a pointer, or the URL a user, password or query: these may be
            secrets, and belong to fsspec's own configuration.
    """
    if path.is_dir() or (path.exists() and read_pointer(path) is None):
        raise SettingsError(f"{path}: exists and is no pointer; choose another FILE")
    if "://" not in url:
        url = str(Path(url).expanduser().resolve())
    refuse_secrets(url, "a pointer")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"format": FORMAT, "url": url})
    return url


def read_pointer(path: Path) -> str | None:
    """The URL that a pointer names; None when ``path`` is no pointer.

    Raises DatasetError for a damaged one.
    """
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    try:
        data = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    if not isinstance(data, dict) or not str(data.get("format")).startswith("subgrid-pointer/"):
        return None
    if data["format"] != FORMAT or not isinstance(data.get("url"), str) or not data["url"]:
        raise DatasetError(f"{path}: expected a pointer of format {FORMAT} with a url; write it anew")
    return data["url"]


class Pointed:
    """The URL that a pointer file names; it may change, the data set may not."""

    may_move = True

    def __init__(self, path: Path) -> None:
        self.path, self.digest = path, ""
        self.url = self._read()

    def _read(self) -> str:
        url = read_pointer(self.path)
        if url is None:
            raise DatasetError(f"{self.path}: expected a pointer, found something else; subgrid pointer writes one")
        return url

    def moved(self) -> bool:
        """Read the pointer again; raises DatasetError when it names another data set now."""
        try:
            url = self._read()
        except OSError:
            return False
        if url == self.url:
            return False
        if self.digest:
            try:
                content = read_object(MANIFEST, Fixed(url), Patience(tries=1))
            except (SubgridError, OSError):
                return False  # not there yet: the old place is tried again, then this one
            found = parse_manifest(content, f"{shown(url)}/{MANIFEST}").digest
            if found != self.digest:
                raise DatasetError(
                    f"{self.path}: points to {shown(url)} now, a data set with digest {found}; expected "
                    f"{self.digest}; let the pointer name a copy of the same data set"
                )
        self.url = url
        return True
