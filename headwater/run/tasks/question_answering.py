"""Extractive question answering as a run does it: the part of a text that answers a question, or nothing.

A document of any length is read in windows; the best answer over all of them is given, with its place in characters.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headwater.data.batches import BatchStream, WindowBatches
from headwater.data.examples import Content, Example, LabelledSet, texts_in
from headwater.data.question_windows import OVERLAP, QuestionWindows
from headwater.data.readers.questions import answers_of, missing_part
from headwater.data.targets import Labels
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError, SettingsError, UsageError
from headwater.evaluation.metrics.answers import (
    Answered,
    AnswerReport,
    answer_report,
    answer_scores,
    best_threshold,
    nearest_sentence,
)
from headwater.models import TransformerSettings
from headwater.objectives.question_answering import QuestionAnswering, best_spans, window_losses
from headwater.run.deriving import Habits
from headwater.run.fitting import labelled_batches
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings, TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH, StartingPoint
from headwater.run.tasks.task import Say, Task
from headwater.sequence import Batch

LONGEST_ANSWER = OVERLAP
"""Tokens: longer answers are learnt from where a window holds them, and never given."""
LONGEST_WINDOW = 384
"""Tokens of a window unless the run that is begun from read longer ones; BERT's on SQuAD (Devlin et al. 2019)."""

Texts = Sequence[tuple[str, ...]]
Borders = tuple[int, int]


class Found(NamedTuple):
    """The best answer of all windows: characters start … end − 1 of the context.

    ``score`` is log p(answer) − log p(nothing) in the window that holds it; the probabilities are those of its window.
    """

    start: int
    end: int
    score: float
    probability: float
    of_nothing: float


@dataclass(frozen=True)
class QuestionAnsweringTask(Task[Tokenizer]):
    """The part of a context that answers a question; or nothing, where some training rows had no answer.

    Nothing is answered where log p(answer) − log p(nothing) is not above ``threshold``: 0, or what validation rows say.
    """

    unanswerable: bool
    threshold: float = 0.0

    head: ClassVar[str] = "question_answering"
    labels_are: ClassVar = "answers"
    habits: ClassVar[Habits] = Habits(epochs=6)  # of questions; a long context has two or three windows

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Whether there are questions without an answer; there must be some that have one."""
        answered = sum(bool(answers_of(example.label or "[]")) for example in rows.examples)
        if not answered:
            raise BadDataError(
                f"{rows.examples[0].path}: none of {len(rows):,} questions has an answer in column "
                f"'{rows.label_column}'; expected answers that stand in the context: name their column with --label"
            )
        return cls(name, answered < len(rows))

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """Whether the model may answer nothing."""
        return cls(str(card["task"]), bool(card["unanswerable"]), float(card.get("threshold", 0.0)))

    @property
    def card(self) -> dict[str, Any]:
        """Whether and when the model answers nothing, and how long its answers are at most."""
        return {
            "unanswerable": self.unanswerable,
            "threshold": self.threshold,
            "longest_answer": LONGEST_ANSWER,
        }

    def remark(self, rows: LabelledSet) -> str:
        """How many questions, contexts and answers."""
        contexts = len({example.texts[1] for example in rows.examples})
        without = sum(not answers_of(example.label or "[]") for example in rows.examples)
        nothing = (
            f"{without:,} without an answer: nothing may be answered" if without else "all with an answer"
        )
        return (
            f"{len(rows):,} questions on {contexts:,} contexts, {nothing}; text: {', '.join(rows.text_columns)}; "
            f"answers in column '{rows.label_column}'; an answer is at most {LONGEST_ANSWER} tokens long"
        )

    def window(self, rows: LabelledSet, start: StartingPoint) -> int:
        """As many tokens as 95 of 100 questions have with their contexts, 384 at most.

        Of windows that hold a context in pieces most have no answer, and that is what is learnt first. Positions that
        were learnt one by one end where the training ended.
        """
        settings, tokenizer = start.settings, start.sequencer
        learnt = isinstance(settings, TransformerSettings) and settings.longest_row is not None
        if (learnt and start.weights is not None) or not isinstance(tokenizer, Tokenizer):
            return start.length
        sides = zip(*(example.texts for example in rows.examples), strict=True)
        tokens = sum(tokenizer.encode_flat(side)[1] for side in sides)
        usual = int(np.quantile(tokens, 0.95, method="lower")) + 3  # [CLS] question [SEP] context [SEP]
        return max(start.length, min(LONGEST_WINDOW, usual))

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> QuestionAnswering:
        """Where the answer begins and where it ends."""
        if settings.label_smoothing:
            raise SettingsError(
                f"objective.label_smoothing = {settings.label_smoothing}; question answering has no smoothing, because "
                "most tokens cannot be an answer: leave it out"
            )
        return QuestionAnswering(tokenizer)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> "QuestionRows":
        """Questions, contexts, and the borders of one answer each; they become tokens with the windows."""
        del tokenizer
        return QuestionRows(
            [example.texts for example in examples], [_borders(example) for example in examples]
        )

    def unread(self, examples: Sequence[Example], tokenizer: Tokenizer, length: int) -> str:
        """How many questions are cut, and how many are not learnt from because no window holds their answer."""
        rows = self.rows(examples, tokenizer)
        windows = QuestionWindows.of(rows.texts, tokenizer, length)
        said = [_said_of_cuts(windows, length)]
        if lost := len(rows) - len(rows.learnable(windows)):
            said.append(
                f"{lost:,} answers are too long to be whole in {length} tokens; their questions are not learnt from"
            )
        return "; ".join(filter(None, said))

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The loss a window, exact matches and F1."""
        rows = self.rows(examples, reader.tokenizer)
        windows = QuestionWindows.of(rows.texts, reader.tokenizer, reader.length)
        labels = Labels(windows.targets(rows.borders))
        references = _references(examples)
        objective = QuestionAnswering(reader.tokenizer)

        def losses_and_spans(batch: Batch) -> Tensor:
            scores = objective.scores(reader.model, batch)
            borders = labels.into(batch).labels
            assert borders is not None
            losses = window_losses(scores, borders.to(scores.device))
            return torch.cat([losses[:, None], best_spans(scores, LONGEST_ANSWER)], dim=1)

        def judged() -> dict[str, float]:
            numbers = reader.of_every_row(losses_and_spans, windows.tokens)
            answers = self._texts(_best_of_windows(windows, numbers[:, 1:]), rows.texts)
            exact, f1 = answer_scores(answers, references).mean(axis=0)
            return {"loss": float(numbers[:, 0].mean()), "f1": float(f1), "exact_match": float(exact)}

        return judged

    def settled(self, reader: Reader, validation: Sequence[Example]) -> Self:
        """The threshold of "nothing" with which the validation rows have the highest F1."""
        references = _references(validation)
        if not self.unanswerable or all(references):
            return self
        texts = [example.texts for example in validation]
        found = _found(reader, QuestionWindows.of(texts, reader.tokenizer, reader.length))
        answers = replace(self, unanswerable=False)._texts(found, texts)
        of_answers = answer_scores(answers, references)[:, 1]
        of_nothing = answer_scores([None] * len(texts), references)[:, 1]
        return replace(self, threshold=best_threshold([best.score for best in found], of_answers, of_nothing))

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> AnswerReport:
        """Exact matches and F1, of the model and of the nearest sentence."""
        texts, references = [example.texts for example in given.examples], _references(given.examples)
        windows = QuestionWindows.of(texts, reader.tokenizer, reader.length)
        if said := _said_of_cuts(windows, reader.length):
            say(said)
        without = sum(not texts for texts in references)
        if without and not self.unanswerable:
            say(
                f"{without:,} of {len(given):,} questions have no answer, and the model has learnt to answer all: they "
                "count as wrong"
            )
        answers = self._texts(_found(reader, windows), texts)
        return answer_report(answers, references, [nearest_sentence(*pair) for pair in texts])

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The answer with its place in the context, in characters, or null where nothing is answered.

        ``score`` is the logarithm of how much likelier the answer is than nothing.
        """
        texts = texts_in(contents)
        _require_questions(texts)
        windows = QuestionWindows.of(texts, reader.tokenizer, reader.length)
        found = _found(reader, windows)
        for number, (best, text) in enumerate(zip(found, self._texts(found, texts), strict=True)):
            nothing = text is None
            yield {
                "answer": text,
                "start": None if nothing else best.start,
                "end": None if nothing else best.end,
                "probability": round(best.of_nothing if nothing else best.probability, 6),
                "score": round(best.score, 4),
                **({"question_cut": True} if number in windows.cut else {}),
            }

    def _texts(self, found: Sequence[Found], texts: Texts) -> list[Answered]:
        """The texts of answers; None where nothing may be answered and no answer is above the threshold."""
        return [
            None if self.unanswerable and best.score <= self.threshold else context[best.start : best.end]
            for best, (_, context) in zip(found, texts, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class QuestionRows:
    """Questions with their contexts, and the characters of one answer to each, or None."""

    texts: Texts
    borders: Sequence[Borders | None]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
        """Training batches over windows as long as the model reads."""
        windows = QuestionWindows.of(self.texts, tokenizer, training.length or DEFAULT_LENGTH)
        learnable, targets = self.learnable(windows), windows.targets(self.borders)
        kept = [row for row, window in enumerate(windows.windows) if window.question in learnable]
        tokens = windows.tokens
        stream = labelled_batches([tokens[row] for row in kept], Labels(targets[kept]), tokenizer, training)
        return WindowBatches(stream, [windows.windows[row].question for row in kept])

    def learnable(self, windows: QuestionWindows) -> set[int]:
        """The questions whose answer is whole in some window; of the others every window would say "nothing"."""
        targets = windows.targets(self.borders)
        whole = {window.question for window, (_, end) in zip(windows.windows, targets, strict=True) if end}
        return whole | {number for number, borders in enumerate(self.borders) if borders is None}

    def __len__(self) -> int:
        return len(self.texts)


def _borders(example: Example) -> Borders | None:
    """The characters of the answer that most people gave, of the first one where they differ; None for nothing."""
    answers = answers_of(example.label or "[]")
    if not answers:
        return None
    (text, start), _ = Counter(answers).most_common(1)[0]
    return start, start + len(text)


def _references(examples: Sequence[Example]) -> list[list[str]]:
    return [[answer.text for answer in answers_of(example.label or "[]")] for example in examples]


def _require_questions(texts: Texts) -> None:
    for number, pair in enumerate(texts, start=1):
        if reason := missing_part(pair):
            raise UsageError(
                f'row {number}: {reason}; question answering reads both: predict([("Who came?", "Anna came.")])'
            )


def _said_of_cuts(windows: QuestionWindows, length: int) -> str:
    cut = len(windows.cut)
    return f"{cut:,} questions are longer than half of {length} tokens and lose their end" if cut else ""


def _found(reader: Reader, windows: QuestionWindows) -> list[Found]:
    """The best answer to each question."""
    objective = QuestionAnswering(reader.tokenizer)
    numbers = reader.of_every_row(
        lambda batch: best_spans(objective.scores(reader.model, batch), LONGEST_ANSWER), windows.tokens
    )
    return _best_of_windows(windows, numbers)


def _best_of_windows(windows: QuestionWindows, numbers: NDArray[np.float32]) -> list[Found]:
    """The best answer to each question: the one that is likeliest against "nothing" in its own window.

    ``numbers`` are those of ``best_spans``, one line a window. Windows are compared by log p(answer) − log p(nothing),
    because probabilities are shares of what one window holds.
    """
    if not windows.windows:
        return []
    scores = numbers[:, 2] - numbers[:, 3]
    best: dict[int, int] = {}
    for row, window in enumerate(windows.windows):
        if window.question not in best or scores[row] > scores[best[window.question]]:
            best[window.question] = row
    found: list[Found] = []
    for row in best.values():  # windows come in the order of their questions
        first, last, answer, nothing = numbers[row].tolist()
        start, end = windows.span(row, int(first), int(last))
        found.append(Found(start, end, float(scores[row]), float(np.exp(answer)), float(np.exp(nothing))))
    return found
