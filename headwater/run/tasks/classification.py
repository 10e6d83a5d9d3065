"""Classification as a run does it: one label for a text, or for a pair of texts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.pair_cut import row_cut_of
from headwater.data.readers.columns import listed
from headwater.data.sequencers import Sequencing, vocabulary_in
from headwater.errors import BadDataError
from headwater.evaluation.metrics import ClassificationReport, classification_report
from headwater.objectives import Classification
from headwater.run.fitting import EncodedRows, Input, encode_pairs, inputs_of
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.task import Say, Task


@dataclass(frozen=True)
class ClassificationTask(Task[Sequencing]):
    """One label a row, chosen among those of the training rows."""

    labels: tuple[str, ...]

    head: ClassVar[str] = "classification"
    reads_pictures: ClassVar[bool] = True
    reads_both: ClassVar[bool] = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The labels of the training rows: at least two."""
        refuse_one_label(rows, "classification needs at least two")
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
        where = where_labels_stand(rows)
        return f"{len(rows):,} rows with {len(self.labels)} labels {where} ({counts}){texts_told(rows)}"

    def objective(self, settings: ObjectiveSettings, sequencer: Sequencing) -> Classification:
        """Cross-entropy over the labels."""
        del sequencer
        return Classification(self.labels, label_smoothing=settings.label_smoothing or 0.0)

    def rows(self, examples: Sequence[Example], sequencer: Sequencing) -> EncodedRows:
        """Several text columns are read as one text, as they were in pre-training."""
        return EncodedRows.of(examples, self.labels, sequencer)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The loss and the accuracy."""
        rows = self.rows(examples, reader.sequencer)
        known = np.flatnonzero(rows.labels >= 0)
        objective = self._plain_objective

        def judged() -> dict[str, float]:
            probabilities = reader.scores(objective, rows.inputs)
            given = probabilities[known, rows.labels[known]]
            right = probabilities.argmax(axis=1) == rows.labels
            loss = float(-np.log(np.clip(given, 1e-9, 1.0)).mean())
            return {"loss": loss, "accuracy": float(right.mean())}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> ClassificationReport:
        """Rows whose label the model has never seen are counted as wrong, and said."""
        rows = self.rows(given.examples, reader.sequencer)
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
        probabilities = reader.scores(self._plain_objective, rows.inputs)
        return classification_report(rows.labels, probabilities, self.labels)

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The most probable label, and the probability of each."""
        inputs = self._encode(contents, reader.sequencer)
        for probabilities in reader.scores(self._plain_objective, inputs):
            best = int(probabilities.argmax())
            shares = {name: round(float(p), 6) for name, p in zip(self.labels, probabilities, strict=True)}
            yield {"label": self.labels[best], "probabilities": shares}

    def _encode(self, contents: Sequence[Content], sequencer: Sequencing) -> Sequence[Input]:
        return inputs_of(contents, sequencer)

    @property
    def _plain_objective(self) -> Classification:
        return Classification(self.labels)


@dataclass(frozen=True)
class PairClassificationTask(ClassificationTask):
    """One label for two texts that are read side by side: [CLS] first [SEP] second [SEP]."""

    reads_pictures: ClassVar[bool] = False
    reads_both: ClassVar[bool] = False
    compares: ClassVar[bool] = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """Two text columns are needed."""
        require_pairs(rows)
        return super().learnt_from(name, rows)

    def rows(self, examples: Sequence[Example], sequencer: Sequencing) -> EncodedRows:
        """Each text for itself."""
        labels = super().rows(examples, sequencer).labels
        return EncodedRows(self._encode([example.texts for example in examples], sequencer), labels)

    def read_as_one(self, example: Example) -> Sequence[tuple[str, ...]]:
        """Both texts in one row."""
        return [example.texts]

    def _encode(self, contents: Sequence[Content], sequencer: Sequencing) -> Sequence[Input]:
        return encode_pairs(contents, vocabulary_in(sequencer, self.name))


@dataclass(frozen=True)
class ZeroShotTask(ClassificationTask):
    """One label for a picture, a recording or a clip, told by the names of the labels alone."""

    reads_both: ClassVar[bool] = False


def refuse_one_label(rows: LabelledSet, why: str) -> None:
    """BadDataError where there is nothing to tell apart."""
    if len(rows.labels) < 2:
        raise BadDataError(
            f"{rows.examples[0].path} holds {len(rows.labels)} label(s) {where_labels_stand(rows)}: "
            f"{', '.join(rows.labels)}; {why}"
        )


def where_labels_stand(rows: LabelledSet) -> str:
    """The column of the labels; of pictures, their folders or the array beside them."""
    place = rows.facts.get("labels_in", "column")
    if place == "column":
        return f"in column '{rows.label_column}'"
    return "by folder" if place == "folder" else "in the array beside them"


def texts_told(rows: LabelledSet) -> str:
    """Which columns are read as text; of pictures and recordings, at which size they are read, and what is not."""
    if "cut" not in rows.facts:
        return f"; text: {', '.join(rows.text_columns)}"
    cut = row_cut_of(rows.facts["cut"])
    return f"; {cut.what}: {cut.told()}{not_read(rows)}"


def not_read(rows: LabelledSet) -> str:
    """Which columns beside pictures and recordings say something that nothing is learnt from."""
    others = rows.facts.get("not_read", [])
    return f"; columns not read: {listed(others)}" if others else ""


def require_pairs(rows: LabelledSet) -> None:
    """Refuse rows that do not hold two texts."""
    if len(rows.text_columns) != 2:
        raise BadDataError(
            f"{rows.examples[0].path}: a task on pairs of texts reads two columns, found "
            f"{len(rows.text_columns)} ({', '.join(rows.text_columns)}); name both with --text first,second"
        )
