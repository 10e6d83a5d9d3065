"""Multi-label classification as a run does it: any number of labels a text."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.readers.cells import parts_of
from headwater.data.sequencers import Sequencing
from headwater.errors import BadDataError
from headwater.evaluation.metrics.multi_label import MultiLabelReport, multi_label_report
from headwater.objectives.multi_label import MultiLabel
from headwater.run.fitting import EncodedRows, inputs_of
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.tasks.classification import texts_told, where_labels_stand
from headwater.run.tasks.task import Say, Task

SEPARATORS = ("|", ";", ",")
THRESHOLD = 0.5
"""A label is given where its probability is at least this."""


@dataclass(frozen=True)
class MultiLabelTask(Task[Sequencing]):
    """A set of labels a row, among those of the training rows."""

    labels: tuple[str, ...]
    separator: str
    """What stands between the labels of a cell that is no JSON list."""

    head: ClassVar[str] = "classification"
    labels_are: ClassVar = "classes"
    reads_pictures: ClassVar[bool] = True
    reads_both: ClassVar[bool] = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The labels of the training rows, and what parts them: the sign that most cells hold."""
        cells = [example.label or "" for example in rows.examples]
        counts = {sign: sum(sign in cell for cell in cells) for sign in SEPARATORS}
        separator = max(SEPARATORS, key=lambda sign: counts[sign])
        labels = sorted({label for cell in cells for label in labels_in(cell, separator)})
        if len(labels) < 2:
            raise BadDataError(
                f"{rows.examples[0].path}: column '{rows.label_column}' holds {len(labels)} label(s): "
                f"{', '.join(labels)}; expected several a cell, as a JSON list or with one of {' '.join(SEPARATORS)} "
                "between them: name another column with --label"
            )
        return cls(name, tuple(labels), separator)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Self:
        """The labels that the model was shipped with."""
        return cls(str(card["task"]), tuple(card["labels"]), str(card["separator"]))

    @property
    def card(self) -> dict[str, Any]:
        """The labels by number."""
        return {"labels": list(self.labels), "separator": self.separator, "pooling": "mean"}

    @property
    def head_options(self) -> dict[str, Any]:
        """One output a label."""
        return {"classes": len(self.labels)}

    def remark(self, rows: LabelledSet) -> str:
        """How many rows carry each label, and how many labels a row has."""
        sets = [labels_in(example.label or "", self.separator) for example in rows.examples]
        counts = Counter(label for found in sets for label in found)
        each = sum(map(len, sets)) / len(sets)
        some = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(8))
        return (
            f"{len(rows):,} rows with {len(self.labels)} labels {where_labels_stand(rows)}, {each:.1f} a row "
            f"({some}){texts_told(rows)}"
        )

    def objective(self, settings: ObjectiveSettings, sequencer: Sequencing) -> MultiLabel:
        """Binary cross-entropy of every label."""
        del settings, sequencer
        return MultiLabel(self.labels)

    def rows(self, examples: Sequence[Example], sequencer: Sequencing) -> EncodedRows:
        """Texts, and a table of which labels each carries; labels that are not known are none."""
        inputs = inputs_of([example.content for example in examples], sequencer)
        return EncodedRows(inputs, self._table(examples).astype(np.float32))

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """The loss a row, and the F1 of all decisions together."""
        rows = self.rows(examples, reader.sequencer)
        true = rows.labels > 0

        def judged() -> dict[str, float]:
            shares = np.clip(reader.scores(MultiLabel(self.labels), rows.inputs), 1e-7, 1 - 1e-7)
            loss = -np.where(true, np.log(shares), np.log1p(-shares)).sum(axis=1).mean()
            given = shares >= THRESHOLD
            decided = int(true.sum() + given.sum())
            return {"loss": float(loss), "micro_f1": 2 * int((true & given).sum()) / max(decided, 1)}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> MultiLabelReport:
        """Labels that the model never saw in training are said; they are in none of its answers."""
        found = {label for row in given.examples for label in labels_in(row.label or "", self.separator)}
        if unknown := sorted(found - set(self.labels)):
            say(
                f"the model never saw the labels {', '.join(unknown[:5])} in training; they are left out of the scores"
            )
        inputs = inputs_of([example.content for example in given.examples], reader.sequencer)
        shares = reader.scores(MultiLabel(self.labels), inputs)
        return multi_label_report(self._table(given.examples), shares >= THRESHOLD, self.labels)

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """The labels that are more likely than not, and the probability of each."""
        inputs = inputs_of(contents, reader.sequencer)
        for row in reader.scores(MultiLabel(self.labels), inputs):
            shares = {name: round(float(p), 6) for name, p in zip(self.labels, row, strict=True)}
            given = [name for name, p in zip(self.labels, row, strict=True) if p >= THRESHOLD]
            yield {"labels": given, "probabilities": shares}

    def _table(self, examples: Sequence[Example]) -> NDArray[np.bool_]:
        number = {name: place for place, name in enumerate(self.labels)}
        table = np.zeros((len(examples), len(self.labels)), np.bool_)
        for row, example in enumerate(examples):
            for label in labels_in(example.label or "", self.separator):
                if label in number:
                    table[row, number[label]] = True
        return table


def labels_in(cell: str, separator: str) -> list[str]:
    """The labels of a cell: a JSON list, or parts between separators; each once, in their order."""
    parts = (part.strip() for part in parts_of(cell, separator))
    return list(dict.fromkeys(filter(None, parts)))
