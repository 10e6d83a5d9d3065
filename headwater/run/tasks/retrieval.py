"""Retrieval as a run does it: a query in one column, the passage that answers it in another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.batches import BatchStream
from headwater.data.examples import Content, Example, LabelledSet, texts_in
from headwater.data.excerpts import Excerpts
from headwater.data.targets import TargetPassages
from headwater.data.tokenizer import Tokenizer
from headwater.data.vector_store import unit
from headwater.errors import BadDataError, SettingsError, UsageError
from headwater.evaluation.bm25 import BM25
from headwater.evaluation.metrics.retrieval import (
    Relevance,
    RetrievalReport,
    Scores,
    recall_at,
    retrieval_report,
)
from headwater.objectives import Retrieval
from headwater.objectives.retrieval import TEMPERATURE
from headwater.run.deriving import Habits
from headwater.run.fitting import Tokens, encode, labelled_batches
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings, TrainingSettings
from headwater.run.starting import DEFAULT_LENGTH
from headwater.run.tasks.task import Say
from headwater.run.tasks.vectors import VectorTask


@dataclass(frozen=True)
class RetrievalTask(VectorTask[Tokenizer]):
    """One passage a query, found among all passages by the cosine of their vectors: those that ``embed`` gives.

    A passage longer than the model reads is as near as its nearest window.
    """

    labels_are: ClassVar = "passage"
    habits: ClassVar[Habits] = Habits(rows=32, parts=1)

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """At least two passages are needed: one is told apart from the others."""
        if len({example.label for example in rows.examples}) < 2:
            raise BadDataError(
                f"{rows.examples[0].path}: every row holds the same passage in column '{rows.label_column}'; expected "
                "passages that differ: name another column with --label"
            )
        return cls(name)

    def remark(self, rows: LabelledSet) -> str:
        """How many queries, how many passages."""
        pairs = Pairs.of(rows.examples)
        return (
            f"{len(rows):,} rows with {len(pairs.queries):,} queries in {', '.join(rows.text_columns)} and "
            f"{len(pairs.passages):,} passages in {rows.label_column}"
        )

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> Retrieval:
        """The other passages of the batch are what a query's own is told apart from."""
        del settings, tokenizer
        return Retrieval()

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> "QueryRows":
        """Queries as tokens; passages become tokens with their windows."""
        passages = _numbered(example.label or "" for example in examples)
        numbers = np.array([passages[example.label or ""] for example in examples])
        return QueryRows(encode([example.text for example in examples], tokenizer), list(passages), numbers)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The loss of every pair over all passages, and how often the right one stands first."""
        pairs = Pairs.of(examples)
        relevance = pairs.relevance

        def judged() -> dict[str, float]:
            scores = pairs.scores(reader)
            recall = recall_at(1, relevance.ranks(scores), relevance)
            return {"loss": _loss(scores, relevance), "recall_at_1": float(recall.mean())}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> RetrievalReport:
        """All passages of the test rows are ranked for every query, by the model and by BM25."""
        del say
        pairs = Pairs.of(given.examples)
        words = BM25(pairs.passages)
        return retrieval_report(
            pairs.scores(reader), lambda block: words.scores(pairs.queries[block]), pairs.relevance
        )

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """A query has no answer without the passages among which to look for it."""
        texts = texts_in(contents)
        del reader, texts
        raise UsageError(
            f"a model for {self.name} answers with documents of a corpus; expected one: headwater search RUN CORPUS "
            "QUERY, or take vectors: headwater embed RUN ROWS"
        )


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distinct queries and passages of some rows, and which belong together."""

    queries: list[str]
    passages: list[str]
    relevance: Relevance

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Pairs":
        """Every passage that stands beside a query is right for it."""
        queries = _numbered(example.text for example in examples)
        passages = _numbered(example.label or "" for example in examples)
        pairs = sorted({(queries[example.text], passages[example.label or ""]) for example in examples})
        asked, found = np.array(pairs, np.int64).T
        return cls(list(queries), list(passages), Relevance(asked, found, len(passages)))

    def scores(self, reader: Reader) -> Scores:
        """The cosine of every passage for some of the queries, by the reader's vectors."""
        vectors = unit(reader.vectors(encode(self.queries, reader.tokenizer)))
        passages = reader.windows(self.passages)
        return lambda block: passages.scores(vectors[block])


@dataclass(frozen=True, slots=True)
class QueryRows:
    """Queries, and the number of the passage that belongs to each."""

    queries: Sequence[Tokens]
    passages: Sequence[str]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.queries)

    def batches(self, tokenizer: Tokenizer, training: TrainingSettings) -> BatchStream:
        """Training batches over these rows; of a passage longer than the model reads, one window at a time."""
        if (training.batch_rows or 2) < 2:
            raise SettingsError(
                f"training.batch_rows = {training.batch_rows}; expected 2 or more, since a passage is told apart from "
                "the others of its batch"
            )
        length = training.length or DEFAULT_LENGTH
        windows = Excerpts.of(self.passages, tokenizer, length)
        passages = TargetPassages.of(self.numbers, windows, tokenizer, length, training.seed)
        return labelled_batches(self.queries, passages, tokenizer, training)


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """The distinct texts and their numbers, in the order in which they are met."""
    numbers: dict[str, int] = {}
    for text in texts:
        numbers.setdefault(text, len(numbers))
    return numbers


def _loss(scores: Scores, relevance: Relevance) -> float:
    """-log softmax over passages of cosine / τ, the mean over all pairs; right passages are no rivals of each other."""
    total = 0.0
    for block in relevance.blocks():
        _, rows, passages = relevance.pairs(block)
        logits = scores(block).astype(np.float64) / TEMPERATURE
        own = logits[rows, passages]
        logits[rows, passages] = -np.inf
        rivals = np.logaddexp.reduce(logits, axis=1)[rows]
        total += float((np.logaddexp(own, rivals) - own).sum())
    return total / len(relevance.queries)
