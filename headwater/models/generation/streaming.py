"""Tokens turned into text as they come: whole characters only, and nothing that may turn out to be a stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Takes tokens one by one and gives the text that is sure.

    A token may end in the middle of a character: its bytes wait for the rest. Text that could be the beginning of one
    of ``stops`` waits too; once one is found the text ends before it.
    """

    def __init__(self, pieces: Sequence[bytes], stops: Sequence[str] = ()) -> None:
        self._pieces, self._stops = pieces, tuple(stop for stop in stops if stop)
        self._bytes = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._waiting = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that has become sure with this token."""
        self._waiting += self._bytes.decode(self._pieces[token])
        return self._sure()

    def end(self) -> str:
        """What still waits when no token comes any more."""
        self._waiting += self._bytes.decode(b"", final=True)
        sure = self._sure()
        rest, self._waiting = self._waiting, ""
        return sure + ("" if self.stopped else rest)

    def _sure(self) -> str:
        if self.stopped:
            return ""
        found = [place for stop in self._stops if (place := self._waiting.find(stop)) >= 0]
        if found:
            self.stopped = True
            sure, self._waiting = self._waiting[: min(found)], ""
            return sure
        held = max((_overlap(self._waiting, stop) for stop in self._stops), default=0)
        cut = len(self._waiting) - held
        sure, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return sure


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of the text are the beginning of ``stop``."""
    most = min(len(text), len(stop) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(stop[:size])), 0)
