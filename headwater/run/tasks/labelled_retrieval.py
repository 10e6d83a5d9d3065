"""Retrieval of pictures, recordings and clips as a run does it: what carries the same label is to be near."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from headwater.data.examples import Content, Example, LabelledSet
from headwater.data.likeness import sketches_of
from headwater.data.sequencers import Patches, patches_in
from headwater.data.vector_store import unit
from headwater.errors import UsageError
from headwater.evaluation.metrics.labelled_retrieval import (
    Found,
    LabelledRetrievalReport,
    labelled_retrieval_report,
    refuse_no_fellows,
)
from headwater.objectives import LabelledRetrieval
from headwater.objectives.labelled_retrieval import TEMPERATURE
from headwater.run.fitting import EncodedRows, Input, inputs_of
from headwater.run.reading import Reader
from headwater.run.settings import ObjectiveSettings
from headwater.run.starting import StartingPoint
from headwater.run.tasks.classification import refuse_one_label, texts_told, where_labels_stand
from headwater.run.tasks.task import Say
from headwater.run.tasks.vectors import VectorTask

_ROWS = 1_024
"""Rows that are compared with all at a time."""


@dataclass(frozen=True)
class LabelledRetrievalTask(VectorTask[Patches]):
    """Vectors that are near where labels are the same; labels that nobody has seen in training are found as well."""

    labels: tuple[str, ...] = ()
    width: int = 0

    reads_pictures: ClassVar[bool] = True

    @classmethod
    def learnt_from(cls, name: str, rows: LabelledSet) -> Self:
        """The labels of the training rows: at least two, and things that share theirs."""
        refuse_one_label(rows, "what is alike is told from what is not by at least two")
        refuse_no_fellows([row.label or "" for row in rows.examples])
        return cls(name, rows.labels)

    def check(self, validation: LabelledSet, path: str) -> None:
        """Refuse validation rows each of which has a label of its own."""
        del path
        refuse_no_fellows([row.label or "" for row in validation.examples])

    def suited_to(self, start: StartingPoint, path: str) -> Self:
        """The task of a model so wide."""
        return replace(super().suited_to(start, path), width=start.settings.width)

    def remark(self, rows: LabelledSet) -> str:
        """How many rows share how many labels."""
        where = where_labels_stand(rows)
        return f"{len(rows):,} rows with {len(self.labels):,} labels {where}{texts_told(rows)}"

    def objective(self, settings: ObjectiveSettings, sequencer: Patches) -> LabelledRetrieval:
        """Each label has a direction, which is thrown away."""
        del settings, sequencer
        return LabelledRetrieval(len(self.labels), self.width)

    def rows(self, examples: Sequence[Example], sequencer: Patches) -> EncodedRows:
        """Each with the number of its label."""
        return EncodedRows.of(examples, self.labels, sequencer)

    def judge(self, reader: Reader, examples: Sequence[Example]) -> Callable[[], dict[str, float]]:
        """How surely each finds one of its label among all others, and how often it comes first."""
        inputs, labels = _inputs(reader, examples), _numbered(examples)

        def judged() -> dict[str, float]:
            vectors = reader.vectors(inputs)
            found = Found.by(vectors, labels)
            loss = _loss(unit(vectors), labels)
            return {"loss": loss, "recall_at_1": float(found.first.mean())}

        return judged

    def report(self, reader: Reader, given: LabelledSet, say: Say) -> LabelledRetrievalReport:
        """Each test row is looked for among all others, by the model and by shades alone."""
        del say
        labels = [row.label or "" for row in given.examples]
        refuse_no_fellows(labels)
        vectors = reader.vectors(_inputs(reader, given.examples))
        return labelled_retrieval_report(vectors, _shades(reader, given.examples), labels)

    def answers(self, reader: Reader, contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
        """A picture has no answer without those among which to look for others like it."""
        del reader, contents
        raise UsageError(
            f"a model for {self.name} answers with what is alike in a folder; expected one: headwater search RUN "
            "FOLDER FILE, or take vectors: headwater embed RUN FOLDER"
        )


def _inputs(reader: Reader, examples: Sequence[Example]) -> list[Input]:
    return inputs_of([row.content for row in examples], reader.sequencer)


def _numbered(examples: Sequence[Example]) -> NDArray[np.int64]:
    names = np.array([row.label or "" for row in examples])
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _shades(reader: Reader, examples: Sequence[Example]) -> NDArray[np.float32]:
    """The mean shades of 16 × 16 squares, of a clip those of each pair of frames: (N, D)."""
    slices = patches_in(reader.sequencer, "this run").slices
    pictures = np.stack([row.pixels for row in examples if row.pixels is not None])
    parts = pictures.reshape(len(pictures) * slices, -1, *pictures.shape[2:])
    return sketches_of(parts).reshape(len(pictures), -1).astype(np.float32)


def _loss(unit_vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """-log of the share that those of a query's label have of exp(cos / τ) over all others, the mean over queries.

    Goldberger et al. 2004 (neighbourhood components), with τ = 0.05.
    """
    total, count = 0.0, 0
    for start in range(0, len(labels), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(labels)))
        scores = (unit_vectors[rows] @ unit_vectors.T).astype(np.float64) / TEMPERATURE
        scores[np.arange(len(rows)), rows] = -np.inf
        same = np.where(labels[rows][:, None] == labels, scores, -np.inf)
        asks = np.isfinite(same).any(axis=1)
        shares = np.logaddexp.reduce(same[asks], axis=1) - np.logaddexp.reduce(scores[asks], axis=1)
        total, count = total - float(shares.sum()), count + int(asks.sum())
    return total / count
