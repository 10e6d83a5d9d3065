"""Regression as a run does it: one number for a text, or for a pair of texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Example, LabelledSet
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError
from headwater.evaluation.metrics import RegressionReport, regression_report
from headwater.evaluation.metrics.regression import pearson
from headwater.objectives.regression import Regression
from headwater.run.fitting import EncodedRows, encode, encode_pairs
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.classification import require_pairs
from headwater.run.tasks.task import Say, Task


@dataclass(frozen=True)
class RegressionTask(Task):
    """One number a row; the model learns it in units of the training rows' spread."""

    mean: float
    spread: float

    head: ClassVar[str] = "regression"
    labels_are: ClassVar = "number"

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The mean and the spread of the training numbers."""
        numbers = numbers_of(rows.examples)
        spread = float(numbers.std())
        if spread == 0.0:
            raise BadDataError(
                f"{rows.examples[0].path}: column '{rows.label_column}' holds the number {numbers[0]:g} in every "
                "row; expected numbers that differ: name another column with --label"
            )
        return cls(name, float(numbers.mean()), spread)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The units that the model was shipped with."""
        return cls(str(card["task"]), float(card["mean"]), float(card["spread"]))

    @property
    def card(self) -> dict[str, Any]:
        """The units of the answer."""
        return {"mean": self.mean, "spread": self.spread, "pooling": "mean"}

    def remark(self, rows: LabelledSet) -> str:
        """The range of the numbers."""
        numbers = numbers_of(rows.examples)
        return (
            f"{len(rows):,} rows with numbers from {numbers.min():g} to {numbers.max():g} (mean {self.mean:.4g}) in "
            f"column '{rows.label_column}'; text: {', '.join(rows.text_columns)}"
        )

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> Regression:
        """Squared error in units of the spread."""
        del settings, tokenizer
        return Regression(mean=self.mean, spread=self.spread)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> EncodedRows:
        """Several text columns are read as one text."""
        tokens = self._encode([example.texts for example in examples], tokenizer)
        return EncodedRows(tokens, numbers_of(examples).astype(np.float32))

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The squared error in units of the spread, and the correlation."""
        rows = self.rows(examples, reader.tokenizer)

        def judged() -> dict[str, float]:
            predicted = self._predicted(reader, rows.tokens)
            errors = (predicted - rows.labels) / self.spread
            return {"loss": float((errors**2).mean()), "pearson": pearson(predicted, rows.labels)}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> RegressionReport:
        """Correlations and errors."""
        del say
        rows = self.rows(given.examples, reader.tokenizer)
        return regression_report(rows.labels, self._predicted(reader, rows.tokens))

    def answers(self, reader: Reader, texts: Sequence[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
        """The number."""
        for value in self._predicted(reader, self._encode(texts, reader.tokenizer)):
            yield {"value": round(float(value), 6)}

    def _predicted(self, reader: Reader, tokens: Sequence[Any]) -> NDArray[np.float32]:
        return reader.scores(Regression(mean=self.mean, spread=self.spread), tokens).reshape(-1)

    def _encode(self, texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> Sequence[Any]:
        return encode(["\n".join(filter(None, text)) for text in texts], tokenizer)


@dataclass(frozen=True)
class PairRegressionTask(RegressionTask):
    """One number for two texts that are read side by side."""

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Two text columns are needed."""
        require_pairs(rows)
        return super().learnt_from(name, rows)

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Both texts in one row."""
        return [example.texts]

    def _encode(self, texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> Sequence[Any]:
        return encode_pairs(texts, tokenizer)


def numbers_of(examples: Sequence[Example]) -> NDArray[np.float64]:
    """The label of each row as a number; readers have left out the rows where it is none."""
    return np.array([float(example.label or "nan") for example in examples])
