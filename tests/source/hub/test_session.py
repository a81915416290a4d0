"""The real client at a hub that says nothing: every client that the library makes itself gives up."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from hub_server import Fault
from subgrid.source.hub import session
from subgrid.source.hub.session import limit_silence

huggingface_hub = pytest.importorskip("huggingface_hub")
HfApi = huggingface_hub.HfApi  # imported when it is first named, which takes its time


@pytest.fixture
def silent(hub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A hub that answers nothing for three seconds; a tenth of a second is taken for silence."""
    monkeypatch.setattr(session, "SILENCE", 0.1)
    monkeypatch.setattr(session, "COMMIT", 0.3)
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
    hub.faults = [Fault("/api/", pause=3.0, times=99, at="hub")]
    return hub


def seconds(ask: Callable[[], object]) -> float:
    """How long a call takes until it gives up."""
    start = time.monotonic()
    with pytest.raises(httpx2.TimeoutException):
        ask()
    return time.monotonic() - start


def look(url: str) -> object:
    return HfApi(endpoint=url).dataset_info("LEAP/ClimSim_low-res")


def test_a_new_client_has_the_limit_too(silent: Any) -> None:
    """The library drops its client after a failed connection, and in a forked process."""
    limit_silence()
    assert seconds(lambda: look(silent.url)) < 1
    huggingface_hub.utils.close_session()
    assert seconds(lambda: look(silent.url)) < 1


def test_what_writes_is_waited_for_longer(silent: Any) -> None:
    limit_silence()
    post = huggingface_hub.get_session().post
    assert 0.3 <= seconds(lambda: post(f"{silent.url}/api/datasets/LEAP/ClimSim_low-res/commit/main", timeout=None)) < 1


def test_a_limit_of_the_caller_and_a_factory_of_the_user_stay(
    silent: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import _http

    request.addfinalizer(lambda factory=_http._GLOBAL_CLIENT_FACTORY: huggingface_hub.set_client_factory(factory))
    made: list[httpx2.Client] = []

    def own() -> httpx2.Client:
        made.append(httpx2.Client(headers={"X-Own": "yes"}, timeout=None))
        return made[-1]

    huggingface_hub.set_client_factory(own)
    for _ in range(2):
        limit_silence()
        assert seconds(lambda: look(silent.url)) < 1
    assert len(made) == 1 and silent.asked[-1].headers["x-own"] == "yes"
    get = huggingface_hub.get_session().get
    assert 0.5 <= seconds(lambda: get(f"{silent.url}/api/datasets/LEAP/ClimSim_low-res", timeout=0.5)) < 2
