"""Targets: what is there is recognised by its content, what is sent arrives whole; a fake of the hub's commits."""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from servers import free_port
from subgrid.errors import DatasetError, SettingsError
from subgrid.publishing.targets import FolderTarget, HubTarget, ObjectTarget, open_target
from subgrid.records.transfer import Patience, TransferError
from subgrid.source.hub import session


def test_a_folder_of_links(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"content")
    target = FolderTarget(tmp_path / "out")
    target.put([("below/file", source), ("card", b"text")])
    assert (tmp_path / "out" / "below" / "file").samefile(source)
    assert target.has("below/file", source) and target.has("card", b"text")
    assert not target.has("card", b"other") and not target.has("absent", b"")


def test_a_file_url_is_the_folder(tmp_path: Path) -> None:
    for packed in (False, True):
        target = open_target(f"file://{tmp_path / 'out'}", packed=packed)
        assert isinstance(target, FolderTarget) and (target.folder, target.packed) == (tmp_path / "out", packed)


def test_objects_are_recognised_by_content(memory: Any, tmp_path: Path) -> None:
    target = ObjectTarget("memory://published", Patience(tries=2, pause=0.001))
    source = tmp_path / "source"
    source.write_bytes(b"content")
    assert not target.has("file", source)
    target.put([("file", source), ("card", b"text")])
    assert memory.cat_file("/published/file") == b"content"
    assert target.has("file", source) and target.has("card", b"text")
    assert not target.has("file", b"CONTENT") and not target.has("file", b"more content")


def test_what_arrives_otherwise_is_an_error(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "pipe_file", lambda path, content: type(memory).pipe_file(memory, path, content[:-1]))
    with pytest.raises(TransferError, match=r"memory://published/card: arrived otherwise"):
        ObjectTarget("memory://published", Patience()).put([("card", b"text")])


@pytest.mark.parametrize(
    "url",
    [
        *("hf://datasets/me", "hf://me", "hf://models/me", "hf://datasets//x", "hf://me/a b"),
        *(
            "hf://datasets/me?token=hf_secret/data",
            "hf://buckets/me/data",
            "hf://spaces/me/page",
            "hf://kernels/me/fast",
        ),
    ],
)
def test_a_repository_needs_owner_and_name(url: str) -> None:
    with pytest.raises(SettingsError, match="expected hf://datasets/OWNER/NAME") as error:
        open_target(url)
    assert "hf_secret" not in str(error.value)


def test_a_folder_with_a_question_mark_is_none_of_a_repository() -> None:
    """It may be a token, which would stand in the repository for all to see."""
    with pytest.raises(SettingsError, match="hf://datasets/me/data/f: a folder .* has no question mark") as error:
        open_target("hf://datasets/me/data/f?token=hf_secret")
    assert "hf_secret" not in str(error.value)


def test_kinds_of_repositories() -> None:
    for url, kind in (("hf://datasets/me/x/f", "dataset"), ("hf://models/me/x/f", "model"), ("hf://me/x/f/", "model")):
        target = open_target(url)
        assert isinstance(target, HubTarget)
        assert (target.kind, target.repository, target.folder, target.label) == (kind, "me/x", "f", url.rstrip("/"))


class Hub(BaseHTTPRequestHandler):
    """The hub's endpoints for listing and committing small files, one repository; wants the token ``hf_secret``.

    ``faults`` are statuses that it answers with; 0 is silence.
    """

    files: dict[str, bytes]
    commits: list[list[str]]
    faults: list[int]

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, content: Any) -> None:
        if not status:
            threading.Event().wait(2)  # tests take the client's time.sleep away, which is everybody's
            self.close_connection = True
            return
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:  # noqa: N802
        if self.faults:
            self.answer(self.faults.pop(0), {"error": "busy"})
        elif not self.path.startswith("/api/datasets/me/data/tree/main"):
            self.answer(404, {"error": "Repository not found"})
        else:
            self.answer(200, [
                {"type": "file", "path": name, "size": len(data),
                 "oid": hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()}
                for name, data in self.files.items()
            ])  # fmt: skip

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != "Bearer hf_secret":
            self.answer(403, {"error": "no"})
        elif self.faults:
            self.answer(self.faults.pop(0), {"error": "busy"})
        elif self.path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            self.answer(200, {"files": [
                {"path": item["path"], "uploadMode": "regular", "shouldIgnore": False} for item in asked
            ]})  # fmt: skip
        elif self.path.endswith("/commit/main"):
            lines = [json.loads(line) for line in body.splitlines()]
            sent = {one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in lines[1:]}
            self.files.update(sent)
            self.commits.append(list(sent))
            self.answer(
                200,
                {
                    "commitUrl": f"http://{self.headers['Host']}/datasets/me/data/commit/1",
                    "commitOid": "1",
                    "pullRequestUrl": None,
                },
            )
        else:
            self.answer(404, {"error": "Repository not found"})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub on loopback that ``huggingface_hub`` talks to."""
    constants = pytest.importorskip("huggingface_hub.constants")
    handler = type("OneHub", (Hub,), {"files": {}, "commits": [], "faults": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setitem(os.environ, "HF_TOKEN", "hf_secret")
    yield handler
    server.shutdown()
    server.server_close()


def test_a_repository_takes_commits_and_keeps_what_it_has(hub: type[Hub], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    target = open_target("hf://datasets/me/data/below")
    assert not target.has("file", tmp_path / "file")
    target.put([("file", tmp_path / "file"), ("card", b"text")])
    assert hub.files == {"below/file": b"content", "below/card": b"text"}
    again = open_target("hf://datasets/me/data/below")
    assert again.has("file", tmp_path / "file") and again.has("card", b"text")
    assert not again.has("card", b"tex!") and not again.has("other", b"")


def test_what_a_hub_refuses_is_told_without_the_token(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="hf://datasets/me/other: there is no such repository") as error:
        open_target("hf://datasets/me/other").has("card", b"")
    assert "hf_secret" not in str(error.value)
    monkeypatch.setitem(os.environ, "HF_TOKEN", "hf_wrong")
    with pytest.raises(TransferError, match=r"the hub refused \(status 403\)") as refused:
        open_target("hf://datasets/me/data").put([("card", b"text")])
    assert "hf_wrong" not in str(refused.value)


SOON = Patience(tries=3, pause=0.001)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again(hub: type[Hub], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    target = open_target("hf://datasets/me/data", SOON)
    hub.faults += [status, status]
    target.put([("card", b"text")])
    assert hub.files == {"card": b"text"} and not hub.faults
    hub.faults += 99 * [status]
    with pytest.raises(
        TransferError, match=rf"hf://datasets/me/data: the hub refused \(status {status}\); publish again"
    ):
        target.put([("other", b"text")])


def test_a_hub_that_nobody_answers_for_is_an_error_of_ours(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with pytest.raises(TransferError, match=r"hf://datasets/me/data: the hub does not answer \(ConnectError") as error:
        open_target("hf://datasets/me/data", SOON).has("card", b"")
    assert "hf_secret" not in str(error.value)


def test_a_silent_hub_is_given_up(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is asked what it has, and when it takes a commit; the library itself would wait for ever."""
    monkeypatch.setattr(session, "SILENCE", 0.1)
    monkeypatch.setattr(session, "COMMIT", 0.1)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    target = open_target("hf://datasets/me/data", SOON)
    hub.faults += 99 * [0]
    told = r"hf://datasets/me/data: the hub does not answer \(ReadTimeout: timed out\); publish again to go on"
    with pytest.raises(TransferError, match=told):
        target.has("card", b"text")
    with pytest.raises(TransferError, match=told):
        target.put([("card", b"text")])
    hub.faults.clear()
    assert not target.has("card", b"text")
    target.put([("card", b"text")])
    assert hub.files == {"card": b"text"}


@pytest.mark.parametrize("name", ["a..b", "-a", "a--b", "a.git", "x" * 97])
def test_a_name_that_the_hub_forbids(hub: type[Hub], name: str) -> None:
    with pytest.raises(SettingsError, match="the hub allows no such name of a repository"):
        open_target(f"hf://datasets/me/{name}").has("card", b"")


def test_many_files_go_in_several_commits(hub: type[Hub]) -> None:
    open_target("hf://datasets/me/data").put([(f"{number:03}", b"x") for number in range(101)])
    assert [len(names) for names in hub.commits] == [100, 1]
