"""What a finished run answers: evaluate, predict, embed."""

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.arrays import holds_array
from headwater.data.cutting import Cut, cut_like
from headwater.data.decoding import flaw
from headwater.data.examples import Content, Example, texts_in
from headwater.data.kinds import PathLike
from headwater.data.labelled_media import read_labelled_media
from headwater.data.problems import Problem, Problems
from headwater.data.readers import read_labelled
from headwater.data.readers.clips import Clip
from headwater.data.readers.columns import listed
from headwater.data.readers.histories import history_of
from headwater.data.readers.json_rows import as_cell
from headwater.data.readers.lines import file_of_lines, read_lines
from headwater.data.readers.media import Decoded, decoded_medium, digest_of
from headwater.data.readers.pictures import Pixels
from headwater.data.readers.questions import missing_part
from headwater.data.readers.sounds import Recording
from headwater.data.sequencers import Patches, Tokenizer
from headwater.errors import BadDataError, UsageError
from headwater.evaluation.metrics.recognition import RecognitionReport
from headwater.evaluation.metrics.text import TextReport
from headwater.evaluation.metrics.written import spread
from headwater.run.captions_page import write_captions
from headwater.run.fitting import inputs_of
from headwater.run.folder import RunFolder
from headwater.run.foretelling import judge_foretelling
from headwater.run.judging_pretext import judge_pretext
from headwater.run.labelled import left_out
from headwater.run.reading import Reader
from headwater.run.seen import fine_tuned_on
from headwater.run.starting import WORD_HEAD
from headwater.run.tasks import TASKS, Task, task_kind
from headwater.run.tasks.task import Report
from headwater.training.progress import Progress

ROWS_AT_A_TIME = 1024
Texts = Sequence[tuple[str, ...]]
AskedRow = Example | Problem
"""A row to answer, or the reason why it cannot be."""
PAIR = 2
"""Texts of a row that are compared."""
RowKind = Literal["texts", "pairs", "questions", "pictures"]
"""Texts without the blanks around them, one of which may be empty; a question and its context, as written; pictures."""
Asked = str | Path | Sequence[str] | Mapping[str, Any] | NDArray[Any]
"""What Python asks about: a text, several texts of one row, a picture or a recording as a file or as an array."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Which rows a model answers: of text, in which columns; of pictures, how they are cut.

    With ``every_line`` each line of plain text is a row, a blank one too.
    """

    kind: RowKind = "texts"
    text: tuple[str, ...] | None = None
    cut: Cut | None = None
    every_line: bool = False


@dataclass(frozen=True, slots=True)
class Answerer:
    """A shipped model that reads texts or pictures."""

    path: Path
    reader: Reader
    card: Mapping[str, Any]

    @classmethod
    def load(cls, folder: RunFolder, rows: PathLike | None = None) -> "Answerer":
        """Load the model folder of a finished run; of pairs, the side that reads ``rows``, or text."""
        reader, card = Reader.of_run(folder, data=rows)
        return cls(folder.path, reader, _checked_card(card, folder.path))

    @property
    def text_columns(self) -> tuple[str, ...] | None:
        """The text columns that the run was trained on, where it knows them."""
        return tuple(self.card["text"]) if self.card.get("text") else None

    def asking(self, text: Sequence[str] | None, *, vectors: bool = False) -> Asking:
        """Which rows the model answers; ``text`` names other columns than it was trained on. ``vectors`` are of any."""
        if self.cut is not None:
            return Asking("pictures", cut=self.cut)
        if vectors and self._kind == "pairs":
            return Asking("texts", tuple(text) if text else self.text_columns)
        return Asking(self._kind, self._columns(text))

    @property
    def _known_task(self) -> type[Task[Any]] | None:
        return TASKS.get(str(self.card.get("task")))

    @property
    def _kind(self) -> RowKind:
        if (task := self._known_task) is None:
            return "texts"
        return "questions" if task.labels_are == "answers" else "pairs" if task.compares else "texts"

    def _columns(self, text: Sequence[str] | None) -> tuple[str, ...] | None:
        columns = ((text,) if isinstance(text, str) else tuple(text)) if text else self.text_columns
        if self._kind == "pairs" and columns and len(columns) != PAIR:
            raise UsageError(
                f"found {len(columns)} column(s) of text ({listed(columns)}); expected two to compare: --text "
                "FIRST,SECOND"
            )
        return columns

    @property
    def cut(self) -> Cut | None:
        """How pictures are cut, where the model reads them."""
        if not isinstance(self.reader.sequencer, Patches):
            return None
        task, cut = self._known_task, cut_like(self.reader.sequencer)
        return cut.for_whole() if task is not None and task.reads_whole else cut

    def contents(self, asked: Asked | Iterable[Asked]) -> list[Content]:
        """What Python asks about, as the model reads it; BadDataError for a file that is no picture."""
        asked = [cast(Asked, asked)] if isinstance(asked, str | Path | Mapping) else asked
        if self.cut is None:
            return [self._texts_of(row) for row in asked]
        found: list[Content] = []
        for row in asked:
            if isinstance(row, str | Path):
                found.append(picture_of(str(row), self.cut))
            else:
                found.append(self.cut.array(self._given(np.asarray(row))))
        return found

    def _texts_of(self, row: object) -> tuple[str, ...]:
        """The texts of a row: one, several, or those of its columns in a mapping."""
        if isinstance(row, Mapping):
            known, columns = cast(Mapping[str, object], row), self.text_columns or ("text",)
            row = [known.get(name) for name in columns]
        texts = (row,) if isinstance(row, str | Path) else tuple(row) if isinstance(row, Iterable) else ()
        if not texts or not all(isinstance(text, str | Path) for text in texts):
            raise UsageError(
                f"found the row {row!r}; expected a text, several of them, or a mapping of columns"
            )
        return tuple(map(str, texts))

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        tower = self.reader.tower
        return self.reader.model.backbone.width if tower is None else tower.projection.out_features

    def _given(self, values: NDArray[Any]) -> Decoded:
        """An array from Python: a picture (H, W) or (H, W, K), frames of a clip (T, H, W, K), or samples at the rate
        that the model hears."""
        patches = self.reader.sequencer
        assert isinstance(patches, Patches)
        if patches.mel is not None:
            return Recording(values.astype(np.int16), patches.mel.rate)
        if patches.film is not None:
            return Clip(values.astype(np.uint8), None)
        return (values[..., None] if values.ndim == 2 else values).astype(np.uint8)

    def predict(self, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The answer to each row, as its task answers."""
        if self._kind == "pairs" and (halves := [row for row in contents if len(row) != PAIR]):
            raise UsageError(f"found a row of {len(halves[0])} text(s); expected two to compare")
        return self._task().answers(self.reader, contents)

    def embed(self, contents: Sequence[Content]) -> NDArray[np.float32]:
        """One vector a row: (rows, width)."""
        if self.cut is None and self.reader.tokenizer.unknown is not None:
            contents = [(history_of("\n".join(text)),) for text in texts_in(contents)]
        return self.reader.vectors(inputs_of(contents, self.reader.sequencer))

    def evaluate(
        self, test: Path, *, text: Sequence[str] | None, label: str | None, progress: Progress
    ) -> Report:
        """What is found on labelled rows, with intervals; of a language model, on texts."""
        if self._foretells:
            if self.reader.pen is not None:
                raise UsageError(
                    "probabilities of texts are read by torch, whatever writes; leave --engine out"
                )
            columns = tuple(text) if text else None
            return judge_foretelling(self.reader, test, text=columns, progress=progress)
        if self.card.get("kind") == "pretrain":
            if self.reader.pen is not None:
                raise UsageError("a pretext task is judged by torch; leave --engine out")
            columns = tuple(text) if text else None
            return judge_pretext(RunFolder(self.path), self.reader, test, text=columns, progress=progress)
        task = self._task().in_run(RunFolder(self.path))
        given = task.read_rows(
            test,
            text=self._columns(text) if text else task.judged_columns or self.text_columns,
            label=label or self._label_name(test),
            split="test",
            cut=self.cut,
        )
        for line in left_out(given.problems):
            progress.say(line)
        if again := fine_tuned_on(self.path, given.examples):
            progress.say(
                f"{again:,} of {len(given):,} rows stand among those that the run was fine-tuned on: their score says "
                "nothing about new rows"
            )
        progress.stage(f"judging {len(given):,} rows, parts of them")
        parts = count(1)
        watched = replace(self.reader, check=lambda: progress.update(next(parts)))
        report = task.report(watched, given, progress.say)
        if isinstance(self.reader.sequencer, Patches) and isinstance(report, TextReport | RecognitionReport):
            some = [given.examples[number] for number in spread(len(given))]
            reports = RunFolder(self.path).reports
            page = write_captions(reports, some, report.examples, self.reader.sequencer)
            progress.say(f"what was written, each below its picture: {page}")
        return report

    def _label_name(self, test: Path) -> str | None:
        """The column that held the labels it was trained on, or the array, if ``test`` has one of that name.

        None of folders, nor of an array that belongs to another part, as ``y_train`` does.
        """
        label, place = self.card.get("label"), self.card.get("labels_in", "column")
        if self.cut is None or place == "column":
            return label
        return label if place == "array" and holds_array(test, str(label)) else None

    @property
    def _foretells(self) -> bool:
        """Whether it is a language model as pre-training left it; what draws pictures writes codes, not words."""
        model, words = self.reader.model, isinstance(self.reader.sequencer, Tokenizer)
        untuned = words and self.card.get("task") not in TASKS
        return untuned and WORD_HEAD in model.heads and model.backbone.reads == "past"

    def _task(self) -> Task[Any]:
        name = str(self.card.get("task"))
        if name not in TASKS:
            raise UsageError(
                f"{self.path} was trained for {name}, which gives no answers; fine-tune it first: "
                f"headwater finetune {self.path} LABELS.csv"
            )
        try:
            return task_kind(name, media=self.cut is not None).of_card(self.card)
        except (KeyError, TypeError, ValueError) as problem:
            raise BadDataError(
                f"{self.path / 'model' / 'headwater.json'} was edited: it lacks what {name} needs ({problem}); restore "
                "the file, or make the run again"
            ) from problem


def _checked_card(card: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "task": str,
        "length": (int, type(None)),
        "labels": (list, type(None)),
        "text": (list, type(None)),
    }
    for name, kind in kinds.items():
        if not isinstance(card.get(name), kind):
            raise BadDataError(
                f"{path / 'model' / 'headwater.json'} is missing or was edited: '{name}' is {card.get(name)!r}; "
                "restore the file, or make the run again"
            )
    return card


def read_rows(rows: str, asking: Asking, problems: Problems) -> Iterator[list[AskedRow]]:
    """Rows of a file or of standard input, about a thousand at a time.

    Standard input is JSON lines with the text columns, or plain text, one row a line; of pictures, the name of a file a
    line. A line that cannot be used stands in its place as a Problem. What a file loses is only counted in
    ``problems``.
    """
    asked = _from_standard_input(asking, problems) if rows == "-" else _from_file(rows, asking, problems)
    while part := list(islice(asked, ROWS_AT_A_TIME)):
        yield part


def contents_of(part: Sequence[AskedRow]) -> list[Content]:
    """What the rows hold that can be answered."""
    return [row.content for row in part if isinstance(row, Example)]


def with_errors(part: Sequence[AskedRow], answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The answers in the order of the rows; a row that has none says why in its place."""
    for row in part:
        if isinstance(row, Example):
            yield next(answers) if row.pixels is None else {"path": row.path, "row": row.row, **next(answers)}
        else:
            yield error_of(row)


def error_of(row: Problem) -> dict[str, Any]:
    """Why a row has no answer, in its place."""
    return {"row": row.row, "error": f"{row.reason}{f' ({row.detail})' if row.detail else ''}"}


def refuse_unanswered(problems: Problems) -> None:
    """After the last answer: an exit code for whoever counts on one answer a row."""
    if problems.total or problems.files:
        raise BadDataError(
            f"{problems.summary()}; all other rows were answered: mend these and ask for them again"
        )


def _from_file(rows: str, asking: Asking, problems: Problems) -> Iterator[AskedRow]:
    if asking.every_line and (lines := file_of_lines(rows, asking.text or ())) is not None:
        yield from read_lines(lines, problems)
        return
    if asking.cut is not None:
        found = read_labelled_media(rows, need_labels=False, cut=asking.cut, every_part=True)
    else:
        labels = "answers" if asking.kind == "questions" else "class"
        found = read_labelled(Path(rows), text=asking.text, need_labels=False, labels=labels, every_part=True)
    problems.absorb(found.problems)
    yield from found.examples


def _from_standard_input(asking: Asking, problems: Problems) -> Iterator[AskedRow]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        # Whatever the locale says; what is not UTF-8 is marked, so that one bad byte costs one line.
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="headwater.mark")
    plain = asking.every_line
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            if plain:
                yield Example(("",), None, "standard input", number)
            continue
        # Blank lines between JSON are no rows.
        plain = asking.every_line and not line.lstrip().startswith("{")
        problems.rows += 1
        row = _from_line(line.strip(), number, asking)
        if isinstance(row, Problem):
            problems.add(*row)
        yield row


def _from_line(line: str, number: int, asking: Asking) -> AskedRow:
    if asking.cut is not None:
        return _from_name(line, number, asking.cut)
    text, kind = asking.text or ("text",), asking.kind

    def unusable(reason: str, detail: str = "") -> Problem:
        return Problem("standard input", number, reason, detail)

    cells: list[str | None] = [line]
    if line.startswith("{"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as problem:
            return unusable("invalid JSON", str(problem))
        if not any(name in value for name in text):
            return unusable("no text column", f"expected {', '.join(text)}; found {listed(list(value))}")
        cells = [as_cell(value.get(name)) for name in text]
    texts = tuple(cell or "" if kind == "questions" else (cell or "").strip() for cell in cells)
    reason = next(filter(None, map(flaw, texts)), None) or _missing(texts, kind)
    return unusable(reason) if reason else Example(texts, None, "standard input", number)


def _from_name(name: str, number: int, cut: Cut) -> AskedRow:
    """The picture of that name."""
    try:
        pixels = picture_of(name, cut)
    except BadDataError as problem:
        return Problem("standard input", number, f"no {cut.what.removesuffix('s')}", str(problem))
    return Example((), None, name, number, pixels, digest_of(pixels))


def picture_of(name: str, cut: Cut) -> Pixels:
    """The file of that name as a model reads it; BadDataError with the name and the reason where it cannot be read."""
    try:
        with Path(name).open("rb") as stream:
            content = decoded_medium(stream, cut.kind)
        if reason := cut.unfit(content):
            raise BadDataError(reason)
        return cut.array(content)
    except OSError as problem:
        raise BadDataError(f"{name} cannot be read: {problem.strerror}") from problem
    except BadDataError as problem:
        raise BadDataError(f"{name}: {problem}") from problem


def _missing(texts: tuple[str, ...], kind: RowKind) -> str | None:
    if kind == "questions":
        return missing_part(texts)
    if kind == "pairs" and not (len(texts) == PAIR and all(texts)):
        return "not two texts to compare"
    return None if any(texts) else "empty text"
