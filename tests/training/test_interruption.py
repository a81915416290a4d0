"""A signal becomes a wish; the second Ctrl-C is one no longer."""

import os
import signal
import threading

import pytest

from subgrid.training.interruption import interruption


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_is_granted_by_the_loop(number: signal.Signals, ending: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with interruption() as wish:
        assert not wish
        os.kill(os.getpid(), number)
        assert wish
        assert isinstance(wish.end(), ending)
    assert signal.getsignal(number) is before


def test_sigterm_ends_with_143() -> None:
    with interruption() as wish:
        os.kill(os.getpid(), signal.SIGTERM)
    assert wish.end().args == (143,)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), interruption():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_leave_signals_alone() -> None:
    found: list[bool] = []

    def work() -> None:
        with interruption() as wish:
            found.append(bool(wish))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
