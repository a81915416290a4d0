"""Raw files from a server that falls silent: asked for again, and given up in the end."""

from pathlib import Path
from typing import Any

import pytest

from subgrid.errors import InputError
from subgrid.source import locations, retries
from subgrid.source.ahead import Ahead
from subgrid.source.locations import Location

NAMES = ["shards/training-00000.tfrecord", "shards/training-00001.tfrecord"]
"""Any files will do."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "ANSWER", 0.5)
    monkeypatch.setattr(retries, "PAUSES", (0.01, 0.01))


@pytest.mark.parametrize("fault", ["stall", "hang"])
def test_a_file_that_does_not_come_is_asked_for_again(web: Any, data: Path, fault: str) -> None:
    web.faults = {"training-00001.tfrecord": [fault]}
    with Ahead(Location(web.url), NAMES, 2) as ahead:
        for name in NAMES:
            assert ahead.read(name).tobytes() == (data / name).read_bytes()
    assert web.served.count(("GET", "training-00001.tfrecord")) == 2


def test_a_server_that_stays_silent_is_given_up(web: Any) -> None:
    web.always = {"training-00000.tfrecord": "stall"}
    with pytest.raises(InputError, match=r"training-00000.tfrecord: cannot be read \(no answer in time\); "):
        Location(web.url).read(NAMES[0])
    assert len(web.served) == 3
