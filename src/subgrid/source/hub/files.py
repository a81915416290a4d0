"""Files of the hub by the names that ``hf://`` gives them: held to one commit, and read as the hub says they are.

A path is what fsspec makes of a URL: ``[datasets/|models/]OWNER/NAME[@REVISION][/FILE]``.
"""

import re
from dataclasses import replace
from typing import Any

from subgrid import __version__
from subgrid.source.hub import is_commit
from subgrid.source.hub.repository import RemoteFile
from subgrid.source.hub.transfer import hasher

_KINDS = {"git:": re.compile(r"[0-9a-f]{40}"), "sha256:": re.compile(r"[0-9a-f]{64}")}


class WrongBytesError(OSError):
    """What came is not what the hub lists; a bad copy on the way may be gone with the next try."""


def in_repository(url: str) -> bool:
    """Whether a URL is that of a repository of the hub, which has commits; its buckets have none."""
    return url.startswith("hf://") and not url.startswith("hf://buckets/")


def _parsed(path: str) -> Any:
    """Kind, name, revision and path in a repository, as the library itself tells them; raises ValueError."""
    from huggingface_hub import parse_hf_uri

    return parse_hf_uri(f"hf://{path.rstrip('/')}")


def named_commit(path: str) -> str:
    """The commit that a path itself names; empty where it names a branch or nothing. Raises ValueError, see there."""
    revision = _parsed(path).revision or ""
    return revision if is_commit(revision) else ""


def at_commit(path: str, commit: str = "") -> str:
    """The same path at a commit, whatever revision it names, and called as listings call it: models have no prefix.

    Without a commit it keeps its revision. Raises ValueError for what is no path of the hub.
    """
    place = _parsed(path)
    held = replace(place, revision=commit or place.revision).to_uri()
    return str(held).removeprefix("hf://").removeprefix("models/")


def newest_commit(system: Any, path: str) -> str:
    """The commit that a path's revision, or else ``main``, means now; raises an error of the library for none."""
    from huggingface_hub import HfApi

    place = _parsed(path)
    api = HfApi(endpoint=system.endpoint, token=system.token, library_name="subgrid", library_version=__version__)
    return str(api.repo_info(place.id, revision=place.revision, repo_type=place.type).sha or "")


def read_checked(system: Any, path: str) -> bytes:
    """The bytes of one file; raises WrongBytesError where they are not those of the digest that the hub gives.

    The digest comes with the answer, so nothing is listed. Where an answer has none, it is the listing's.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

    place = system.resolve_path(path)
    url = hf_hub_url(
        place.repo_id, place.path_in_repo, repo_type=place.repo_type, revision=place.revision, endpoint=system.endpoint
    )  # the file system's own would list the folder to tell whether this is one
    headers = build_hf_headers(token=system.token, library_name="subgrid", library_version=__version__)
    headers["Accept-Encoding"] = "identity"
    failed: Exception | None = None
    content = b""
    with http_stream_backoff("GET", url, headers=headers) as response:
        hf_raise_for_status(response)
        try:
            content = response.read()
        except Exception as error:  # the library would take it for one of its own and yield a second answer
            failed = error
    if failed is not None:
        raise failed
    _compare(path, content, _told(response) or listed_digest(system, path))
    return content


def _compare(path: str, content: bytes, digest: str) -> None:
    if not digest:
        return
    found = hasher(RemoteFile(path, len(content), digest))
    found.update(content)
    kind, _, expected = digest.partition(":")
    if found.hexdigest() != expected:
        raise WrongBytesError(
            f"its {len(content)} bytes are not those that the hub lists: expected {kind} {expected}, found "
            f"{found.hexdigest()}"
        )


def _told(response: Any) -> str:
    """The digest in the headers of an answer, as ``RemoteFile`` has it; empty where there is none.

    A large file's stands in the redirect; the tag of the store behind is its own affair. What git itself keeps, the
    hub serves under git's name of it.
    """
    chain = (*response.history, response)
    for one in chain:
        if digest := _as_digest(one.headers.get("X-Linked-Etag", "")):
            return digest
    same = response.url.host == chain[0].url.host and response.url.port == chain[0].url.port
    return _as_digest(response.headers.get("ETag", "")) if same else ""


def _as_digest(tag: str) -> str:
    plain = tag.removeprefix("W/").strip('"')
    return next((f"{kind}{plain}" for kind, form in _KINDS.items() if form.fullmatch(plain)), "")


def listed_digest(system: Any, path: str) -> str:
    """The digest of a file in the listing of its folder, as ``RemoteFile`` has it; empty where that has none."""
    entry = system.info(path)
    if entry.get("lfs"):
        return f"sha256:{entry['lfs'].sha256}"
    return f"git:{entry['blob_id']}" if entry.get("blob_id") else ""
