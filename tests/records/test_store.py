"""A folder and a URL look alike to a build: files appear whole, are listed, replaced and removed."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from subgrid.errors import DatasetError, InputError, SettingsError, SubgridError
from subgrid.records import store as store_module
from subgrid.records.store import LocalStore, RemoteStore, Store, as_store, refuse_processes, write_json
from subgrid.source import locations, retries


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        yield as_store(tmp_path / "out")
        return
    yield as_store("memory://stores/out/", tmp_path / "scratch")
    memory = fsspec.filesystem("memory")
    if memory.exists("/stores"):
        memory.rm("/stores", recursive=True)


def test_files_are_written_read_listed_and_removed(store: Store) -> None:
    assert store.listing() == set() and store.listing("parts") == set() and not store.exists("parts/a.json")
    with store.held():
        store.begin(("parts",))
        write_json(store, "parts/a.json", {"one": 1})
        store.write("b", lambda aside: aside.write_bytes(b"old"))
        store.write("b", lambda aside: aside.write_bytes(b"new"))
    assert store.exists("b") and store.read("b") == b"new" and store.read("parts/a.json") == b'{\n "one": 1\n}\n'
    assert store.listing() == {"parts", "b"} and store.listing("parts") == {"a.json"}
    store.remove("b")
    store.remove("b")
    assert not store.exists("b") and store.listing() == {"parts"}
    with pytest.raises(FileNotFoundError):
        store.read("b")


def test_a_large_file_is_made_at_its_place_and_delivered(store: Store, tmp_path: Path) -> None:
    with store.held():
        store.begin(("shards",))
        store.place("shards/x").write_bytes(b"content")
        store.deliver("shards/x")
        assert store.read("shards/x") == b"content"
        if store.remote:
            assert not store.place("shards/x").exists(), "scratch space holds what is under way, and nothing else"
    assert store.listing("shards") == {"x"}


def test_what_cannot_be_made_leaves_nothing(store: Store) -> None:
    def half(aside: Path) -> None:
        aside.write_bytes(b"half")
        raise OSError("no more")

    with store.held():
        store.write("a", lambda aside: aside.write_bytes(b"whole"))
        with pytest.raises(SubgridError, match="no more"):
            store.write("a", half)
    assert store.read("a") == b"whole" and store.listing() == {"a"}


def test_a_store_travels_to_another_process(store: Store) -> None:
    assert pickle.loads(pickle.dumps(store)) == store and store.label("a/b").endswith("out/a/b")


def test_a_file_system_without_whole_uploads_gets_the_file_under_another_name_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that is cut leaves nothing that could be taken for the file."""
    memory = type(fsspec.filesystem("memory"))
    put, calls = memory.put_file, []

    def cut(self: object, here: str, there: str, **more: object) -> None:
        calls.append(there)
        put(self, here, there, **more)
        if len(calls) == 1:
            raise ConnectionResetError("cut")

    monkeypatch.setattr(memory, "put_file", cut)
    monkeypatch.setattr(retries.time, "sleep", lambda seconds: None)
    store = as_store("memory://cut", tmp_path)
    store.write("parts/a", lambda aside: aside.write_bytes(b"content"))
    assert len(calls) == 2 and all(".partial-" in call for call in calls)
    found = fsspec.filesystem("memory").find("/cut")
    fsspec.filesystem("memory").rm("/cut", recursive=True)
    assert found == ["/cut/parts/a"]


def test_a_place_that_refuses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", refuse)
    with pytest.raises(SubgridError, match=r"memory://refused/a: cannot be written \(PermissionError: not yours\)"):
        as_store("memory://refused", tmp_path).write("a", lambda aside: aside.write_bytes(b"x"))


def test_an_error_is_not_taken_for_an_absent_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a bucket that is down for a moment would look like an empty one, and another build be laid over it."""

    def down(*arguments: object, **more: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(retries, "PAUSES", ())
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", down)
    with pytest.raises(SubgridError, match="memory://down/build.json: cannot be looked up"):
        as_store("memory://down", tmp_path).exists("build.json")


def test_paths_and_urls_are_told_apart(tmp_path: Path) -> None:
    assert as_store(str(tmp_path)) == as_store(f"file://{tmp_path}") == as_store(tmp_path) == LocalStore(tmp_path)
    assert isinstance(as_store("memory://x"), RemoteStore)
    assert as_store(LocalStore(tmp_path)) == LocalStore(tmp_path)
    with pytest.raises(InputError, match="nosuch://x: not a location"):
        as_store("nosuch://x")
    refuse_processes(LocalStore(tmp_path))
    with pytest.raises(SettingsError, match="memory of one process"):
        refuse_processes(as_store("memory://x"))


def test_secrets_of_a_url_are_not_shown(tmp_path: Path) -> None:
    store = RemoteStore("https://me:word@host/data?token=abc", tmp_path)
    assert store.label("a") == "https://host/data/a"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(DatasetError, match="expected a folder to build into, found a file"),
        as_store(tmp_path / "file").held(),
    ):
        pass


HOLDER = """
import pathlib, sys
from subgrid.records.store import LocalStore
with LocalStore(pathlib.Path(sys.argv[1])).held():
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_killed_builders_left_is_swept_unless_another_one_is_at_work(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    left = [tmp_path / ".a.json.partial-01234567", tmp_path / "parts" / ".b.json.partial-89abcdef"]
    for path in left:
        path.write_bytes(b"half")
    other = [sys.executable, "-c", HOLDER, str(tmp_path)]
    process = subprocess.Popen(other, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout and process.stdout.readline() == "ready\n"
    assert not any(path.exists() for path in left), "it was alone when it began"
    left[0].write_bytes(b"being written")
    with LocalStore(tmp_path).held():
        assert left[0].exists(), "it may be the other one's"
    process.stdin.close()
    process.wait()
    with LocalStore(tmp_path).held():
        assert not left[0].exists()
    assert os.listdir(tmp_path) == ["parts"]


def test_an_upload_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times, the limit growing with the file; then the error says what to do, and nothing is left."""
    monkeypatch.setattr(locations, "ANSWER", 0.05)
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 5)
    over, sent, limits = threading.Event(), [], []

    def silent(self: object, here: str, there: str, **more: object) -> None:
        sent.append(there)
        over.wait(20)

    def noted(seconds: float, call: Callable[[], object]) -> object:
        limits.append(seconds)
        return retries.limited(min(seconds, 0.05), call)

    store = as_store("memory://silent/out", tmp_path)
    monkeypatch.setattr(store_module, "limited", noted)
    with monkeypatch.context() as context, store.held():
        context.setattr(type(fsspec.filesystem("memory")), "put_file", silent)
        told = (
            r"memory://silent/out/shards/x: cannot be written \(no answer in time\); nothing is lost: .* run the same"
        )
        for size in (10, 64_000_000):
            store.place("shards/x").touch()
            os.truncate(store.place("shards/x"), size)
            with pytest.raises(SubgridError, match=told):
                store.deliver("shards/x")
        over.set()
        assert len(sent) == 6 and limits == [0.05] * 3 + [640.0] * 3
        assert not store.place("shards/x").exists()
    assert store.listing("shards") == set()


@pytest.mark.parametrize(("method", "call"), [("info", "exists"), ("ls", "listing"), ("cat_file", "read")])
def test_a_store_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, call: str
) -> None:
    monkeypatch.setattr(locations, "ANSWER", 0.05)
    monkeypatch.setattr(retries, "PAUSES", (0.001,))
    over = threading.Event()
    with monkeypatch.context() as context:
        context.setattr(type(fsspec.filesystem("memory")), method, lambda *some, **more: over.wait(20))
        with pytest.raises(
            SubgridError, match=r"memory://silent/a: cannot be .* \(no answer in time\); nothing is lost"
        ):
            getattr(as_store("memory://silent", tmp_path), call)("a")
        over.set()


def test_a_bucket_of_the_hub_that_is_not_there_holds_no_empty_data_set(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
    huggingface_hub.HfFileSystem.clear_instance_cache()
    store = as_store("hf://buckets/me/absent", tmp_path)
    with pytest.raises(SubgridError, match=r"hf://buckets/me/absent/x: cannot be looked up \(BucketNotFoundError: 404"):
        store.exists("x")
    with pytest.raises(SubgridError, match=r"hf://buckets/me/absent/x: cannot be read \(BucketNotFoundError: 404"):
        store.read("x")


@pytest.mark.parametrize("moves_over", [True, False])
def test_a_file_is_replaced_also_where_nothing_moves_over_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves_over: bool
) -> None:
    """Where a move replaces, the name never vanishes: parts that start together look at each other's plan."""
    memory = type(fsspec.filesystem("memory"))
    move, gone = memory.mv, []

    def strict(self: Any, one: str, two: str, **more: Any) -> None:
        if self.exists(two) and not moves_over:
            raise FileExistsError(two)
        move(self, one, two, **more)

    monkeypatch.setattr(memory, "mv", strict)
    remove = memory.rm_file
    monkeypatch.setattr(memory, "rm_file", lambda self, path: (gone.append(path), remove(self, path)))
    store = as_store("memory://replaced", tmp_path)
    for content in (b"one", b"two"):
        store.write("plan.json", lambda aside, content=content: aside.write_bytes(content))
    assert store.read("plan.json") == b"two" and store.listing() == {"plan.json"}
    assert any(path.endswith("/plan.json") for path in gone) == (not moves_over)
    fsspec.filesystem("memory").rm("/replaced", recursive=True)
