"""Files of the hub by the names that ``hf://`` gives them: held to one commit, and read as the hub says they are.

A path is what fsspec makes of a URL: ``datasets/OWNER/NAME[@REVISION][/FILE]``.
"""

import re
from typing import Any

from subgrid import __version__
from subgrid.source.hub.repository import RemoteFile
from subgrid.source.hub.transfer import hasher

_PATH = re.compile(r"((?:datasets/|spaces/)?[^/@]+/[^/@]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(/.*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_KINDS = {"git:": re.compile(r"[0-9a-f]{40}"), "sha256:": re.compile(r"[0-9a-f]{64}")}


SILENCE = 30.0
"""Seconds without a byte after which a request of the hub's library is given up."""


class WrongBytesError(OSError):
    """What came is not what the hub lists; a bad copy on the way may be gone with the next try."""


def limit_silence() -> None:
    """Give the library's requests that have no limit, those of listings, one of ours.

    It lists in threads of its own, and a program that ends waits for them: a limit around the call would not do.
    """
    from huggingface_hub import get_session

    client = get_session()
    hooks = client.event_hooks
    if _limit not in hooks["request"]:
        client.event_hooks = {**hooks, "request": [*hooks["request"], _limit]}


def _limit(request: Any) -> None:
    limits = request.extensions.get("timeout") or {}
    if all(limit is None for limit in limits.values()):
        request.extensions = {**request.extensions, "timeout": dict.fromkeys(("connect", "read", "write"), SILENCE)}


def in_repository(url: str) -> bool:
    """Whether a URL is that of a repository of the hub, which has commits; its buckets have none."""
    return url.startswith("hf://") and not url.startswith("hf://buckets/")


def named_commit(path: str) -> str:
    """The commit that a path itself names; empty where it names a branch or nothing."""
    found = _PATH.fullmatch(path)
    revision = found[2] or "" if found else ""
    return revision if _COMMIT.fullmatch(revision) else ""


def at_commit(path: str, commit: str) -> str:
    """The same path at a commit, whatever revision it names."""
    found = _PATH.fullmatch(path)
    return f"{found[1]}@{commit}{found[3] or ''}" if found else path


def newest_commit(system: Any, path: str) -> str:
    """The commit that a path's revision, or else ``main``, means now; raises FileNotFoundError for no repository."""
    from huggingface_hub import HfApi

    place = system.resolve_path(path)
    api = HfApi(endpoint=system.endpoint, token=system.token, library_name="subgrid", library_version=__version__)
    info = api.repo_info(place.repo_id, revision=place.revision, repo_type=place.repo_type, timeout=SILENCE)
    return str(info.sha or "")


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
    with http_stream_backoff("GET", url, headers=headers, timeout=SILENCE) as response:
        hf_raise_for_status(response)
        try:
            content = response.read()
        except Exception as error:  # the library would take it for one of its own and yield a second answer
            failed = error
    if failed is not None:
        raise failed
    _compare(path, content, _told(response) or _listed(system, path))
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


def _listed(system: Any, path: str) -> str:
    entry = system.info(path)
    if entry.get("lfs"):
        return f"sha256:{entry['lfs'].sha256}"
    return f"git:{entry['blob_id']}" if entry.get("blob_id") else ""
