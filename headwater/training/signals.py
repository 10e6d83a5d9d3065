"""Asking a run to stop. Handlers only set a flag: a save inside a signal handler can hang or tear a file."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Literal, Self

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


class StopRequests:
    """Listens for Ctrl-C and for the signals of batch systems while its ``with`` block lasts.

    ``requested`` is None, "interrupt" (Ctrl-C) or "preempt" (SIGTERM, SIGUSR1, SIGUSR2, SIGHUP); the first
    request stays. A second Ctrl-C raises KeyboardInterrupt at once. Outside the main thread Python delivers
    no signals: there the block listens to nothing, and only ``request`` sets the flag.
    """

    def __init__(self) -> None:
        self.requested: StopRequest | None = None
        self._interrupts = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _MEANINGS:
                if (number := getattr(signal, name, None)) is not None:
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
                "stopped by Ctrl-C before there was anything to save; start again when you like"
            )
        if self.requested == "preempt":
            raise PreemptedError(
                "asked to end before there was anything to save; start the same command again"
            )

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self.request(_MEANINGS[name])
        if name == "SIGINT":
            self._interrupts += 1
        if self._interrupts > 1:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt
