"""Local folders and other file systems look alike."""

import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from servers import free_port, web_server
from subgrid.errors import InputError, MissingExtraError
from subgrid.source import locations, retries
from subgrid.source.locations import Location, file_system

CONTENTS = {"train/0001-02/b.nc": b"\x00\x01\xff", "train/0001-02/a.nc": b"", "grid.nc": bytes(range(256))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "raw"


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    for name, content in CONTENTS.items():
        system.pipe_file(f"/locations/raw/{name}", content)
    yield "memory://locations/raw"
    system.rm("/locations", recursive=True)


@pytest.fixture(params=["path", "path/", "file://", "memory", "memory/"])
def location(request: pytest.FixtureRequest) -> Location:
    if request.param.startswith("memory"):
        return Location(request.getfixturevalue("memory") + request.param.removeprefix("memory"))
    path = str(request.getfixturevalue("folder"))
    return Location({"path": path, "path/": path + "/", "file://": "file://" + path}[request.param])


def test_names_are_relative_and_sorted(location: Location) -> None:
    assert location.names() == sorted(CONTENTS)


def test_bytes_are_those_of_the_file(location: Location) -> None:
    for name, content in CONTENTS.items():
        data = location.read(name)
        assert data.dtype == np.uint8 and data.tobytes() == content
    with pytest.raises(FileNotFoundError):
        location.read("train/0001-02/c.nc")


def test_memory_is_used_where_it_is_large_enough(folder: Path) -> None:
    location, memory = Location(str(folder)), np.full(300, 7, dtype=np.uint8)
    for name in ("grid.nc", "train/0001-02/b.nc", "train/0001-02/a.nc", "grid.nc"):
        found = location.read(name, memory)
        assert found.tobytes() == CONTENTS[name] and (found.size == 0 or np.shares_memory(found, memory))
    small = np.zeros(10, dtype=np.uint8)
    assert location.read("grid.nc", small).tobytes() == CONTENTS["grid.nc"] and not small.any()


def test_labels_name_a_file_once(location: Location) -> None:
    assert location.label("train/x.nc") == location.url.rstrip("/") + "/train/x.nc"
    assert location.remote == location.url.startswith("memory")


def test_a_path_relative_to_the_working_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    location = Location("raw")
    assert location.names() == sorted(CONTENTS)
    assert location.read("grid.nc").tobytes() == CONTENTS["grid.nc"]
    assert location.local("grid.nc") == Path("raw/grid.nc")


@pytest.mark.parametrize("url", ["{}/absent", "file://{}/absent", "memory://absent"])
def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match="absent: no such folder; expected raw steps laid out like train/0001-02"):
        Location(url.format(tmp_path)).names()


@pytest.mark.parametrize(("scheme", "library", "extra"), [("gs", "gcsfs", "gcs"), ("s3", "s3fs", "s3")])
def test_a_missing_library_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)  # known from an earlier use
    with pytest.raises(MissingExtraError, match=rf"{scheme}://bucket/raw: .*pip install 'subgrid\[{extra}\]'"):
        Location(f"{scheme}://bucket/raw").names()


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(InputError, match="nosuch://x: not a location that fsspec knows"):
        Location("nosuch://x").names()


def test_links_that_lead_back_are_not_followed(folder: Path, tmp_path: Path) -> None:
    """A folder of links to the steps, with a link from among them to where it stands itself."""
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "train").symlink_to(folder / "train")
    (folder / "train" / "back").symlink_to(tmp_path)
    assert "train/0001-02/a.nc" in Location(str(tmp_path)).names()
    assert not [name for name in Location(str(tmp_path)).names() if "again" in name or "back/train" in name]


def test_links_to_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "train").symlink_to(folder / "train")
    assert Location(str(tmp_path / "linked")).names() == ["train/0001-02/a.nc", "train/0001-02/b.nc"]


def test_a_location_that_is_a_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"some bytes")
    for url in (str(tmp_path / "a.csv"), f"file://{tmp_path / 'a.csv'}"):
        with Location(url).open_file() as file:
            assert file.read() == b"some bytes"


def test_a_file_is_no_folder_of_steps(folder: Path) -> None:
    with pytest.raises(InputError, match="grid.nc: is a file; expected a folder of raw steps"):
        Location(str(folder / "grid.nc")).names()


def test_a_server_that_does_not_answer_is_given_up(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When listing and when looking up: once, and as often as any other failure."""
    monkeypatch.setattr(locations, "ANSWER", 0.05)
    monkeypatch.setattr(locations, "LISTING", 0.05)
    monkeypatch.setattr(retries, "PAUSES", (0.001, 0.001))
    over, asked = threading.Event(), []

    def silent(self: object, path: str, **more: object) -> None:
        asked.append(path)
        over.wait(20)

    location = Location(memory)
    with monkeypatch.context() as context:
        context.setattr(type(fsspec.filesystem("memory")), "find", silent)
        told = r"raw: cannot be listed \(no answer in time\); see to it that it can, and run the same command again"
        with pytest.raises(InputError, match=told):
            location.names()
        assert len(asked) == 1
        context.setattr(type(fsspec.filesystem("memory")), "info", silent)
        with pytest.raises(InputError, match=r"raw/grid.nc: cannot be looked up \(no answer in time\); see to it"):
            location.exists("grid.nc")
        assert len(asked) == 4
        over.set()
    assert location.exists("grid.nc") and location.names() == sorted(CONTENTS)


def test_a_place_that_has_no_commits_stays_as_it_is(memory: str, folder: Path) -> None:
    for url in (memory, str(folder), "hf://buckets/me/raw"):
        assert Location(url).pinned("f" * 40) == Location(url)


@pytest.mark.parametrize(
    ("status", "told"), [("403", "cannot be listed (ClientResponseError: 403"), ("404", "no such folder")]
)
def test_what_a_web_server_answered_is_told(status: str, told: str, tmp_path: Path) -> None:
    """fsspec's http calls all of it "not found"."""
    pytest.importorskip("aiohttp")
    with web_server(tmp_path, lambda path: status) as url:
        place = Location(url.replace("://", "://me:hunter2@") + "private")
        with pytest.raises(InputError) as error:
            place.names()
        assert told in str(error.value) and f"{url}private: " in str(error.value)
        assert "hunter2" not in str(error.value)
        assert not place.exists("file")  # some servers answer so for every file that is not there


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """ftp connects as soon as its file system is made."""
    monkeypatch.setattr("subgrid.source.retries.random.uniform", lambda *_: 0.0)
    place = f"ftp://me:hunter2@127.0.0.1:{free_port()}/out"
    with pytest.raises(InputError, match=r"ftp://127\.0\.0\.1:\d+/out: cannot be reached \(ConnectionRefused") as error:
        file_system(place)
    assert "hunter2" not in str(error.value)


REFUSALS = [(404, "RepoNotFound"), (404, "RevisionNotFound"), (403, "GatedRepo"), (404, "")]
URL = "hf://datasets/LEAP/ClimSim_low-res"
GRID = "ClimSim_low-res_grid-info.nc"


@pytest.mark.parametrize(("status", "code"), REFUSALS)
@pytest.mark.parametrize("path", ["/resolve/", "/api/"])
def test_a_repository_that_is_refused_says_nothing_of_its_files(hf: Any, status: int, code: str, path: str) -> None:
    """Absent is what the hub says of the file itself; once it opens again, it is asked again."""
    fault = sys.modules["hub_server"].Fault
    hf.faults = [fault(path, status=status, headers={"X-Error-Code": code} if code else {}, times=99, at="hub")]
    with pytest.raises(InputError, match=rf"{URL}/{GRID}: cannot be read \(\w+: .*{status}.*; see to it that it can"):
        Location(URL, hf.commit).read(GRID)
    if path == "/api/":
        with pytest.raises(InputError, match=rf"{URL}/{GRID}: cannot be looked up \(\w+: .*{status}"):
            Location(URL, hf.commit).exists(GRID)
        with pytest.raises(InputError, match=rf"{URL}: cannot be looked up \(\w+: .*{status}"):
            Location(URL).pinned()
        with pytest.raises(InputError, match=rf"{URL}: cannot be listed \(\w+: .*{status}"):
            Location(URL).names()
    hf.faults = []
    location = Location(URL).pinned()
    assert location.read(GRID).tobytes() == hf.files[GRID] and location.exists(GRID)
    assert location.commit == hf.commit and location.names() == sorted(hf.files)


def test_a_file_that_the_hub_does_not_have_is_absent(hf: Any) -> None:
    for location in (Location(URL), Location(URL).pinned()):
        with pytest.raises(FileNotFoundError):
            location.read("absent.nc")
        assert not location.exists("absent.nc")
    hf.lost = {GRID}  # listed, and not to be had
    with pytest.raises(FileNotFoundError):
        Location(URL).read(GRID)


def test_a_commit_that_is_not_there_is_refused(hf: Any) -> None:
    with pytest.raises(InputError, match=rf"{GRID}: cannot be read \(RevisionNotFoundError: 404"):
        Location(URL, "f" * 40).read(GRID)


@pytest.mark.parametrize("url", ["hf://me", "hf://datasets/me?token=hf_secret/data", "hf://datasets/a b/c"])
def test_what_is_no_place_of_the_hub_is_told_without_secrets(hf: Any, url: str) -> None:
    for ask in (Location(url).names, Location(url).pinned, lambda: Location(url).read("a")):
        with pytest.raises(InputError, match="expected hf://datasets/OWNER/NAME") as error:
            ask()
        assert "hf_secret" not in str(error.value)


def test_a_checksum_tells_contents(hf: Any, folder: Path, memory: str) -> None:
    """Of the hub: the same in every commit that has the same file; elsewhere the storage's own word."""
    first, same, other = hf.commit, "e" * 40, "f" * 40
    hf.older = {first: hf.files, same: {**hf.files, "README.md": b"other"}, other: {**hf.files, GRID: b"other"}}
    one, two, three = (Location(URL, commit).checksum(GRID) for commit in (first, same, other))
    assert one == two != three and sha256(hf.files[GRID]).hexdigest() in str(one)
    for location in (Location(str(folder)), Location(memory), Location(URL)):
        with pytest.raises(FileNotFoundError):
            location.checksum("absent.nc")
    before = Location(str(folder)).checksum("grid.nc")
    assert before == fsspec.filesystem("file").checksum(str(folder / "grid.nc"))
    (folder / "grid.nc").write_bytes(b"other")
    assert before != Location(str(folder)).checksum("grid.nc")


def test_a_web_server_that_fails_does_not_make_a_file_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec's http calls a refusal, a failure and a server that is not there "not found"."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 3)
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,2\n")
    answers: list[str] = []
    with web_server(tmp_path, lambda path: answers.pop() if answers else "") as url:
        place = Location(f"{url}a.csv".replace("://", "://me:hunter2@"))
        answers += ["503"] * 4  # HEAD and GET of two tries
        with place.open_file() as file:
            assert file.read() == b"x,y\n1,2\n" and not answers
        for status, told in (("403", "ClientResponseError: 403"), ("503", "ClientResponseError: 503")):
            answers += [status] * 99
            for ask, what in ((place.open_file, "opened"), (lambda: place.checksum(""), "looked up")):
                with pytest.raises(InputError, match=rf"a\.csv/?: cannot be {what} \({told}") as error:
                    ask()
                assert "hunter2" not in str(error.value)
            answers.clear()
        answers += ["404"] * 9
        with pytest.raises(FileNotFoundError):
            place.open_file()
    with pytest.raises(InputError, match=r"a\.csv: cannot be opened \(ClientConnectorError"):
        Location(f"http://127.0.0.1:{free_port()}/a.csv").open_file()
