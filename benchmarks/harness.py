"""Fair timing on a machine that is never quite quiet: contestants in processes of their own, taking turns.

Each contestant lives in a process of its own, because threads, the allocator and denormal flushing are
settings of a whole process. They run one after another, A B C A B C …, so that a slow minute hits all alike,
and what is quoted is the median of many short segments with the range beside it. Wall-clock time is what a
user waits for; processor time (of all threads) is what is left when other programs steal the cores.
"""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import headwater as hw

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Segment:
    """One turn of a contestant: how much it did, how long the clock and the processors ran."""

    work: float  # real tokens, bytes or calls
    wall: float  # seconds
    cpu: float  # seconds of all threads together


class Stage:
    """A contestant's side of the race: it waits for its turn, and says what it did in it.

    What libraries print goes to standard error, so that the line to the master carries messages alone.
    """

    def __init__(self) -> None:
        self._line = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def say(self, **numbers: object) -> None:
        """One message to the master."""
        self._line.write(json.dumps(numbers) + "\n")

    def next_turn(self) -> bool:
        """Wait; True for another turn, False when the race is over."""
        return sys.stdin.readline().strip() == "go"

    def turn(self, work: Callable[[], float]) -> bool:
        """Wait for a turn, time ``work`` (which returns how much it did) and report; False at the end."""
        if not self.next_turn():
            return False
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        self.say(work=done, wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)
        return True


@dataclass(slots=True)
class Contestant:
    """The master's side: a process that has warmed up and waits."""

    name: str
    process: subprocess.Popen[str]
    ready: dict[str, Any] = field(default_factory=dict[str, Any])
    segments: list[Segment] = field(default_factory=list[Segment])

    @classmethod
    def start(
        cls, name: str, arguments: Sequence[str], *, threads: int, log: IO[str] | None = None
    ) -> "Contestant":
        """Start ``python arguments`` on so many threads, and wait until it is warm."""
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true",
            "RAYON_NUM_THREADS": str(threads),
        }
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log if log is not None else subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        contestant = cls(name, process)
        contestant.ready = contestant._hear()
        return contestant

    def turn(self) -> Segment:
        """Let it run one segment."""
        self._tell("go")
        self.segments.append(Segment(**self._hear()))
        return self.segments[-1]

    def finish(self) -> dict[str, Any]:
        """End the race for it; what it says at the end."""
        self._tell("stop")
        last = self._hear()
        self.process.wait()
        return last

    def _tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended without a word (exit {self.process.wait()}); see its log")
        return json.loads(line)


@contextmanager
def contestants(
    commands: Mapping[str, Sequence[str]], *, threads: int, logs: Path
) -> Iterator[list[Contestant]]:
    """Start all of them, one after another; none outlives the block."""
    logs.mkdir(parents=True, exist_ok=True)
    running: list[Contestant] = []
    try:
        for name, arguments in commands.items():
            with (logs / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.log").open("w") as log:
                running.append(Contestant.start(name, arguments, threads=threads, log=log))
                print(f"  ready: {name}", flush=True)
        yield running
    finally:
        for contestant in running:
            contestant.process.kill()


def race(running: Sequence[Contestant], rounds: int) -> None:
    """So many rounds; each begins with another contestant."""
    for number in range(rounds):
        turn = number % len(running)
        for contestant in [*running[turn:], *running[:turn]]:
            segment = contestant.turn()
            print(f"  {contestant.name}: {segment.work / segment.wall:,.0f} /s", flush=True)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the smallest and the largest of its samples."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        """The spread of some samples."""
        return cls(statistics.median(samples), min(samples), max(samples))

    def show(self, digits: int = 2, sign: str = "") -> str:
        """``sign`` median (low … high)."""
        return f"{sign}{self.median:,.{digits}f} ({self.low:,.{digits}f} … {self.high:,.{digits}f})"


def rates(segments: Sequence[Segment], clock: str = "wall") -> Spread:
    """Work per second."""
    return Spread.of([segment.work / getattr(segment, clock) for segment in segments])


def ratios(ours: Sequence[Segment], theirs: Sequence[Segment], clock: str = "wall") -> Spread:
    """Our rate over theirs, segment by segment of the same round."""
    pairs = zip(ours, theirs, strict=True)
    return Spread.of([a.work / getattr(a, clock) / (b.work / getattr(b, clock)) for a, b in pairs])


def environment(**more: object) -> dict[str, object]:
    """Date, processor, versions and load: what a number means nothing without."""
    import torch

    from headwater.training.precision import look_at_machine

    machine = look_at_machine("cpu")
    return {
        "date": date.today().isoformat(),
        "processor": machine.name,
        "cores": machine.cores,
        "bf16 instructions": machine.bf16,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load (1, 5, 15 minutes)": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
        "commit": _commit(),
        **more,
    }


def version(package: str) -> str:
    """The installed version of a peer."""
    import importlib.metadata

    return importlib.metadata.version(package)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_results(name: str, facts: Mapping[str, object], text: str, numbers: object) -> Path:
    """``results/DATE-NAME.md`` for readers and ``.json`` for programs."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{facts['date']}-{name}.md"
    said = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    path.write_text(f"{text.rstrip()}\n\n## Where and when\n\n{said}\n", encoding="utf-8")
    kept = {"environment": dict(facts), "numbers": numbers}
    path.with_suffix(".json").write_text(json.dumps(kept, indent=1, default=_plain) + "\n", encoding="utf-8")
    print(f"\n{text}\nwritten: {path}")
    return path


def gone_on(out: Path, make: Callable[[], "hw.Run"]) -> "hw.Run":
    """The run in a folder: finished, gone on with, or made; so that a long series may be killed at any instant."""
    import headwater as hw
    from headwater.run.verbs import open_run

    if not (out / "settings.toml").is_file():
        return make()
    run = open_run(out)
    return run if run.summary.finished else hw.resume(out, quiet=True)


def _plain(value: object) -> object:
    if isinstance(value, Segment | Spread):
        return {name: getattr(value, name) for name in value.__slots__}
    raise TypeError(f"{type(value).__name__} has no place in a results file")


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
