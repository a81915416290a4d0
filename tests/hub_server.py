"""A Hugging Face hub on loopback: what its API says to the real client, and what goes wrong on real networks.

Two servers, so that redirects lead to another host as on the real hub: the *hub* answers the API (commit, listing in
pages) and redirects ``resolve`` addresses of large files to the *store*, which serves bytes with ranges.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SIGNATURE = "X-Signature=signed-by-the-hub"


@dataclass
class Fault:
    """What goes wrong with requests whose path matches.

    Attributes:
        path: regular expression, searched in the path of a request.
        times: how many requests it hits.
        status, headers: answer with this and nothing else.
        cut: close the connection after this many bytes of the body.
        wrong: serve other bytes of the same length.
        flip: serve one wrong bit, in the last number of the content.
        plain: ignore the range that is asked for.
        pause: s to wait before each 16 kB of the body.
        at: "hub" or "store".
    """

    path: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    wrong: bool = False
    flip: bool = False
    plain: bool = False
    pause: float = 0.0
    at: str = "store"


@dataclass(frozen=True)
class Asked:
    """A request that came: at which server, method, path with query, headers in lower case; and when, in s."""

    at: str
    method: str
    path: str
    headers: dict[str, str]
    time: float


@dataclass
class HubServer:
    """The hub. Set its attributes before requests come.

    Attributes:
        files: content by path in the repository.
        repository: the one that exists.
        commit: the newest one, which holds ``files``.
        older: content by path of earlier commits, by commit.
        token: where set, whoever does not send it gets 401.
        page: entries of a page of the listing.
        small: names kept in git itself, not in large-file storage.
        lost: names that are listed and cannot be had (404).
        faults: what goes wrong.
        asked: all requests, in their order.
        sent: bytes of content sent, by name.
    """

    files: dict[str, bytes]
    repository: str = "LEAP/ClimSim_low-res"
    commit: str = COMMIT
    older: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str | None = None
    page: int = 1000
    small: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    url: str = ""
    store: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, at: str, path: str) -> Fault:
        """The fault that hits this request; a harmless one where there is none."""
        with self.lock:
            for fault in self.faults:
                if fault.at == at and fault.times > 0 and re.search(fault.path, unquote(path)):
                    fault.times -= 1
                    return fault
        return Fault("")

    def requests(self, at: str, path: str) -> list[Asked]:
        """Requests to one of the servers whose path matches."""
        return [one for one in self.asked if one.at == at and re.search(path, unquote(one.path))]


@cache
def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest()


def parents(name: str) -> list[str]:
    """Folders that a file lies in: ``train`` and ``train/0001-02``."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def twelve_steps(source: Path) -> dict[str, bytes]:
    """Files of a repository: the contents of a folder of raw steps under the first names of the calendar, with gaps."""
    grid = next(source.glob("*_grid-info.nc"))
    files = {"README.md": b"# ClimSim\n", "ClimSim_low-res_grid-info.nc": grid.read_bytes()}
    for number, mlo in enumerate(sorted(source.rglob("*.mlo.*.nc"))[:12], 1):
        for kind, path, absent in (("mli", str(mlo).replace(".mlo.", ".mli."), (5, 7)), ("mlo", str(mlo), (3, 7))):
            if number not in absent:
                name = f"train/0001-02/E3SM-MMF.{kind}.0001-02-01-{(number - 1) * 1200:05d}.nc"
                files[name] = Path(path).read_bytes()
    return files


class Handler(BaseHTTPRequestHandler):
    """Either of the two servers."""

    protocol_version = "HTTP/1.1"
    hub: HubServer
    at: str
    revision: str
    files: dict[str, bytes]

    def log_message(self, *_: object) -> None:
        """Be silent."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.hub.lock:
            self.hub.asked.append(Asked(self.at, self.command, self.path, headers, time.monotonic()))
        fault = self.hub.fault(self.at, self.path)
        if fault.status is not None:
            self.answer(fault.status, b"", fault.headers)
        elif fault.pause and self.path.startswith("/api/"):
            time.sleep(fault.pause)
            self.close_connection = True
        elif self.at == "store":
            url = urlsplit(self.path)
            self.at_revision(parse_qs(url.query).get("at", ["main"])[0])
            self.bytes_of(unquote(url.path[1:]), fault)
        elif self.hub.token and headers.get("authorization") != f"Bearer {self.hub.token}":
            self.answer(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        else:
            self.api(urlsplit(self.path), fault)

    def api(self, url: Any, fault: Fault) -> None:
        """Commit, listing, and where a file is."""
        path, query, name = unquote(url.path), parse_qs(url.query), re.escape(self.hub.repository)
        if found := re.fullmatch(f"/api/datasets/{name}(?:/revision/([^/]+))?", path):
            if self.at_revision(found[1] or "main"):
                self.json({"id": self.hub.repository, "sha": self.revision})
        elif found := re.fullmatch(f"/api/datasets/{name}/tree/([^/]+)/?(.*)", path):
            self.tree(*found.groups(), query)
        elif found := re.fullmatch(f"/api/datasets/{name}/paths-info/([^/]+)", path):
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]
            if self.at_revision(found[1]):
                self.json([entry for one in asked if (entry := self.anything(one.strip("/")))])
        elif found := re.fullmatch(f"/datasets/{name}/resolve/([^/]+)/(.*)", path):
            self.resolve(*found.groups(), fault)
        else:
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def at_revision(self, revision: str) -> bool:
        """Look at the files of a commit; where there is none, say so and return False."""
        self.revision = self.hub.commit if revision == "main" else revision
        known = {**self.hub.older, self.hub.commit: self.hub.files}
        self.files = known.get(self.revision, {})
        if self.revision not in known:
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        return self.revision in known

    def tree(self, revision: str, folder: str, query: dict[str, list[str]]) -> None:
        if not self.at_revision(revision):
            return None
        start = f"{folder}/" if folder else ""
        inside = sorted(name for name in self.files if name.startswith(start))
        if not inside:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        deep = query.get("recursive", ["False"])[0].lower() == "true"
        folders = {part for name in inside for part in parents(name) if part.startswith(start)}
        entries = [self.anything(name) for name in sorted(folders) if deep or "/" not in name[len(start) :]]
        entries += [self.entry(name) for name in inside if deep or "/" not in name[len(start) :]]
        first = int(query.get("cursor", ["0"])[0])
        headers = {}
        if first + self.hub.page < len(entries):
            here = f"{self.hub.url}{urlsplit(self.path).path}?recursive={deep}&cursor={first + self.hub.page}"
            headers["Link"] = f'<{here}>; rel="next"'
        self.json(entries[first : first + self.hub.page], headers)

    def anything(self, name: str) -> dict[str, Any] | None:
        """A file or a folder as listings have it; None where there is neither."""
        if name in self.files:
            return self.entry(name)
        if not any(file.startswith(f"{name}/") for file in self.files):
            return None
        return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}

    def entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        entry: dict[str, Any] = {"type": "file", "oid": git_sha1(content), "size": len(content), "path": name}
        if name not in self.hub.small:
            entry |= {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 132}, "xetHash": "ab" * 32}
        return entry

    def resolve(self, revision: str, name: str, fault: Fault) -> None:
        if not self.at_revision(revision):
            return None
        if name not in self.files or name in self.hub.lost:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        content = self.files[name]
        headers = {"X-Repo-Commit": self.revision, "Accept-Ranges": "bytes"}
        if name in self.hub.small:
            return self.bytes_of(name, fault, headers | {"ETag": f'"{git_sha1(content)}"'})
        headers |= {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        older = f"&at={self.revision}" if self.revision in self.hub.older else ""
        self.answer(302, b"", headers | {"Location": f"{self.hub.store}/{quote(name)}?{SIGNATURE}{older}"})

    def bytes_of(self, name: str, fault: Fault, headers: dict[str, str] | None = None) -> None:
        """Content, or the range of it that is asked for."""
        content = self.files[name]
        first, last, headers = 0, len(content) - 1, dict(headers or {"ETag": f'"{sha256(content)}"'})
        if (asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))) and not fault.plain:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
            if first >= len(content):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        body = bytes(byte ^ 1 for byte in content) if fault.wrong else content
        body = body[:-6] + bytes([body[-6] ^ 1]) + body[-5:] if fault.flip else body
        self.answer(206 if "Content-Range" in headers else 200, body[first : last + 1], headers, fault, name)

    def json(self, data: Any, headers: dict[str, str] | None = None) -> None:
        self.answer(200, json.dumps(data).encode(), {"Content-Type": "application/json", **(headers or {})})

    def answer(
        self, status: int, body: bytes, headers: dict[str, str], fault: Fault | None = None, name: str | None = None
    ) -> None:
        """Send a response; with a fault, the part of it that the fault lets through."""
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        end = len(body) if fault is None or fault.cut is None else fault.cut
        for first in range(0, end, 16384):
            time.sleep(fault.pause if fault else 0)
            piece = body[first : min(end, first + 16384)]
            try:
                self.wfile.write(piece)
            except OSError:
                self.close_connection = True
                return
            if name:
                with self.hub.lock:
                    self.hub.sent[name] = self.hub.sent.get(name, 0) + len(piece)
        self.close_connection = self.close_connection or end < len(body)


class QuietServer(ThreadingHTTPServer):
    """A server whose clients may be killed."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Be silent."""


@contextmanager
def serve(hub: HubServer) -> Iterator[HubServer]:
    """Start both servers, and stop them."""
    servers = {
        at: QuietServer(("127.0.0.1", 0), type(at, (Handler,), {"hub": hub, "at": at})) for at in ("hub", "store")
    }
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers.values()]
    hub.url, hub.store = (f"http://127.0.0.1:{servers[at].server_port}" for at in ("hub", "store"))
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()
