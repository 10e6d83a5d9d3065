"""How far along a run is, on stderr: a bar on a terminal, plain lines elsewhere, nothing if quiet."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

_PATIENCE = 2.0  # seconds: what is over sooner needs no bar
_REFRESH = 0.2


@dataclass(slots=True)
class _Stage:
    name: str
    total: int | None
    began: float
    start: int = 0
    done: int = 0
    tokens: float = 0.0
    shown: bool = False
    numbers: dict[str, float] = field(default_factory=dict[str, float])


class Progress:
    """Tells a person how far along things are; a context manager that leaves the terminal as it was.

    Reports come as ``stage`` and ``update`` or, for data building, through ``report``. A stage that is over
    within two seconds never shows. The bar honours NO_COLOR; with TERM=dumb, or where stderr is no terminal,
    there is one plain line every ``line_seconds`` instead.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        line_seconds: float = 30.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._line_seconds = line_seconds
        self._clock = clock
        self._bar = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._console = Console(file=self._stream, highlight=False)
        self._live: Live | None = None
        self._stage: _Stage | None = None
        self._spoke = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stage(self, name: str, total: int | None = None, *, start: int = 0) -> None:
        """Begin something that takes ``total`` steps (None: nobody knows), ``start`` of them done before."""
        self.close()
        self._spoke = self._clock()
        self._stage = _Stage(name, total, self._spoke, start=start, done=start)

    def update(self, done: int, **numbers: float) -> None:
        """``done`` steps are over; the numbers show as they are.

        ``tokens`` alone is different: it counts those since the last update and shows as tokens/s.
        """
        stage = self._stage
        if stage is None or self._quiet:
            return
        stage.done = done
        stage.tokens += numbers.pop("tokens", 0.0)
        stage.numbers.update(numbers)
        now = self._clock()
        waited = now - self._spoke
        if now - stage.began >= _PATIENCE and (waited >= (_REFRESH if self._bar else self._line_seconds)):
            self._spoke = now
            self._show(stage, now - stage.began)

    def report(self, stage: str, done: int, total: int | None) -> None:
        """The same as one call: a new name begins a new stage."""
        if self._stage is None or self._stage.name != stage:
            self.stage(stage, total)
        self.update(done)

    def say(self, text: str) -> None:
        """A line of its own, above the bar if there is one."""
        if not self._quiet:
            self._console.print(text, markup=False, soft_wrap=True)

    def close(self) -> None:
        """End the stage: the bar goes, and one line says what was done, if anything was shown."""
        stage, self._stage = self._stage, None
        if self._live is not None:
            self._live.stop()
            self._live = None
        if stage is not None and stage.shown:
            words = [
                f"{stage.name}: {_count(stage)} in {duration(self._clock() - stage.began)}",
                *_numbers(stage),
            ]
            self.say(", ".join(words))

    def _show(self, stage: _Stage, elapsed: float) -> None:
        stage.shown = True
        if not self._bar:
            self.say(
                f"{stage.name}: " + ", ".join([_count(stage), *_numbers(stage), *_speed(stage, elapsed)])
            )
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(_row(stage, elapsed), refresh=True)


def duration(seconds: float) -> str:
    """A time in the two units a person would use: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _row(stage: _Stage, elapsed: float) -> Table:
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=stage.total, completed=stage.done, width=24, pulse=stage.total is None)
    row.add_row(stage.name, bar, ", ".join([_count(stage), *_numbers(stage), *_speed(stage, elapsed)]))
    return row


def _count(stage: _Stage) -> str:
    if stage.total is None:
        return f"{stage.done:,}"
    share = 100 * stage.done // max(1, stage.total)
    return f"{stage.done:,} of {stage.total:,} ({share} %)"


def _numbers(stage: _Stage) -> list[str]:
    return [f"{name.replace('_', ' ')} {number:.4g}" for name, number in stage.numbers.items()]


def _speed(stage: _Stage, elapsed: float) -> list[str]:
    words: list[str] = []
    if stage.tokens:
        words.append(f"{stage.tokens / elapsed:,.0f} tokens/s")
    here = stage.done - stage.start
    if stage.total is not None and here > 0 and stage.done < stage.total:
        words.append(f"{duration((stage.total - stage.done) * elapsed / here)} left")
    return words
