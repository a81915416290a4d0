"""A signal becomes a wish; the second Ctrl-C is one no longer."""

import os
import signal
import threading

import pytest

from subgrid.training.interruption import Wish, interruption


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_is_granted_by_the_loop(number: signal.Signals, ending: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with interruption() as wish:
        assert not wish
        os.kill(os.getpid(), number)
        assert wish
        assert isinstance(wish.wish.end(), ending)
    assert signal.getsignal(number) is before


def test_sigterm_ends_with_143() -> None:
    with interruption() as wish:
        os.kill(os.getpid(), signal.SIGTERM)
    assert wish.wish.end().args == (143,)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), interruption():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_a_patient_process_waits_however_often_it_is_asked() -> None:
    with interruption(patient=True) as asked:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert asked.wish == Wish.INTERRUPT  # the first


def test_the_most_urgent_wish_is_the_largest() -> None:
    assert max(Wish.SAVE, Wish.TIME_IS_UP, Wish.GO_ON) == Wish.TIME_IS_UP
    assert [wish for wish in Wish if wish.stops] == [Wish.TIME_IS_UP, Wish.TERMINATE, Wish.INTERRUPT]


def test_other_threads_leave_signals_alone() -> None:
    found: list[bool] = []

    def work() -> None:
        with interruption() as wish:
            found.append(bool(wish))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
