"""Regression as a run does it: a number for a text or for a pair of texts, or several."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.readers.cells import numbers_in
from headwater.data.sequencers import Sequencing, vocabulary_in
from headwater.errors import BadDataError
from headwater.evaluation.metrics import regression_report
from headwater.evaluation.metrics.regression import NumbersReport, pearson
from headwater.objectives.regression import Regression
from headwater.run.fitting import EncodedRows, Input, encode_pairs, inputs_of
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.classification import require_pairs, texts_told, where_labels_stand
from headwater.run.tasks.task import Report, Say, Task


@dataclass(frozen=True)
class RegressionTask(Task[Sequencing]):
    """As many numbers a row as the training rows have; the model learns each in units of its spread there."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]

    head: ClassVar[str] = "regression"
    labels_are: ClassVar = "number"
    reads_pictures: ClassVar[bool] = True
    reads_both: ClassVar[bool] = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The mean and the spread of each of the training numbers."""
        numbers = numbers_of(rows.examples)
        for place, column in enumerate(numbers.T, start=1):
            if column.std() == 0.0:
                which = f" as number {place}" if numbers.shape[1] > 1 else ""
                raise BadDataError(
                    f"{rows.examples[0].path}: column '{rows.label_column}' holds the number {column[0]:g}{which} in "
                    "every row; expected numbers that differ: name another column with --label"
                )
        return cls(name, tuple(numbers.mean(axis=0).tolist()), tuple(numbers.std(axis=0).tolist()))

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The units that the model was shipped with."""
        mean, spread = (
            tuple(np.atleast_1d(card[name]).astype(float).tolist()) for name in ("mean", "spread")
        )
        return cls(str(card["task"]), mean, spread)

    @property
    def card(self) -> dict[str, Any]:
        """The units of the answer."""
        return {"mean": list(self.mean), "spread": list(self.spread), "pooling": "mean"}

    @property
    def head_options(self) -> dict[str, Any]:
        """One output a number."""
        return {"classes": len(self.mean)}

    def check(self, validation: LabelledSet, path: str) -> None:
        """Refuse validation rows with other numbers than were learnt."""
        refuse_other_count(validation, len(self.mean), path)

    def remark(self, rows: LabelledSet) -> str:
        """The range of the numbers."""
        ranges = ", ".join(
            f"from {column.min():g} to {column.max():g} (mean {column.mean():.4g})"
            for column in numbers_of(rows.examples).T
        )
        several = f"{len(self.mean)} numbers each, " if len(self.mean) > 1 else "numbers "
        return f"{len(rows):,} rows with {several}{ranges} {where_labels_stand(rows)}{texts_told(rows)}"

    def objective(self, settings: ObjectiveSettings, sequencer: Sequencing) -> Regression:
        """Squared error in units of the spread."""
        del settings, sequencer
        return Regression(mean=self.mean, spread=self.spread)

    def rows(self, examples: Sequence[Example], sequencer: Sequencing) -> EncodedRows:
        """Several text columns are read as one text."""
        inputs = self._encode([example.content for example in examples], sequencer)
        return EncodedRows(inputs, numbers_of(examples).astype(np.float32))

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The squared error in units of the spread, and the correlation."""
        rows = self.rows(examples, reader.sequencer)

        def judged() -> dict[str, float]:
            predicted = self._predicted(reader, rows.inputs)
            errors = (predicted - rows.labels) / np.array(self.spread)
            correlations = list(map(pearson, predicted.T, rows.labels.T))
            return {"loss": float((errors**2).mean()), "pearson": float(np.mean(correlations))}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> Report:
        """Correlations and errors of each number."""
        del say
        rows = self.rows(given.examples, reader.sequencer)
        refuse_other_count(given, len(self.mean), given.examples[0].path)
        predicted = self._predicted(reader, rows.inputs)
        found = list(map(regression_report, rows.labels.T, predicted.T))
        return found[0] if len(found) == 1 else NumbersReport(found)

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The number, or all of them."""
        for row in self._predicted(reader, self._encode(contents, reader.sequencer)):
            values = [round(float(value), 6) for value in row]
            yield {"value": values[0]} if len(values) == 1 else {"values": values}

    def _predicted(self, reader: Reader, inputs: Sequence[Input]) -> NDArray[np.float32]:
        return reader.scores(Regression(mean=self.mean, spread=self.spread), inputs)

    def _encode(self, contents: Sequence[Content], sequencer: Sequencing) -> Sequence[Input]:
        return inputs_of(contents, sequencer)


@dataclass(frozen=True)
class PairRegressionTask(RegressionTask):
    """One number for two texts that are read side by side."""

    reads_pictures: ClassVar[bool] = False
    compares: ClassVar[bool] = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Two text columns are needed."""
        require_pairs(rows)
        return super().learnt_from(name, rows)

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Both texts in one row."""
        return [example.texts]

    def _encode(self, contents: Sequence[Content], sequencer: Sequencing) -> Sequence[Input]:
        return encode_pairs(contents, vocabulary_in(sequencer, self.name))


def numbers_of(examples: Sequence[Example]) -> NDArray[np.float64]:
    """The numbers of each row, (rows, numbers); readers have left out the rows that have others or none."""
    return np.array([numbers_in(example.label or "") for example in examples], np.float64)


def refuse_other_count(rows: LabelledSet, expected: int, path: str) -> None:
    """Refuse rows that hold another count of numbers each than the model has learnt."""
    found = numbers_of(rows.examples).shape[1]
    if found != expected:
        raise BadDataError(
            f"{path}: column '{rows.label_column}' holds {found} number(s) a row, and the model has learnt {expected}; "
            "give a file of the same task"
        )
