"""Cells side by side: one process a core, one cell a process at a time.

Cells share nothing, so cores need not wait for each other as threads do. A process is told what is asked and then
which cell to train; it keeps the result where the experiment keeps its cells, and answers that it is there.
"""

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from headwater import errors
from headwater.errors import HeadwaterError, TrainingStoppedError
from headwater.experiments.experiment import Experiment, Question
from headwater.experiments.plan import Cell, CellResult, Plan
from headwater.training.progress import Progress
from headwater.training.signals import StopRequests

WORTH_SECONDS = 60.0
"""Below this much work, starting processes costs more than they save."""
_PATIENCE = 0.2


def train_cells(
    experiment: Experiment, plan: Plan, progress: Progress, stop: StopRequests
) -> list[CellResult]:
    """Train every cell of the plan that is not kept from before; stopping loses at most the cells under way."""
    missing = [cell for cell in plan.cells if experiment.kept(cell) is None]
    done = len(plan.cells) - len(missing)
    progress.stage("gain", len(plan.cells), start=done)
    for cell in _trained(experiment, missing, processes_for(plan, len(missing)), stop):
        done += 1
        result = experiment.kept(cell)
        assert result is not None, "a trained cell is kept"
        progress.update(done, **{f"{cell.arm}@{cell.budget}": result.score})
    return [result for cell in plan.cells if (result := experiment.kept(cell)) is not None]


def processes_for(plan: Plan, cells: int) -> int:
    """How many cells are trained at a time: as many as the plan allows; 1 means in this process."""
    if plan.seconds_of_work < WORTH_SECONDS:
        return 1
    return max(1, min(plan.processes, cells))


def _trained(
    experiment: Experiment, cells: Sequence[Cell], processes: int, stop: StopRequests
) -> Iterator[Cell]:
    if processes > 1:
        with Crew(experiment.question, processes) as crew:
            yield from crew.train(cells, experiment.sweep_of, stop.check)
        return
    for cell in cells:
        stop.check()
        experiment.train(cell, stop.check)
        yield cell


class Crew:
    """Processes that train cells; leaving the block ends them."""

    def __init__(self, question: Question, size: int) -> None:
        self._question, self._size = question, size
        self.members: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "headwater.experiments.worker"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        question = json.dumps(dataclasses.asdict(self._question)) + "\n"
        for _ in range(self._size):
            # In a session of its own, so that Ctrl-C reaches this process alone, which then ends the others.
            member = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                start_new_session=True,
            )
            self.members.append(member)
            _tell(member, question)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.kill()  # what it was training is lost, what it kept is whole
        for member in self.members:
            member.wait()
            for pipe in (member.stdin, member.stdout):
                if pipe is not None:
                    _close(pipe)

    def train(
        self, cells: Sequence[Cell], needs: Callable[[Cell], Cell | None], check: Callable[[], None]
    ) -> Iterator[Cell]:
        """Have the cells trained, each after the one that it needs; they are yielded as they are done."""
        waiting, open_ = list(cells), set(cells)
        busy: dict[subprocess.Popen[str], Cell] = {}
        with selectors.DefaultSelector() as selector:
            for member in self.members:
                assert member.stdout is not None
                selector.register(member.stdout, selectors.EVENT_READ, member)
            while open_:
                for member in self.members:
                    ready = next((cell for cell in waiting if needs(cell) not in open_), None)
                    if member not in busy and ready is not None:
                        waiting.remove(ready)
                        busy[member] = ready
                        _tell(member, json.dumps(list(ready)) + "\n")
                for key, _ in selector.select(_PATIENCE):
                    cell = busy.pop(key.data, None)
                    _hear(key.data, cell)
                    if cell is not None:
                        open_.remove(cell)
                        yield cell
                check()


def _tell(member: subprocess.Popen[str], line: str) -> None:
    assert member.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is gone: its answer, which never comes, says so
        member.stdin.write(line)
        member.stdin.flush()


def _hear(member: subprocess.Popen[str], cell: Cell | None) -> None:
    """Wait for the answer; raise what the process could not do, or that it is gone."""
    assert member.stdout is not None
    line = member.stdout.readline()
    if not line:
        raise _gone(member.wait(), cell)
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        kind = getattr(errors, answer["error"], TrainingStoppedError)
        assert issubclass(kind, HeadwaterError)
        raise kind(answer["words"])


def _gone(code: int, cell: Cell | None) -> TrainingStoppedError:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    what = f"{cell.arm} at {cell.budget} labels, seed {cell.seed}" if cell else "its first cell"
    return TrainingStoppedError(
        f"the process that trained {what} {how}; where that is memory, train fewer at a time with "
        "--set machine.threads=1. The finished cells are kept: start the same command again"
    )


def _close(pipe: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # a line that nobody will read any more
        pipe.close()
