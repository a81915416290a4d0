"""Real servers on loopback for real clients: an S3 and a Cloud Storage server, started and stopped by the tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def server(arguments: list[str], url: str, log: Path, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server until the context ends; ready when it answers at ``url`` in any way."""
    with open(log, "wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
        try:
            end = time.monotonic() + 30
            while not _answers(url):
                assert process.poll() is None and time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield url
        finally:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def s3_server(log: Path) -> Iterator[dict[str, str]]:
    """moto's S3; yields the variables that send botocore there."""
    pytest.importorskip("moto")
    port = free_port()
    arguments = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with server(arguments, f"http://127.0.0.1:{port}/moto-api/", log) as url:
        yield {
            "AWS_ENDPOINT_URL": url.removesuffix("/moto-api/"),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def gcs_server(log: Path) -> Iterator[dict[str, str]]:
    """gcp-storage-emulator, in memory; yields the variables that send gcsfs there."""
    pytest.importorskip("gcp_storage_emulator")
    port = free_port()
    arguments = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}",
                 "--in-memory"]  # fmt: skip
    with server(arguments, f"http://127.0.0.1:{port}/", log) as url:
        yield {"STORAGE_EMULATOR_HOST": url.rstrip("/"), "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


class _Faulty(SimpleHTTPRequestHandler):
    """A folder over HTTP; ``fault(path)`` says what goes wrong with a request: a status, ``cut``, or nothing."""

    def __init__(self, *arguments: object, fault: Callable[[str], str], **more: object) -> None:
        self.fault = fault
        super().__init__(*arguments, **more)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:  # noqa: N802
        fault = "" if self.path.endswith("/") else self.fault(self.path)
        if fault.isdigit():
            self.send_error(int(fault))
        else:
            super().do_HEAD()

    def do_GET(self) -> None:  # noqa: N802
        fault = "" if self.path.endswith("/") else self.fault(self.path)
        if fault.isdigit():
            self.send_error(int(fault))
        elif fault == "cut":
            content = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
        else:
            super().do_GET()


@contextmanager
def web_server(folder: Path, fault: Callable[[str], str]) -> Iterator[str]:
    """A folder with its listings over HTTP, with faults; yields its URL."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Faulty, fault=fault, directory=str(folder)))
    running.daemon_threads = True
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/"
    finally:
        running.shutdown()
        running.server_close()
