"""Tables at a web server and at the hub on loopback: what fails is told or asked for again, one commit is read."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import google_crc32c
import pytest

from servers import free_port, web_server
from subgrid.errors import InputError
from subgrid.source import retries
from subgrid.source.locations import Location
from subgrid.source.table_bytes import Sum, opened, read_at
from subgrid.source.tables import CsvTable, open_table

TABLE = b"a,b\n" + b"".join(b"%d,%d\n" % (number, number * number) for number in range(20_000))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(retries, "PAUSES", (0.001,) * 3)
    (tmp_path / "t.csv").write_bytes(TABLE)
    return tmp_path


def read(url: str) -> str:
    """What a pass over a table's bytes tells of them."""
    return open_table(url).survey().digest


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("403", r"cannot be opened \(ClientResponseError: 403.*; see to it that it can, and run the same command"),
        ("503", r"cannot be opened \(ClientResponseError: 503"),
        ("404", "no such file$"),
    ],
)
def test_what_a_web_server_answered_is_told(folder: Path, status: str, told: str) -> None:
    expected = pytest.raises(InputError, match=rf"/t\.csv: {told}")
    with web_server(folder, lambda path: status) as url, expected as error:
        read(url.replace("://", "://me:hunter2@") + "t.csv")
    assert "hunter2" not in str(error.value)


def test_a_server_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: cannot be opened \(ClientConnectorError"):
        read(f"http://127.0.0.1:{free_port()}/t.csv")


def served(faults: list[str]) -> Callable[[str], str]:
    """Every second request fails, as long as there are faults."""
    count = iter(range(10**6))
    return lambda path: faults.pop() if next(count) % 2 and faults else ""


def test_what_passes_is_asked_for_again(folder: Path) -> None:
    faults = ["503"] * 3
    with web_server(folder, served(faults)) as url:
        assert read(f"{url}t.csv") == read(str(folder / "t.csv")) and not faults


def test_what_stays_wrong_while_a_table_is_read_is_told(folder: Path) -> None:
    answers = [""]
    with web_server(folder, lambda path: answers[0]) as url:
        location = Location(f"{url}t.csv")
        expected = pytest.raises(InputError, match=r"t\.csv: cannot be read \(ClientResponseError: 503")
        with expected, opened(location) as file:
            answers[0] = "503"
            read_at(file, 5, 10)


def test_a_web_server_that_gives_no_ranges_is_told(folder: Path) -> None:
    with web_server(folder, lambda path: "") as url:
        table = open_table(f"{url}t.csv")
        assert isinstance(table, CsvTable)
        with pytest.raises(InputError, match=r"t\.csv: cannot be read \(ValueError: .*support range requests"):
            list(table.whole_lines())


def test_bytes_from_any_place(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE)
    with opened(Location(str(tmp_path / "t.csv"))) as file:
        assert read_at(file, 7, 9) == TABLE[7:16] and read_at(file, 3, 2) == TABLE[3:5]
        assert read_at(file, len(TABLE) - 2, 9) == TABLE[-2:]


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a table, found a folder"), opened(Location(str(tmp_path))):
        pass


def test_a_table_of_the_hub_is_read_at_one_commit(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another one is pushed while it is read, and where a commit is named."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url})
    huggingface_hub.HfFileSystem.clear_instance_cache()
    hub.files = {"t.csv": TABLE}
    url, first = "hf://datasets/LEAP/ClimSim_low-res/t.csv", hub.commit
    table = open_table(url)
    hub.older, hub.commit, hub.files = {first: hub.files}, "f" * 40, {"t.csv": TABLE.replace(b"9", b"8")}
    huggingface_hub.HfFileSystem.clear_instance_cache()
    assert isinstance(table, CsvTable) and b"".join(block for _, block in table.whole_lines()) == TABLE[4:]
    newest = open_table(url)
    assert isinstance(newest, CsvTable) and newest.read(0, len(TABLE)) == hub.files["t.csv"]
    named = open_table(url, first)
    assert isinstance(named, CsvTable) and named.read(0, len(TABLE)) == TABLE


def test_a_sum_is_of_size_crc_and_beginning() -> None:
    total = Sum()
    total.add(TABLE)
    total.add(b"more")
    facts = [len(TABLE) + 4, google_crc32c.value(TABLE + b"more"), hashlib.sha256(TABLE).hexdigest()]
    assert total.digest == hashlib.sha256(json.dumps(facts).encode()).hexdigest()
