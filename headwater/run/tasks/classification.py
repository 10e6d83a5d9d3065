"""Classification as a run does it: one label for a text, or for a pair of texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from headwater.data.examples import Example, LabelledSet
from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError
from headwater.evaluation.metrics import ClassificationReport, classification_report
from headwater.objectives import Classification
from headwater.run.fitting import EncodedRows, encode, encode_pairs
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.task import Say, Task


@dataclass(frozen=True)
class ClassificationTask(Task):
    """One label a row, chosen among those of the training rows."""

    labels: tuple[str, ...]

    head: ClassVar[str] = "classification"

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The labels of the training rows: at least two."""
        if len(rows.labels) < 2:
            raise BadDataError(
                f"{rows.examples[0].path} holds {len(rows.labels)} label(s) in column '{rows.label_column}': "
                f"{', '.join(rows.labels)}; classification needs at least two"
            )
        return cls(name, rows.labels)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The labels that the model was shipped with."""
        return cls(str(card["task"]), tuple(card["labels"]))

    @property
    def card(self) -> dict[str, Any]:
        """The labels by number."""
        return {"labels": list(self.labels), "pooling": "mean"}

    @property
    def head_options(self) -> dict[str, Any]:
        """One output a label."""
        return {"classes": len(self.labels)}

    def check(self, validation: LabelledSet, path: str) -> None:
        """Refuse validation rows none of which carries a label of the training rows."""
        if not set(validation.labels) & set(self.labels):
            raise BadDataError(
                f"no row of {path} carries a label of the training file ({', '.join(self.labels[:5])}); "
                f"found {', '.join(validation.labels[:5])}; give a validation file of the same task"
            )

    def remark(self, rows: LabelledSet) -> str:
        """How many rows carry each label."""
        counts = ", ".join(f"{name} {count:,}" for name, count in list(rows.label_counts().items())[:8])
        return (
            f"{len(rows):,} rows with {len(self.labels)} labels in column '{rows.label_column}' ({counts}); "
            f"text: {', '.join(rows.text_columns)}"
        )

    def objective(self, settings: ObjectiveSettings, tokenizer: Tokenizer) -> Classification:
        """Cross-entropy over the labels."""
        del tokenizer
        return Classification(self.labels, label_smoothing=settings.label_smoothing or 0.0)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> EncodedRows:
        """Several text columns are read as one text, as they were in pre-training."""
        return EncodedRows.of(examples, self.labels, tokenizer)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The loss and the accuracy."""
        rows = self.rows(examples, reader.tokenizer)
        known = np.flatnonzero(rows.labels >= 0)
        objective = self._plain_objective

        def judged() -> dict[str, float]:
            probabilities = reader.scores(objective, rows.tokens)
            given = probabilities[known, rows.labels[known]]
            right = probabilities.argmax(axis=1) == rows.labels
            loss = float(-np.log(np.clip(given, 1e-9, 1.0)).mean())
            return {"loss": loss, "accuracy": float(right.mean())}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> ClassificationReport:
        """Rows whose label the model has never seen are counted as wrong, and said."""
        rows = self.rows(given.examples, reader.tokenizer)
        unknown = sorted({example.label or "" for example in given.examples} - set(self.labels))
        if (rows.labels < 0).all():
            raise BadDataError(
                f"no row of {given.examples[0].path} carries a label that the model knows "
                f"({', '.join(self.labels[:5])}); found {', '.join(unknown[:5])}; give a test file of the same task"
            )
        if unknown:
            say(
                f"{int((rows.labels < 0).sum())} of {len(rows)} rows carry labels that the model never saw in "
                f"training ({', '.join(unknown[:5])}); they count as wrong"
            )
        probabilities = reader.scores(self._plain_objective, rows.tokens)
        return classification_report(rows.labels, probabilities, self.labels)

    def answers(self, reader: Reader, texts: Sequence[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
        """The most probable label, and the probability of each."""
        tokens = self._encode(texts, reader.tokenizer)
        for probabilities in reader.scores(self._plain_objective, tokens):
            best = int(probabilities.argmax())
            shares = {name: round(float(p), 6) for name, p in zip(self.labels, probabilities, strict=True)}
            yield {"label": self.labels[best], "probabilities": shares}

    def _encode(self, texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> Sequence[Any]:
        return encode(["\n".join(text) for text in texts], tokenizer)

    @property
    def _plain_objective(self) -> Classification:
        return Classification(self.labels)


@dataclass(frozen=True)
class PairClassificationTask(ClassificationTask):
    """One label for two texts that are read side by side: [CLS] first [SEP] second [SEP]."""

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Two text columns are needed."""
        require_pairs(rows)
        return super().learnt_from(name, rows)

    def rows(self, examples: Sequence[Example], tokenizer: Tokenizer) -> EncodedRows:
        """Each text for itself."""
        rows = super().rows(examples, tokenizer)
        return EncodedRows(encode_pairs([example.texts for example in examples], tokenizer), rows.labels)

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Both texts in one row."""
        return [example.texts]

    def _encode(self, texts: Sequence[tuple[str, ...]], tokenizer: Tokenizer) -> Sequence[Any]:
        return encode_pairs(texts, tokenizer)


def require_pairs(rows: LabelledSet) -> None:
    """Refuse rows that do not hold two texts."""
    if len(rows.text_columns) != 2:
        raise BadDataError(
            f"{rows.examples[0].path}: a task on pairs of texts reads two columns, found "
            f"{len(rows.text_columns)} ({', '.join(rows.text_columns)}); name both with --text first,second"
        )
