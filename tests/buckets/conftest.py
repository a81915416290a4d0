"""Stores on loopback, each started and stopped here: plain HTTP that misbehaves on request, S3 and Google's."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from servers import gcs_server, s3_server
from subgrid.records.bucket import Fetching
from subgrid.records.cache import Cache
from subgrid.records.transfer import Patience


@pytest.fixture(scope="session")
def data(thirteen_shards: Path) -> Path:
    """A finished data set; for reading only."""
    return thirteen_shards


@pytest.fixture
def fetching(tmp_path: Path) -> Callable[..., Fetching]:
    """Settings of a cache of its own, patient with a busy machine; who tests a silent store gives a ``stall``."""

    def make(limit: int = 10**9, **patience: Any) -> Fetching:
        return Fetching(
            Cache(tmp_path / "cache", limit, wait=20), Patience(**{"stall": 20.0, "pause": 0.01, **patience})
        )

    return make


class Web:
    """A folder served over HTTP; ``faults`` says what goes wrong with the next requests of a file.

    ``faults[name]`` is a list of faults, one a GET, used up from its start: ``stall``, ``hang`` (stalls half way),
    ``cut``, ``flip`` (a wrong byte), ``short`` (an object that lacks its last byte), a status such as ``503``.
    ``always`` is a fault that stays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.faults, self.always = folder, {}, {}
        self.gone, self.ranges, self.released = False, True, threading.Event()
        self.served: list[tuple[str, str]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.web = self  # type: ignore[attr-defined]
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/data"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def fault(self, name: str) -> str:
        """What goes wrong with this request."""
        waiting = self.faults.get(name)
        return waiting.pop(0) if waiting else self.always.get(name, "")


class Handler(BaseHTTPRequestHandler):
    """Answers of a ``Web``."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:  # noqa: N802
        self.answer(body=False)

    def do_GET(self) -> None:  # noqa: N802
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        web: Web = self.server.web  # type: ignore[attr-defined]
        path = web.folder / self.path.removeprefix("/data/")
        fault = web.fault(path.name) if body else ""
        web.served.append((self.command, path.name))
        if fault == "stall":
            web.released.wait(20)
            self.close_connection = True
        elif fault.isdigit() or web.gone or not path.is_file():
            self.send_response(int(fault) if fault.isdigit() else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            data = path.read_bytes()
            short = "short" in (fault, web.always.get(path.name))
            self.send(data[:-1] if short else data, fault, body, web.ranges)

    def send(self, data: bytes, fault: str, body: bool, ranges: bool) -> None:
        whole, asked = len(data), self.headers.get("Range") if ranges else None
        if asked:
            start, end = asked.removeprefix("bytes=").split("-")
            data = data[int(start) : int(end) + 1]
        self.send_response(206 if asked else 200)
        if ranges:
            self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(data) - 1}/{whole}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if fault == "flip":
            data = data[:5000] + bytes([data[5000] ^ 4]) + data[5001:]
        if fault == "cut":
            self.close_connection = True
            data = data[: len(data) // 2]
        if body:
            self.wfile.write(data[: len(data) // 2] if fault == "hang" else data)
        if body and fault == "hang":
            self.wfile.flush()
            self.server.web.released.wait(20)  # type: ignore[attr-defined]
            self.close_connection = True


@pytest.fixture
def web(data: Path) -> Iterator[Web]:
    """The data set over HTTP."""
    found = Web(data)
    yield found
    found.close()


@pytest.fixture
def second_web(data: Path) -> Iterator[Web]:
    """The same at another URL."""
    found = Web(data)
    yield found
    found.close()


@contextmanager
def told(environment: dict[str, str]) -> Iterator[None]:
    """Environment variables for as long as the block runs; ``monkeypatch`` is one test's alone."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket of moto's server, ``s3://subgrid-tests``, found through the environment like a real one."""
    s3fs = pytest.importorskip("s3fs")
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as environment, told(environment):
        s3fs.S3FileSystem().mkdir("subgrid-tests")
        yield "s3://subgrid-tests"


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket of gcp-storage-emulator, ``gs://subgrid-tests``."""
    gcsfs = pytest.importorskip("gcsfs")
    log = tmp_path_factory.mktemp("gcs") / "log"
    with gcs_server(log) as environment, told({**environment, "GOOGLE_CLOUD_PROJECT": "test"}):
        gcsfs.GCSFileSystem().mkdir("subgrid-tests")
        yield "gs://subgrid-tests"
