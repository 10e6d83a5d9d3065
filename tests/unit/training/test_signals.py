import os
import signal
import threading

import pytest

from headwater.errors import InterruptedRunError, PreemptedError
from headwater.training.signals import StopRequests


def _send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_without_a_signal_nothing_is_requested() -> None:
    with StopRequests() as stop:
        stop.check()
        assert stop.requested is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
def test_the_signals_of_batch_systems_ask_for_a_save_and_a_requeue(number: int) -> None:
    with StopRequests() as stop:
        _send(number)
        assert stop.requested == "preempt"
        with pytest.raises(PreemptedError) as raised:
            stop.check()
    assert raised.value.exit_code == 75


def test_ctrl_c_once_only_sets_the_flag() -> None:
    with StopRequests() as stop:
        _send(signal.SIGINT)
        assert stop.requested == "interrupt"
        with pytest.raises(InterruptedRunError) as raised:
            stop.check()
    assert raised.value.exit_code == 130


def test_ctrl_c_twice_stops_at_once() -> None:
    with StopRequests() as stop:
        _send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            _send(signal.SIGINT)
        assert stop.requested == "interrupt"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_first_request_stays() -> None:
    with StopRequests() as stop:
        _send(signal.SIGTERM)
        _send(signal.SIGINT)
        assert stop.requested == "preempt"


def test_handlers_are_as_before_afterwards_even_after_an_error() -> None:
    heard: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        with pytest.raises(ZeroDivisionError), StopRequests():
            raise ZeroDivisionError
        _send(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert heard == [signal.SIGUSR1]


def test_a_block_inside_a_block_hands_back_to_the_outer_one() -> None:
    with StopRequests() as outer:
        with StopRequests() as inner:
            _send(signal.SIGTERM)
        assert (inner.requested, outer.requested) == ("preempt", None)
        _send(signal.SIGTERM)
        assert outer.requested == "preempt"


def test_what_the_program_was_started_to_ignore_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with StopRequests() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.requested is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_it_listens_to_nothing_and_can_be_asked_by_hand() -> None:
    found: list[str | None] = []

    def work() -> None:
        with StopRequests() as stop:
            stop.request("interrupt")
            found.append(stop.requested)

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["interrupt"]
    assert signal.getsignal(signal.SIGTERM) is before
