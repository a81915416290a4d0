"""Files come in the order they are asked for, few are held, and errors belong to their file."""

import threading
from collections.abc import Iterator

import fsspec
import numpy as np
import pytest

from subgrid.errors import InputError
from subgrid.source import retries
from subgrid.source.ahead import TRANSFERS, Ahead, steps_ahead
from subgrid.source.locations import Location

NAMES = [f"{number:02d}.nc" for number in range(20)]


class Watched(Location):
    """A location that notes what was read, and by which thread."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        object.__setattr__(self, "seen", [])

    def read(self, name: str, memory: np.ndarray | None = None) -> np.ndarray:
        self.seen.append((name, threading.current_thread().name))  # type: ignore[attr-defined]
        return super().read(name, memory)


@pytest.fixture
def location() -> Iterator[Watched]:
    system = fsspec.filesystem("memory")
    for number, name in enumerate(NAMES):
        if number != 7:
            system.pipe_file(f"/ahead/{name}", bytes([number]) * number)
    yield Watched("memory://ahead")
    system.rm("/ahead", recursive=True)


def test_every_file_comes_as_it_is_and_few_are_held(location: Watched) -> None:
    with Ahead(location, NAMES, 4) as ahead:
        for number, name in enumerate(NAMES):
            if number == 7:
                with pytest.raises(FileNotFoundError):
                    ahead.read(name)
                continue
            assert ahead.read(name).tobytes() == bytes([number]) * number
            assert len(location.seen) <= number + 1 + 4  # type: ignore[attr-defined]
        assert ahead.label("x") == "memory://ahead/x"
    names, threads = zip(*location.seen, strict=True)  # type: ignore[attr-defined]
    assert sorted(names) == NAMES and all(name.startswith("fetch") for name in threads)


def test_files_out_of_order_are_read_too(location: Watched) -> None:
    """As where a group is begun again without a step that was refused."""
    with Ahead(location, NAMES, 4) as ahead:
        for number in (0, 3, 0, 5, 19):
            assert ahead.read(NAMES[number]).tobytes() == bytes([number]) * number


def test_leaving_early_waits_for_nothing_that_was_not_begun(location: Watched) -> None:
    with Ahead(location, NAMES, 2) as ahead:
        ahead.read(NAMES[0])
    assert len(location.seen) <= 3  # type: ignore[attr-defined]


def test_steps_ahead_are_bounded_by_their_size() -> None:
    assert steps_ahead(3_000_000) == TRANSFERS and steps_ahead(50_000_000) == 5 and steps_ahead(170_000_000) == 2


def test_a_server_that_stays_silent_is_an_error_that_names_the_file(
    location: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*arguments: object) -> bytes:
        raise TimeoutError

    monkeypatch.setattr(retries, "PAUSES", ())
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", silent)
    with (
        Ahead(location, NAMES, 4) as ahead,
        pytest.raises(
            InputError, match=r"memory://ahead/03\.nc: cannot be read \(no answer in time\); see to it that it"
        ),
    ):
        ahead.read(NAMES[3])
