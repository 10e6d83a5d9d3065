"""Similarity as a run does it: how alike two texts are, by the cosine of their vectors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Content, Example, LabelledSet, texts_in
from headwater.data.tokenizer import Tokenizer
from headwater.data.vector_store import unit
from headwater.errors import BadDataError
from headwater.evaluation.metrics import RegressionReport, regression_report
from headwater.evaluation.metrics.regression import pearson
from headwater.objectives import Similarity
from headwater.run.deriving import Habits
from headwater.run.fitting import ComparedTexts, encode
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.classification import require_pairs
from headwater.run.tasks.regression import numbers_of, refuse_other_count
from headwater.run.tasks.task import Say
from headwater.run.tasks.vectors import VectorTask


@dataclass(frozen=True)
class SimilarityTask(VectorTask[Tokenizer]):
    """One number a pair of texts: ``low`` where their vectors stand at right angles, ``high`` where they are the same.

    Each text is read for itself.
    """

    low: float
    high: float

    labels_are: ClassVar = "number"
    compares: ClassVar = True
    habits: ClassVar[Habits] = Habits(parts=1)

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The least and the greatest of the training numbers; two text columns are needed."""
        require_pairs(rows)
        refuse_other_count(rows, 1, rows.examples[0].path)
        numbers = numbers_of(rows.examples)[:, 0]
        low, high = float(numbers.min()), float(numbers.max())
        if low == high:
            raise BadDataError(
                f"{rows.examples[0].path}: column '{rows.label_column}' holds the number {low:g} in every row; "
                "expected numbers that differ: name another column with --label"
            )
        return cls(name, low, high)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The range that the model was shipped with."""
        return cls(str(card["task"]), float(card["low"]), float(card["high"]))

    @property
    def card(self) -> dict[str, Any]:
        """The range of the answer, and how a vector is made."""
        return {"low": self.low, "high": self.high, **super().card}

    def check(self, validation: LabelledSet, path: str) -> None:
        """Refuse validation rows with several numbers."""
        refuse_other_count(validation, 1, path)

    def remark(self, rows: LabelledSet) -> str:
        """The range of the numbers."""
        return (
            f"{len(rows):,} pairs with numbers from {self.low:g} (unlike) to {self.high:g} (alike) in column "
            f"'{rows.label_column}'; texts: {', '.join(rows.text_columns)}"
        )

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> Similarity:
        """Squared error of the cosine."""
        del settings, tokenizer
        return Similarity(low=self.low, high=self.high)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> ComparedTexts:
        """Each text for itself."""
        first, second = _columns([example.texts for example in examples], tokenizer)
        return ComparedTexts(first, second, numbers_of(examples)[:, 0].astype(np.float32))

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Each text in a row of its own."""
        return [(text,) for text in example.texts]

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The squared error of the cosine, and the correlation."""
        rows = self.rows(examples, reader.tokenizer)

        def judged() -> dict[str, float]:
            predicted = self._predicted(reader, rows.first, rows.second)
            errors = (predicted - rows.labels) / (self.high - self.low)
            return {"loss": float((errors**2).mean()), "pearson": pearson(predicted, rows.labels)}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> RegressionReport:
        """Correlations and errors."""
        del say
        refuse_other_count(given, 1, given.examples[0].path)
        rows = self.rows(given.examples, reader.tokenizer)
        return regression_report(rows.labels, self._predicted(reader, rows.first, rows.second))

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The number."""
        texts = texts_in(contents)
        for value in self._predicted(reader, *_columns(texts, reader.tokenizer)):
            yield {"value": round(float(value), 6)}

    def _predicted(self, reader: Reader, first: Sequence[Any], second: Sequence[Any]) -> NDArray[np.float32]:
        cosines = (unit(reader.vectors(first)) * unit(reader.vectors(second))).sum(axis=1)
        return self.low + (self.high - self.low) * cosines


def _columns(texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> tuple[Sequence[Any], Sequence[Any]]:
    first, second = zip(*texts, strict=True) if texts else ((), ())
    return encode(first, tokenizer), encode(second, tokenizer)
