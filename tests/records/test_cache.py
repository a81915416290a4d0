"""The bounded cache: least recently used files go, those in use stay, nothing half-written is ever given out."""

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from cached import taken
from subgrid.errors import SubgridError
from subgrid.records.cache import Cache


class Store:
    """Writes files of a given size and counts how often."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str, size: int = 100) -> Callable[[BinaryIO], None]:
        def fetch(file: BinaryIO) -> None:
            self.asked.append(name)
            file.write(name.encode().ljust(size, b"."))

        return fetch


@pytest.fixture
def store() -> Store:
    return Store()


def use(cache: Cache, store: Store, name: str, key: str = "digest") -> None:
    """Fetch if need be, read and let go."""
    file, _ = cache.open(key, name, 100, store(name))
    with file:
        file.seek(0)
        assert file.read() == name.encode().ljust(100, b".")
    path = cache.folder / key / name
    state = path.stat()
    use.clock += 1_000_000_000  # type: ignore[attr-defined]
    os.utime(path, ns=(state.st_atime_ns, use.clock))  # type: ignore[attr-defined]


use.clock = time.time_ns()  # type: ignore[attr-defined]


def kept(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.folder.glob("*/*"))


def test_a_file_is_fetched_once(tmp_path: Path, store: Store) -> None:
    cache = Cache(tmp_path, 1000)
    for _ in range(3):
        use(cache, store, "a")
    assert store.asked == ["a"]


def test_two_data_sets_with_equal_names_never_mix(tmp_path: Path, store: Store) -> None:
    cache = Cache(tmp_path, 1000)
    use(cache, store, "a", "one")
    use(cache, store, "a", "other")
    assert store.asked == ["a", "a"]


def test_the_least_recently_used_file_goes_first(tmp_path: Path, store: Store) -> None:
    cache = Cache(tmp_path, 350)
    for name in "abcad":
        use(cache, store, name)
    assert kept(cache) == ["a", "c", "d"]


def test_files_in_use_stay_and_a_full_cache_says_so(tmp_path: Path, store: Store) -> None:
    cache = Cache(tmp_path, 250, wait=0.3)
    held, _ = cache.open("digest", "a", 100, store("a"))
    use(cache, store, "b")
    use(cache, store, "c")
    assert kept(cache) == ["a", "c"]
    other, _ = cache.open("digest", "c", 100, store("c"))
    with pytest.raises(SubgridError, match=r"no room for d \(100 bytes\): all of its 250 bytes are in use"):
        use(cache, store, "d")
    threading.Timer(0.1, held.close).start()
    use(cache, store, "d")
    assert kept(cache) == ["c", "d"]
    other.close()


def test_a_failed_fetch_leaves_nothing(tmp_path: Path, store: Store) -> None:
    cache = Cache(tmp_path, 1000)

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise RuntimeError("the line is dead")

    with pytest.raises(RuntimeError, match="the line is dead"):
        cache.open("digest", "a", 100, fail)
    assert kept(cache) == []
    use(cache, store, "a")


def test_what_a_killed_process_left_is_removed(tmp_path: Path, store: Store) -> None:
    (tmp_path / "digest").mkdir()
    (tmp_path / "digest" / ".z.partial").write_bytes(bytes(900))
    cache = Cache(tmp_path, 500)
    use(cache, store, "a")
    assert kept(cache) == ["a"]


def test_several_threads_fetch_a_file_once(tmp_path: Path) -> None:
    cache, asked, found = Cache(tmp_path, 1000), [], []

    def slow(file: BinaryIO) -> None:
        asked.append(1)
        time.sleep(0.2)
        file.write(bytes(100))

    def ask() -> None:
        file, fetched = cache.open("digest", "a", 100, slow)
        found.append(fetched)
        file.close()

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [1] and sorted(found) == [False] * 4 + [True]


def test_the_limit_holds_while_files_get_their_names(tmp_path: Path, store: Store) -> None:
    """A file that is renamed while another thread counts what there is must be counted, under either name."""
    cache, done = Cache(tmp_path, 800), threading.Event()

    def ask(seed: int) -> None:
        draw = random.Random(seed)
        while not done.is_set():
            name = f"f{draw.randrange(20)}"
            cache.open("digest", name, 100, store(name))[0].close()

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    end, peak = time.monotonic() + 2, 0
    try:
        while time.monotonic() < end:
            peak = max(peak, taken(tmp_path))
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert peak == 800


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SubgridError, match="cannot be written .* SUBGRID_CACHE"):
        Cache(tmp_path / "file", 1000).open("digest", "a", 100, store("a"))
