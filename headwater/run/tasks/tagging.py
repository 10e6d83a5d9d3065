"""Tagging as a run does it: one tag a word, spans with their place in the user's text, long sentences in windows."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.batches import BatchStream, WindowBatches
from headwater.data.characters import WITHOUT_BLANKS, marks
from headwater.data.examples import Content, Example, LabelledSet, texts_in
from headwater.data.kinds import Split
from headwater.data.problems import Problems
from headwater.data.readers import read_labelled
from headwater.data.readers.cells import parts_of
from headwater.data.readers.sources import MAX_BAD, refuse_mostly_bad
from headwater.data.readers.tagged import TAGS, TOKENS
from headwater.data.tags import Scheme, spans_of
from headwater.data.targets import NO_LABEL, TokenLabels
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError
from headwater.evaluation.metrics.spans import SpanReport, span_report
from headwater.objectives import Tagging
from headwater.run.fitting import labelled_batches
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings, TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH
from headwater.run.tasks.task import Say, Task

Words = Sequence[str]
_without_blanks = re.compile(f"[{WITHOUT_BLANKS}]")
_run_together = re.compile(f"[{WITHOUT_BLANKS}]{{2,}}")
_RUN_TOGETHER = 0.1
"""Of the words in scripts without blanks, from which on they are words and not characters."""


class Window(NamedTuple):
    """Words ``first`` … of a sentence as tokens, and at which token each word begins."""

    sentence: int
    first: int
    tokens: NDArray[np.int64]
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class TaggingTask(Task[Tokenizer]):
    """One tag a word, among those of the training rows.

    With ``words_given`` the words of a text are what stands between its blanks, as in training rows of a script that
    has none by itself: nobody here knows where else Chinese words begin.
    """

    labels: tuple[str, ...]
    words_given: bool = False

    head: ClassVar[str] = "tagging"
    labels_are: ClassVar = "text"

    @classmethod
    def read(
        cls, path: str | Path, *, text: Sequence[str] | None, label: str | None, split: Split
    ) -> LabelledSet:
        """Sentences with one tag a word, in BIO whatever scheme their file is written in.

        Others are left out and reported. ``facts["tags"]`` are the schemes.
        """
        found = read_labelled(
            path, text=text or (TOKENS,), label=label or TAGS, split=split, labels=cls.labels_are
        )
        kept: list[Example] = []
        schemes: dict[str, None] = {}
        for _, group in groupby(found.examples, key=lambda example: example.path):
            rows = list(group)
            scheme = Scheme.seen_in([listed(example.label or "") for example in rows])
            schemes[scheme.name] = None
            kept += _in_bio(rows, scheme, found.problems)
        problems = found.problems
        refuse_mostly_bad(str(path), problems.rows, problems.flawed, problems, max_bad=MAX_BAD)
        return replace(found, examples=kept, facts={**found.facts, "tags": ", ".join(schemes)})

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The tags of the training rows."""
        tags = sorted({tag for example in rows.examples for tag in listed(example.label or "")})
        if len(tags) < 2:
            raise BadDataError(
                f"{rows.examples[0].path} holds {len(tags)} tag(s): {', '.join(tags)}; tagging needs at least two"
            )
        words = [word for example in rows.examples for word in listed(example.text)]
        unspaced = [word for word in words if _without_blanks.match(word)]
        together = sum(_run_together.match(word) is not None for word in unspaced)
        return cls(name, tuple(tags), words_given=together > _RUN_TOGETHER * len(unspaced))

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The tags that the model was shipped with."""
        return cls(str(card["task"]), tuple(card["labels"]), words_given=bool(card.get("words_given")))

    @property
    def card(self) -> dict[str, Any]:
        """The tags by number, and what a word is where that is not to be seen."""
        return {"labels": list(self.labels), **({"words_given": True} if self.words_given else {})}

    @property
    def head_options(self) -> dict[str, Any]:
        """One output a tag."""
        return {"classes": len(self.labels)}

    def remark(self, rows: LabelledSet) -> str:
        """How many spans of each kind."""
        kinds: dict[str, int] = {}
        for example in rows.examples:
            for span in spans_of(listed(example.label or "")):
                kinds[span.kind] = kinds.get(span.kind, 0) + 1
        counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
        of = f"{len(rows):,} sentences with {len(self.labels)} tags"
        return f"{of}; tags read as {rows.facts['tags']}; spans: {counts or 'none'}"

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> Tagging:
        """Cross-entropy over the tags."""
        del tokenizer
        return Tagging(self.labels, label_smoothing=settings.label_smoothing or 0.0)

    def known_by(self, example: Example) -> Sequence[str]:
        """The sentence; its tags say nothing."""
        return [example.text]

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Long sentences are read in windows."""
        del example
        return []

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> "TaggedRows":
        """Words, and the number of the tag of each; they become tokens with the windows."""
        del tokenizer
        number = {name: place for place, name in enumerate(self.labels)}
        tags = [[number.get(tag, NO_LABEL) for tag in listed(example.label or "")] for example in examples]
        return TaggedRows([listed(example.text) for example in examples], tags)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The loss a word, and the F1 of spans."""
        sentences = [listed(example.text) for example in examples]
        true = [listed(example.label or "") for example in examples]

        def judged() -> dict[str, float]:
            probabilities = self._probabilities(reader, sentences)
            given = [
                rows[place, self.labels.index(tag)]
                for rows, tags in zip(probabilities, true, strict=True)
                for place, tag in enumerate(tags)
                if tag in self.labels
            ]
            report = span_report(true, self._tags(probabilities))
            loss = float(-np.log(np.clip(np.array(given), 1e-9, 1.0)).mean())
            return {"loss": loss, "f1": report.f1.value}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> SpanReport:
        """Spans as conlleval counts them; tags that the model never saw count as wrong, and are said."""
        true = [listed(example.label or "") for example in given.examples]
        if given.facts["tags"] != "BIO":
            say(f"tags read as {given.facts['tags']}")
        unknown = sorted({tag for tags in true for tag in tags} - set(self.labels))
        if unknown:
            say(f"the model never saw the tags {', '.join(unknown[:5])} in training; they count as wrong")
        sentences = [listed(example.text) for example in given.examples]
        return span_report(true, self._tags(self._probabilities(reader, sentences)))

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """Every span with its kind and its place: in the characters of a text, or among the words of a list."""
        texts = ["\n".join(filter(None, text)) for text in texts_in(contents)]
        sentences = [Sentence.of(text, words_given=self.words_given) for text in texts]
        tags = self._tags(self._probabilities(reader, [sentence.words for sentence in sentences]))
        for sentence, found in zip(sentences, tags, strict=True):
            spans = spans_of(found)
            yield {"spans": [{"kind": span.kind, **sentence.part(span.start, span.stop)} for span in spans]}

    def _tags(self, probabilities: Sequence[NDArray[np.float32]]) -> list[list[str]]:
        return [[self.labels[place] for place in rows.argmax(axis=1)] for rows in probabilities]

    def _probabilities(self, reader: Reader, sentences: Sequence[Words]) -> list[NDArray[np.float32]]:
        """Of every tag for every word; a word of two windows is judged where it stands farther from the edge."""
        found = windows(sentences, reader.tokenizer, reader.length)
        objective = Tagging(self.labels)
        rows = reader.each_row(
            lambda batch: objective.scores(reader.model, batch), [window.tokens for window in found]
        )
        result = [np.zeros((len(words), len(self.labels)), np.float32) for words in sentences]
        best = [np.full(len(words), -1) for words in sentences]
        for window, row in zip(found, rows, strict=True):
            count = len(window.starts)
            safety = np.minimum(np.arange(count), np.arange(count)[::-1])
            words = slice(window.first, window.first + count)
            safer = safety > best[window.sentence][words]
            result[window.sentence][words][safer] = row[1 + window.starts][safer]
            best[window.sentence][words] = np.maximum(best[window.sentence][words], safety)
        return result


class Sentence(NamedTuple):
    """The words of what is to be tagged, and where each stands in the text, if it is one and no list of words."""

    words: Words
    text: str
    places: Sequence[tuple[int, int]] | None

    @classmethod
    def of(cls, text: str, *, words_given: bool) -> "Sentence":
        """Words and signs of a text, those between blanks, or those of a JSON list."""
        if text.startswith("[") and text.endswith("]") and (words := listed(text)) != text.split(" "):
            return cls(words, "", None)
        places = [match.span() for match in _words_in(given=words_given).finditer(text)]
        return cls([text[start:stop] for start, stop in places], text, places)

    def part(self, first: int, stop: int) -> dict[str, Any]:
        """Words ``first`` … stop − 1 as they are told."""
        if self.places is None:
            return {"text": "".join(_as_written(self.words[first:stop])), "words": [first, stop]}
        start, end = self.places[first][0], self.places[stop - 1][1]
        return {"text": self.text[start:end], "start": start, "end": end}


@cache
def _words_in(*, given: bool) -> re.Pattern[str]:
    letter = rf"(?:[^\W{WITHOUT_BLANKS}]|[{marks()}])"
    apart = rf"[{WITHOUT_BLANKS}]|{letter}+(?:['’.\-]{letter}+)*|[^\w\s]"
    return re.compile(r"\S+" if given else apart)


@dataclass(frozen=True, slots=True)
class TaggedRows:
    """Sentences, and the number of a tag for each of their words."""

    sentences: Sequence[Words]
    tags: Sequence[Sequence[int]]

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
        """Training batches over windows as long as the model reads; a word's tag stands at its first token."""
        found = windows(self.sentences, tokenizer, training.length or DEFAULT_LENGTH)
        labels = TokenLabels([self._labels(window) for window in found])
        stream = labelled_batches([window.tokens for window in found], labels, tokenizer, training)
        return WindowBatches(stream, [window.sentence for window in found])

    def __len__(self) -> int:
        return len(self.sentences)

    def _labels(self, window: Window) -> NDArray[np.int64]:
        numbers = np.full(len(window.tokens), NO_LABEL)
        numbers[window.starts] = self.tags[window.sentence][window.first : window.first + len(window.starts)]
        return numbers


def _in_bio(rows: Sequence[Example], scheme: Scheme, problems: Problems) -> Iterator[Example]:
    """The rows of one file with their tags in BIO; those without one tag for each word are reported."""
    for example in rows:
        words, tags = listed(example.text), listed(example.label or "")
        several = next(filter(scheme.overlap, tags), None)
        if len(words) != len(tags):
            detail = f"{len(words)} words, {len(tags)} tags"
            problems.add(example.path, example.row, "not as many tags as words", detail)
        elif several is not None:
            problems.add(example.path, example.row, "overlapping tags", several[:40])
        else:
            yield example._replace(label=_cell(scheme.in_bio(tags)))


def _cell(tags: Sequence[str]) -> str:
    """The reverse of ``listed``."""
    apart = " ".join(tags)
    return apart if listed(apart) == list(tags) else json.dumps(tags, ensure_ascii=False)


def listed(cell: str) -> list[str]:
    """The words or tags of a cell: a JSON list, or parts between blanks."""
    return parts_of(cell, " ")


def windows(sentences: Sequence[Words], tokenizer: Tokenizer, length: int) -> list[Window]:
    """Every sentence as tokens, those longer than ``length`` − 2 as windows that overlap by half."""
    pieces = tokenizer.encode_batch([text for words in sentences for text in _as_written(words)])
    found: list[Window] = []
    begin = 0
    for number, words in enumerate(sentences):
        own = pieces[begin : begin + len(words)]
        begin += len(words)
        sizes = np.array([len(piece) for piece in own], np.int64)
        for first, stop in _cut(sizes, length - 2):
            starts = np.cumsum(sizes[first:stop]) - sizes[first:stop]
            tokens = np.concatenate([np.zeros(0, np.int64), *own[first:stop]]).astype(np.int64)
            room = starts < length - 2  # one word alone may be longer than a window
            found.append(Window(number, first, tokens[: length - 2], starts[room]))
    return found


def _cut(sizes: NDArray[np.int64], room: int) -> Iterator[tuple[int, int]]:
    """Words first … stop − 1 of each window; a sentence that fits is one."""
    first = 0
    while True:
        ends = np.cumsum(sizes[first:])
        stop = first + max(1, int(np.searchsorted(ends, room, side="right")))
        yield first, min(stop, len(sizes))
        if stop >= len(sizes):
            return
        first += max(1, (stop - first) // 2)


def _as_written(words: Words) -> Iterator[str]:
    """Each word with the blank that stands before it in its language."""
    before = ""
    for word in words:
        apart = before and not (_without_blanks.match(before[-1]) or _without_blanks.match(word))
        yield f" {word}" if apart else word
        before = word
