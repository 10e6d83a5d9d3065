"""How often what is nearest carries the same label, every number with its 95 % interval over other queries.

Each thing is looked for among all others. Shape letters: N things, C numbers of a vector.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from headwater.errors import BadDataError
from headwater.evaluation.metrics.leading import who_leads
from headwater.evaluation.significance import Estimate, hierarchical_bootstrap
from headwater.telling import Told, in_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Vectors = NDArray[np.floating[Any]]
DEPTH = 10
_BLOCK = 1 << 22  # scores held at a time


class Found(NamedTuple):
    """What each thing with a fellow finds: one number a query, (Q,)."""

    first: Floats  # 1 where the nearest of all others carries its label
    among: Floats  # 1 where one of the nearest ten does
    precision: Floats  # MAP@R

    @classmethod
    def by(cls, vectors: Vectors, labels: Integers) -> Self:
        """Rank all others for each thing by the cosine of their ``vectors`` (N, C), the directions of rows.

        MAP@R is the mean over the first R places, R the fellows of a query, of the precision at each place where a
        fellow stands (Musgrave et al. 2020, section 3.2, arXiv:2003.08505). A fellow stands behind all that are as
        near: what cannot be told apart is not found.
        """
        fellows = np.bincount(labels)[labels] - 1
        queries = np.flatnonzero(fellows)
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        step = max(1, _BLOCK // len(labels))
        parts = [
            _found(unit, labels, queries[start : start + step], fellows)
            for start in range(0, len(queries), step)
        ]
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _found(
    unit: Vectors, labels: Integers, queries: Integers, fellows: Integers
) -> tuple[Floats, Floats, Floats]:
    scores = unit[queries] @ unit.T
    scores[np.arange(len(queries)), queries] = -np.inf  # nobody finds himself
    same = labels[queries][:, None] == labels
    most = max(DEPTH, int(fellows[queries].max()))
    order = np.lexsort((same, -scores), axis=1)[:, :most]
    hits = np.take_along_axis(same, order, axis=1).astype(np.float64)
    places = np.arange(1, hits.shape[1] + 1)
    precisions = hits * hits.cumsum(axis=1) / places
    counted = places <= fellows[queries][:, None]
    return hits[:, 0], hits[:, :DEPTH].max(axis=1), (precisions * counted).sum(axis=1) / fellows[queries]


@dataclass(frozen=True, slots=True)
class FellowScores:
    """What one way to tell what is alike is worth; means over the queries, 0 to 1."""

    recall_at_1: Estimate
    recall_at_10: Estimate
    map_at_r: Estimate

    @classmethod
    def of(cls, found: Found, rng: np.random.Generator) -> Self:
        """All measures."""
        return cls(*(hierarchical_bootstrap(values, rng=rng) for values in found))


@dataclass(frozen=True, slots=True, repr=False)
class LabelledRetrievalReport(Told):
    """What a model finds for each thing of a test set among all others, beside what shades alone find."""

    queries: int
    alone: int
    """Things that no other shares its label with: they are found, and ask for nothing."""
    model: FellowScores
    shades: FellowScores
    difference: Estimate
    """MAP@R of the model less that of the shades, query by query."""

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return {
            "queries": self.queries,
            "alone": self.alone,
            **asdict(self.model),
            "baselines": {"shades": {**asdict(self.shades), "model_ahead_map_at_r": asdict(self.difference)}},
        }

    def __str__(self) -> str:
        alone = f"; {self.alone:,} have a label of their own and ask for nothing" if self.alone else ""
        head = f"{self.queries:,} queries, each among the {self.queries + self.alone - 1:,} others{alone}"
        lines = [("", "recall@1", "recall@10", "MAP@R")]
        for name, scores in (("this model", self.model), ("shades alone", self.shades)):
            lines.append((name, str(scores.recall_at_1), str(scores.recall_at_10), str(scores.map_at_r)))
        verdict = who_leads(
            self.difference,
            "MAP@R",
            ahead="The model finds more than the shades of 16 × 16 squares do",
            behind="The shades of 16 × 16 squares find more than the model does",
            level="No difference to the shades of 16 × 16 squares can be told",
        )
        return "\n".join((head, in_columns(lines), verdict))


def labelled_retrieval_report(
    vectors: Vectors, shades: Vectors, labels: Sequence[str], *, seed: int = 0
) -> LabelledRetrievalReport:
    """All measures by the model's ``vectors`` (N, C) and by the ``shades`` (N, D) of the same things."""
    numbers = np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)
    refuse_no_fellows(labels)
    rng = np.random.default_rng(seed)
    model, plain = Found.by(vectors, numbers), Found.by(shades - shades.mean(axis=0), numbers)
    return LabelledRetrievalReport(
        queries=len(model.first),
        alone=len(labels) - len(model.first),
        model=FellowScores.of(model, rng),
        shades=FellowScores.of(plain, rng),
        difference=hierarchical_bootstrap(model.precision - plain.precision, rng=rng),
    )


def refuse_no_fellows(labels: Sequence[str]) -> None:
    """BadDataError where each thing has a label of its own."""
    if len(set(labels)) == len(labels):
        raise BadDataError(
            f"found {len(labels):,} rows with as many labels; expected some that share theirs, since what is alike is "
            "looked for by its label"
        )
