"""Waits against their formula, headers against RFC 9110 and what the hub sends, threads that share one pace."""

import threading
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgrid.source.hub.pace import DownloadStoppedError, Pace, Patience, asked_wait

PATIENCE = Patience(first=2.0, longest=60.0)


@given(st.integers(1, 40), st.floats(0, 1))
def test_waits_double_up_to_the_longest_and_lie_within_a_half(attempt: int, draw: float) -> None:
    full = min(60.0, 2.0 * 2 ** (attempt - 1))
    assert full / 2 <= PATIENCE.wait(attempt, draw=lambda: draw) <= full


def test_the_draw_spreads_the_waits() -> None:
    waits = {PATIENCE.wait(3) for _ in range(50)}
    assert len(waits) > 40 and max(waits) - min(waits) > 1


@given(st.floats(0, 900), st.floats(0, 1))
def test_nobody_comes_back_before_the_server_said(asked: float, draw: float) -> None:
    assert asked <= PATIENCE.wait(1, asked, draw=lambda: draw) <= asked + 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": formatdate(1_000_090, usegmt=True)}, 90.0),
        ({"Retry-After": formatdate(900_000, usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55.0),
        ({"RateLimit": '"resolvers";r=12;t=55'}, None),
        ({"Retry-After": "3", "RateLimit": '"resolvers";r=0;t=55'}, 3.0),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers, now=lambda: 1_000_000.0) == seconds


def test_a_wait_that_was_asked_for_holds_all_threads() -> None:
    pace, start, back = Pace(Patience(first=0.0)), time.monotonic(), []
    limited = threading.Thread(target=pace.after, args=(1, 0.3))
    limited.start()
    time.sleep(0.05)
    other = threading.Thread(target=lambda: (pace.before(), back.append(time.monotonic())))
    other.start()
    limited.join()
    other.join()
    assert 0.3 <= back[0] - start < 2


def test_a_stop_ends_a_wait_at_once() -> None:
    pace = Pace(Patience(first=60.0))
    threading.Timer(0.1, pace.stop.set).start()
    start = time.monotonic()
    with pytest.raises(DownloadStoppedError):
        pace.after(1)
    assert time.monotonic() - start < 5
    for ask in (pace.before, pace.check):
        with pytest.raises(DownloadStoppedError):
            ask()
