"""Every number of a run, as it happened: one JSON object a line in events.jsonl, and curves for TensorBoard.

A line is {"kind": "train", "step": 120, "time": 1763.2, "loss": 2.31, …}; ``step`` counts optimiser steps
done. Two rules make the file true whatever killed the process: a last line without its end of line never
happened, and a line of kind "resume" at step k takes back every line above it whose step is greater than k.
Of several lines with one kind and step the last counts. JSON knows no NaN: "nan", "inf" and "-inf" stand for
what they say.
"""

import errno
import json
import math
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headwater.errors import BadDataError, MissingInputError, StorageError

FILE = "events.jsonl"
RESUME = "resume"
_GROUPS = {"evaluation": "eval"}
_TAGS = {"train/learning_rate": "lr"}
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

Value = float | int | str | bool | None | list[Any] | dict[str, Any]


class EventLog:
    """Appends to the events of a run; one process writes, any number may read.

    Every line and every point of a curve (tags train/loss, eval/loss, lr …) is in its file when
    ``write`` returns, so a killed process loses nothing. ``resume_at`` is the step whose state the run goes
    on from: what an earlier process wrote after it is taken back, in the file by a "resume" line.
    ``hyperparameters`` stand beside the curves. Raises StorageError.
    """

    def __init__(
        self,
        run_folder: str | Path,
        *,
        resume_at: int | None = None,
        tensorboard: bool = True,
        hyperparameters: Mapping[str, Value] | None = None,
    ) -> None:
        self.path = Path(run_folder) / FILE
        self._resume_at = resume_at
        self._hyperparameters = hyperparameters or {}
        self._curves_folder = self.path.parent / "tensorboard" if tensorboard else None
        self._curves: Curves | None = None
        self._file = -1
        with self._plain_words():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            _cut_torn_line(self._file)
        if resume_at is not None and os.fstat(self._file).st_size:
            self.write(RESUME, step=resume_at)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, kind: str, *, step: int, **values: Value) -> None:
        """Add one line; numbers also become points of the curves "kind/name", of evaluations "eval/name"."""
        event = {"kind": kind, "step": step, "time": round(time.time(), 3), **values}
        line = json.dumps(_spelled(event), ensure_ascii=False, allow_nan=False) + "\n"
        self._append(line.encode("utf-8", errors="surrogatepass"))
        self._draw(kind, step, values)

    def close(self) -> None:
        """Let the files go; a second call does nothing."""
        if self._curves is not None:
            self._curves.close()
            self._curves = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes) -> None:
        before = os.fstat(self._file).st_size
        with self._plain_words():
            try:
                if os.write(self._file, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                os.ftruncate(self._file, before)  # half a line would spoil the next one too
                raise

    def _draw(self, kind: str, step: int, values: dict[str, Value]) -> None:
        tags = {name: f"{_GROUPS.get(kind, kind)}/{name}" for name in values}
        points = {
            _TAGS.get(tags[name], tags[name]): float(value)
            for name, value in values.items()
            if isinstance(value, (int, float))
        }
        if self._curves_folder is None or not points:
            return
        with self._plain_words():
            if self._curves is None:
                self._curves = Curves(self._curves_folder, self._resume_at, self._hyperparameters)
            self._curves.add(step, points)

    @contextmanager
    def _plain_words(self) -> Generator[None]:
        try:
            yield
        except OSError as problem:
            raise StorageError(
                f"{self.path.parent} cannot be written: {problem.strerror or problem}. Free some space or "
                "check the disk, then resume; what was written before is intact"
            ) from problem


class Curves:
    """A TensorBoard event file: curves, and the hyperparameters that its table of runs shows.

    Why not tensorboardX's ``SummaryWriter``: its queue lives in another thread, and on a full disk that
    thread dies and training waits for it forever. Here the error comes back to whoever wrote.
    """

    def __init__(
        self, folder: Path, resume_at: int | None, hyperparameters: Mapping[str, Value] | None = None
    ) -> None:
        # Imported here: a run that logs no number need not load them.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        folder.mkdir(parents=True, exist_ok=True)
        # Protocol buffers make their classes at import time: no type checker can know them.
        messages: Any = event_pb2
        summaries: Any = summary_pb2
        self._event, self._summary = messages.Event, summaries.Summary
        self._writer = EventsWriter(str(folder / "events"), f".{os.getpid()}")
        if resume_at is not None:  # TensorBoard then hides the earlier points from this step on
            start = messages.SessionLog(status=messages.SessionLog.START)
            self._writer.write_event(
                self._event(wall_time=time.time(), step=resume_at + 1, session_log=start)
            )
        if hyperparameters:
            summary = _session_of(hyperparameters)
            self._writer.write_event(self._event(wall_time=time.time(), summary=summary))
        self._writer.flush()

    def add(self, step: int, points: dict[str, float]) -> None:
        """One point a curve."""
        values = [self._summary.Value(tag=tag, simple_value=number) for tag, number in points.items()]
        event = self._event(wall_time=time.time(), step=step, summary=self._summary(value=values))
        self._writer.write_event(event)
        self._writer.flush()

    def close(self) -> None:
        """Let the file go."""
        self._writer.close()


def _session_of(hyperparameters: Mapping[str, Value]) -> Any:
    """What TensorBoard's table of hyperparameters reads of a run."""
    from tensorboardX.proto import plugin_hparams_pb2, summary_pb2

    messages: Any = plugin_hparams_pb2
    summaries: Any = summary_pb2
    start = messages.SessionStartInfo(start_time_secs=time.time())
    for name, value in hyperparameters.items():
        match value:
            case bool():
                start.hparams[name].bool_value = value
            case int() | float():
                start.hparams[name].number_value = value
            case _:
                start.hparams[name].string_value = str(value)
    content = messages.HParamsPluginData(session_start_info=start, version=0).SerializeToString()
    told = summaries.SummaryMetadata.PluginData(plugin_name="hparams", content=content)
    metadata = summaries.SummaryMetadata(plugin_data=told)
    return summaries.Summary(
        value=[summaries.Summary.Value(tag="_hparams_/session_start_info", metadata=metadata)]
    )


def read_events(path: str | Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The events of a run that count, in the order written, of one kind or all but the "resume" marks.

    ``path`` is the run folder or the file. Raises MissingInputError, and BadDataError where a line other than
    the last is no event.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise MissingInputError(f"{file} is not there; expected the events.jsonl of a run folder")
    events: dict[tuple[str, int], dict[str, Any]] = {}
    for number, line in enumerate(file.read_bytes().split(b"\n")[:-1], 1):  # a last piece has no end of line
        event = _parsed(line, file, number)
        if event["kind"] == RESUME:
            events = {key: kept for key, kept in events.items() if key[1] <= event["step"]}
            continue
        key = (event["kind"], event["step"])
        events.pop(key, None)  # so that the last of several also stands last
        events[key] = event
    return [event for event in events.values() if kind in (None, event["kind"])]


def _spelled(value: Value) -> Value:
    """The same value with numbers that are not finite as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_spelled(inner) for inner in value]
    return value


def _parsed(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        event: Any = json.loads(line)
    except ValueError:
        event = None
    known = (
        isinstance(event, dict) and isinstance(event.get("step"), int) and isinstance(event.get("kind"), str)
    )
    if not known:
        raise BadDataError(
            f"{file}, line {number} is no event: {line[:60]!r}; expected a JSON object with a kind and a "
            "step. Remove the line, or restore the file from a backup"
        )
    return {
        name: _NOT_FINITE.get(value, value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def _cut_torn_line(file: int) -> None:
    """Drop a last line that a kill left without its end."""
    size = os.fstat(file).st_size
    end = size
    while end > 0:
        start = max(0, end - 4096)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
