"""Asking a run to stop. Handlers only set a flag: a save inside a signal handler can hang or tear a file."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Literal, Protocol, Self

from headwater.errors import InterruptedRunError, PreemptedError

StopRequest = Literal["interrupt", "preempt"]

# SIGUSR1 and SIGUSR2 are what batch systems send before the time limit; Windows has only the first two.
_MEANINGS: dict[str, StopRequest] = {
    "SIGINT": "interrupt",
    "SIGTERM": "preempt",
    "SIGUSR1": "preempt",
    "SIGUSR2": "preempt",
    "SIGHUP": "preempt",
}


class Ranks(Protocol):
    """The part of ``World`` that is needed here; importing it would load torch."""

    def gather(self, value: Any) -> list[Any]:
        """The value of every rank, on every rank."""
        ...


class StopRequests:
    """Listens for Ctrl-C and for the signals of batch systems while its ``with`` block lasts.

    ``requested`` is None, "interrupt" (Ctrl-C) or "preempt" (SIGTERM, SIGUSR1, SIGUSR2, SIGHUP); the first
    request stays. A second Ctrl-C raises KeyboardInterrupt at once. A signal that whoever started the program had it
    ignore, as ``nohup`` does, stays ignored. ``remedy`` says how to go on where nothing
    was saved yet. Outside the main thread Python delivers
    no signals: there the block listens to nothing, and only ``request`` sets the flag.
    """

    def __init__(self, *, remedy: str = "start the same command again") -> None:
        self.requested: StopRequest | None = None
        self._remedy = remedy
        self._interrupts = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _MEANINGS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            # None stands for a handler that C code installed: Python can neither name nor restore it.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def request(self, reason: StopRequest) -> None:
        """Ask for a stop by hand, as a signal would."""
        self.requested = self.requested or reason

    def check(self) -> None:
        """Raise what was requested: for phases that have no state to save."""
        if self.requested == "interrupt":
            raise InterruptedRunError(
                f"stopped by Ctrl-C; there is nothing to save yet: {self._remedy} when you like"
            )
        if self.requested == "preempt":
            raise PreemptedError(f"asked to end; there is nothing to save yet: {self._remedy}")

    def for_all(self, ranks: Ranks) -> Callable[[], None]:
        """``check`` for several ranks, which all of them call at the same points."""

        def check() -> None:
            self.agree(ranks)
            self.check()

        return check

    def agree(self, ranks: Ranks) -> StopRequest | None:
        """What was asked of any rank, made known to all; every rank calls it at the same point."""
        for request in ranks.gather(self.requested):
            if request is not None:
                self.request(request)
        return self.requested

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self.request(_MEANINGS[name])
        if name == "SIGINT":
            self._interrupts += 1
        if self._interrupts > 1:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
