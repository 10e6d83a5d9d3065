"""What a finished run answers: evaluate, predict, embed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from headwater.data.arrays import holds_array
from headwater.data.cutting import cut_like
from headwater.data.examples import Content, texts_in
from headwater.data.kinds import PathLike, Side
from headwater.data.pair_cut import PairCut, RowCut
from headwater.data.readers.clips import Clip
from headwater.data.readers.columns import listed
from headwater.data.readers.histories import history_of
from headwater.data.readers.media import Decoded
from headwater.data.readers.pictures import Pixels
from headwater.data.readers.sounds import Recording
from headwater.data.sequencers import Patches, Sides, Tokenizer
from headwater.errors import BadDataError, UsageError
from headwater.evaluation.metrics.recognition import RecognitionReport
from headwater.evaluation.metrics.text import TextReport
from headwater.evaluation.metrics.written import spread
from headwater.models import TwoTowers
from headwater.run.asked_pairs import PAIR, pair_of
from headwater.run.asked_rows import Asking, RowKind
from headwater.run.captions_page import write_captions
from headwater.run.fitting import inputs_of
from headwater.run.folder import RunFolder
from headwater.run.foretelling import judge_foretelling
from headwater.run.judging_pretext import judge_pretext
from headwater.run.labelled import left_out
from headwater.run.named_medium import picture_of
from headwater.run.pairs import cuts_like
from headwater.run.reading import Reader
from headwater.run.seen import fine_tuned_on
from headwater.run.starting import WORD_HEAD
from headwater.run.tasks import TASKS, Task, task_kind
from headwater.run.tasks.task import Report
from headwater.training.progress import Progress

Asked = str | Path | Sequence[str | Path | NDArray[Any]] | Mapping[str, Any] | NDArray[Any]
"""What Python asks about: a text, several texts of one row, a picture or a recording as a file or as an array, both
sides of a pair."""


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
        if (cut := self._asked_cut(text)) is not None:
            return Asking("pictures", cut=cut)
        if vectors and self._kind == "pairs":
            return Asking("texts", tuple(text) if text else self.text_columns)
        if self._kind == "histories":
            return Asking("histories", self.text_columns, events=tuple(text) if text else None)
        return Asking(self._kind, self._columns(text))

    @property
    def _known_task(self) -> type[Task[Any]] | None:
        return TASKS.get(str(self.card.get("task")))

    @property
    def _kind(self) -> RowKind:
        if (task := self._known_task) is None:
            return "texts"
        if task.reads_histories:
            return "histories"
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
    def cut(self) -> RowCut | None:
        """How pictures or both sides of pairs are cut, where the model reads them."""
        sequencer = self.reader.sequencer
        if isinstance(sequencer, Sides):
            columns: Mapping[Side, Sequence[str]] = self.card.get("side_columns") or {}
            named: dict[Side, tuple[str, ...]] = {side: tuple(names) for side, names in columns.items()}
            return PairCut(sequencer.kinds, cuts_like(sequencer), named, remembered=True)
        if not isinstance(sequencer, Patches):
            return None
        task, cut = self._known_task, cut_like(sequencer)
        return cut.for_whole() if task is not None and task.reads_whole else cut

    def _asked_cut(self, text: Sequence[str] | None) -> RowCut | None:
        """The same where other columns of text are named."""
        cut = self.cut
        return cut.asking(text) if text and isinstance(cut, PairCut) else cut

    def contents(self, asked: Asked | Iterable[Asked]) -> list[Content]:
        """What Python asks about, as the model reads it; BadDataError for a file that is no picture."""
        asked = [cast(Asked, asked)] if isinstance(asked, str | Path | Mapping) else asked
        cut, sequencer = self.cut, self.reader.sequencer
        if cut is None:
            return [self._texts_of(row) for row in asked]
        if isinstance(cut, PairCut):
            assert isinstance(sequencer, Sides)
            sides = (sequencer.first, sequencer.second)
            return [pair_of(row, cut, lambda values, place: _array(values, sides[place])) for row in asked]
        assert isinstance(sequencer, Patches)
        return [
            picture_of(str(row), cut) if isinstance(row, str | Path) else _array(row, sequencer)
            for row in asked
        ]

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
        tower, backbone = self.reader.tower, self.reader.model.backbone
        if isinstance(backbone, TwoTowers):
            return backbone.features_width
        return backbone.width if tower is None else tower.projection.out_features

    def predict(self, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The answer to each row, as its task answers."""
        if self._kind == "pairs" and (halves := [row for row in texts_in(contents) if len(row) != PAIR]):
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


def _array(given: Any, patches: Tokenizer | Patches) -> Pixels:
    """An array from Python as a model reads it: a picture (H, W) or (H, W, K), frames of a clip (T, H, W, K), or
    samples at the rate that the model hears."""
    assert isinstance(patches, Patches)
    values: NDArray[Any] = np.asarray(given)
    expected = (
        {1: "(samples,)"}
        if patches.mel
        else {4: "(T, H, W, K)"}
        if patches.film
        else {2: "(H, W)", 3: "(H, W, K)"}
    )
    if values.dtype.kind not in "uif" or values.ndim not in expected:
        raise UsageError(f"found {given!r:.80}; expected a file or an array {' or '.join(expected.values())}")
    decoded: Decoded
    if patches.mel is not None:
        decoded = Recording(values.astype(np.int16), patches.mel.rate)
    elif patches.film is not None:
        decoded = Clip(values.astype(np.uint8), None)
    else:
        decoded = (values[..., None] if values.ndim == 2 else values).astype(np.uint8)
    return cut_like(patches).array(decoded)


def _checked_card(card: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    kinds: dict[str, type | tuple[type, ...]] = {
        "task": str,
        "length": (int, type(None)),
        "labels": (list, type(None)),
        "text": (list, type(None)),
        "side_columns": (dict, type(None)),
    }
    for name, kind in kinds.items():
        value: Any = card.get(name)
        listed_by_side = not isinstance(value, dict) or all(isinstance(part, list) for part in value.values())
        if not isinstance(value, kind) or not listed_by_side:
            raise BadDataError(
                f"{path / 'model' / 'headwater.json'} is missing or was edited: '{name}' is {value!r}; "
                "restore the file, or make the run again"
            )
    return card
