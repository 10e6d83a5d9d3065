"""Questions before windows over their contexts: how a model of bounded length reads a document of any length.

Shape letters: W windows, N tokens of a context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.tokenizer import Tokenizer, Tokens
from headwater.errors import UsageError

OVERLAP = 64
"""Tokens that two windows share, or half of a short window: an answer that long is whole in one of them."""

SHORTEST = 8
"""Tokens that the shortest windows need: three special ones, a question and some context."""

Integers = NDArray[np.int64]
NOWHERE = (0, 0)
"""Where the answer of a window begins and ends that holds none: at its [CLS]."""


class Window(NamedTuple):
    """Tokens ``first`` … of the context of one question, behind the question: [CLS] question [SEP] context [SEP]."""

    question: int
    first: int
    tokens: tuple[Tokens, Tokens]

    @property
    def shift(self) -> int:
        """What is added to the number of a token in its context to have its place in the framed window."""
        return 2 + len(self.tokens[0]) - self.first


@dataclass(frozen=True, slots=True)
class QuestionWindows:
    """Every context in windows that overlap (``OVERLAP``), so that no answer is lost between them.

    A question may take half of the length; what is longer loses its end (``cut`` holds its number).
    """

    windows: list[Window]
    contexts: Sequence[str]
    places: Sequence[Integers]
    """Of each question: which characters of its context each of the context's tokens stands for, (N, 2)."""
    cut: frozenset[int]

    @classmethod
    def of(cls, texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer, length: int) -> Self:
        """The windows of questions and contexts, at most ``length`` tokens each."""
        if length < SHORTEST:
            raise UsageError(
                f"windows of {length} tokens have no room for a question and its context; choose at least {SHORTEST}"
            )
        contexts = [context for _, context in texts]
        distinct = list(dict.fromkeys(contexts))  # many questions are asked of one
        encoded = dict(zip(distinct, tokenizer.encode_batch(distinct), strict=True))
        places = {context: tokenizer.places(context, tokens) for context, tokens in encoded.items()}
        questions = tokenizer.encode_batch([question for question, _ in texts])
        windows: list[Window] = []
        for number, (question, context) in enumerate(zip(questions, contexts, strict=True)):
            asked, tokens = question[: length // 2], encoded[context]
            room = length - 3 - len(asked)
            windows += [
                Window(number, first, (asked, tokens[first : first + room]))
                for first in _starts(len(tokens), room)
            ]
        cut = frozenset(number for number, question in enumerate(questions) if len(question) > length // 2)
        return cls(windows, contexts, [places[context] for context in contexts], cut)

    @property
    def tokens(self) -> list[tuple[Tokens, ...]]:
        """What is framed and read."""
        return [window.tokens for window in self.windows]

    def targets(self, answers: Sequence[tuple[int, int] | None]) -> Integers:
        """At which tokens of each framed window the answer to its question begins and ends: (W, 2).

        ``answers`` are characters from … to of each question's context, or None; a window that does not hold all of
        the answer points at its [CLS].
        """
        between = [
            NOWHERE if answer is None else _tokens_of(places, *answer)
            for places, answer in zip(self.places, answers, strict=True)
        ]
        found = np.zeros((len(self.windows), 2), np.int64)
        for row, window in enumerate(self.windows):
            start, end = between[window.question]
            held = window.first <= start and end < window.first + len(window.tokens[1])
            if answers[window.question] is not None and held:
                found[row] = start + window.shift, end + window.shift
        return found

    def span(self, number: int, start: int, end: int) -> tuple[int, int]:
        """The characters of the context between two tokens of a framed window, without blanks around them."""
        window = self.windows[number]
        places, context = self.places[window.question], self.contexts[window.question]
        first, stop = int(places[start - window.shift, 0]), int(places[end - window.shift, 1])
        found = context[first:stop]
        if not found.strip():
            return first, stop
        return first + len(found) - len(found.lstrip()), stop - len(found) + len(found.rstrip())


def _starts(count: int, room: int) -> range:
    overlap = min(OVERLAP, room // 2)
    return range(0, max(1, count - overlap), room - overlap)


def _tokens_of(places: Integers, start: int, stop: int) -> tuple[int, int]:
    """The first and the last token that stand for some of the characters start … stop − 1."""
    first = np.searchsorted(places[:, 1], start, side="right")
    last = np.searchsorted(places[:, 0], stop, side="left") - 1
    return int(first), int(last)
