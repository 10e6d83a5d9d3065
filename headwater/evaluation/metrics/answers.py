"""How good the answers to questions are beside those of people: exact matches and shared words, as SQuAD counts them.

Every number is a mean over questions, 0 to 100, with its 95 % interval over other questions.
Source: Rajpurkar et al. 2016, section 6.1, arXiv:1606.05250; 2018, arXiv:1806.03822 for questions without an answer.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwater.data.characters import WITHOUT_BLANKS
from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, hierarchical_bootstrap
from headwater.telling import Told

Answered = str | None
"""The text of an answer, or None where nothing is answered."""

_article = re.compile(r"\b(?:a|an|the)\b")
_word = re.compile(rf"[{WITHOUT_BLANKS}]|[^\s{WITHOUT_BLANKS}]+")
_sentence = re.compile(r"[^.!?。！？\n]+[.!?。！？]*")


@dataclass(frozen=True)
class AnswerScore:
    """The scores of some questions."""

    rows: int
    exact_match: Estimate
    f1: Estimate

    @classmethod
    def of(cls, scores: NDArray[np.float64], *, seed: int = 0) -> Self:
        """The means of (questions, 2): exact match and F1 of each question, 0 to 100."""
        exact, f1 = (hierarchical_bootstrap(column, rng=np.random.default_rng(seed)) for column in scores.T)
        return cls(len(scores), exact, f1)

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return {"rows": self.rows, "exact_match": self.exact_match.to_dict(), "f1": self.f1.to_dict()}

    def __str__(self) -> str:
        exact, f1 = (
            f"{found.value:.1f} (95 % {found.low:.1f} … {found.high:.1f})"
            for found in (self.exact_match, self.f1)
        )
        return f"exact match {exact}, F1 {f1}"


@dataclass(frozen=True, repr=False)
class AnswerReport(Told):
    """What is found of the answers to the questions of one test set."""

    all: AnswerScore
    answerable: AnswerScore | None
    """Of the questions that have an answer, where some have none."""
    unanswerable: AnswerScore | None
    """Of those that have none: here exact match and F1 are the share at which nothing was answered."""
    sentence: AnswerScore
    """Of the sentences that share the most words with the questions (``nearest_sentence``): what needs no model."""

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        parts = {"answerable": self.answerable, "unanswerable": self.unanswerable}
        return {
            **self.all.to_dict(),
            **{name: part.to_dict() if part else None for name, part in parts.items()},
            "baselines": {"sentence": self.sentence.to_dict()},
        }

    def __str__(self) -> str:
        lines = [f"{self.all.rows:,} questions: {self.all}"]
        if self.answerable and self.unanswerable:
            lines.append(f"{self.answerable.rows:,} that have an answer: {self.answerable}")
            right = self.unanswerable.exact_match
            lines.append(
                f"{self.unanswerable.rows:,} that have none: nothing was answered to {right.value:.1f} % "
                f"(95 % {right.low:.1f} … {right.high:.1f})"
            )
        return "\n".join(
            [*lines, f"the sentence that shares the most words with the question: {self.sentence}"]
        )


def answer_report(
    answers: Sequence[Answered], references: Sequence[Sequence[str]], sentences: Sequence[str]
) -> AnswerReport:
    """All scores of answers; a question's ``references`` are the answers of people, none where there is none."""
    if not len(answers) == len(references) == len(sentences) or not references:
        raise BadDataError(
            f"found {len(answers)} answers to {len(references)} questions; expected one each, and at least one"
        )
    scores = answer_scores(answers, references)
    has_answer = np.array([bool(texts) for texts in references])
    apart = has_answer.any() and not has_answer.all()
    return AnswerReport(
        all=AnswerScore.of(scores),
        answerable=AnswerScore.of(scores[has_answer]) if apart else None,
        unanswerable=AnswerScore.of(scores[~has_answer]) if apart else None,
        sentence=AnswerScore.of(answer_scores(sentences, references)),
    )


def answer_scores(answers: Sequence[Answered], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Exact match and F1 of each question, 0 to 100, the best over its references: (questions, 2)."""
    rows = [
        np.max([_compared(answer, text) for text in texts or [None]], axis=0)
        for answer, texts in zip(answers, references, strict=True)
    ]
    return 100.0 * np.array(rows, np.float64)


def best_threshold(scores: ArrayLike, of_answers: ArrayLike, of_nothing: ArrayLike) -> float:
    """The number t for which answering where ``scores`` > t, and nothing elsewhere, scores highest; of several, the
    nearest to 0.

    ``of_answers`` and ``of_nothing`` are what each question earns by its answer and by nothing. t lies halfway between
    two scores, or beyond all of them. Source: Rajpurkar et al. 2018, section 5, arXiv:1806.03822.
    """
    found, earned = np.asarray(scores, np.float64), np.asarray(of_answers, np.float64)
    order = np.argsort(found, kind="stable")
    found, gains = found[order], (np.asarray(of_nothing, np.float64) - earned)[order]
    if not len(found):
        return 0.0
    borders = np.concatenate([[found[0] - 1.0], (found[:-1] + found[1:]) / 2, [found[-1] + 1.0], [0.0]])
    silent = np.searchsorted(found, borders, side="right")  # questions that nothing is answered to
    totals = np.concatenate([[0.0], gains.cumsum()])[silent]
    best = np.flatnonzero(totals >= totals.max() - 1e-9)
    return float(borders[best[np.abs(borders[best]).argmin()]])


def answer_words(text: str) -> list[str]:
    """The words that are compared: small letters, no punctuation, no English article.

    Every Chinese or Japanese character is a word of its own. Punctuation is what Unicode calls so, and the ASCII signs
    that SQuAD's own script drops; Chinese and Japanese punctuation, beside which no blank stands, parts words.
    """
    plain = "".join(map(_without_punctuation, text.lower()))
    return _word.findall(_article.sub(" ", plain))


def nearest_sentence(question: str, context: str) -> str:
    """The sentence of a context that holds the most of the question's words, the first of equal ones."""
    asked = set(answer_words(question))
    sentences = [match.strip() for match in _sentence.findall(context)] or [context]
    return max(sentences, key=lambda sentence: len(asked & set(answer_words(sentence))))


def _compared(answer: Answered, reference: Answered) -> tuple[float, float]:
    """Exact match and F1 against one reference; "nothing" matches nothing alone.

    F1 = 2 · shared words / (words of the answer + words of the reference), every word as often as both have it.
    """
    if answer is None or reference is None:
        same = float(answer is reference)
        return same, same
    mine, theirs = answer_words(answer), answer_words(reference)
    if not mine or not theirs:  # signs alone
        same = float(not mine and not theirs and answer.strip() == reference.strip())
        return same, same
    shared = (Counter(mine) & Counter(theirs)).total()
    return float(mine == theirs), 2.0 * shared / (len(mine) + len(theirs))


def _without_punctuation(character: str) -> str:
    if character in string.punctuation:
        return ""
    if not unicodedata.category(character).startswith("P"):
        return character
    return " " if unicodedata.east_asian_width(character) in "WF" else ""
