"""How often the other side of a pair stands first, both ways, every number with its 95 % interval.

Shape letters: Q queries, N things that are ranked.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headwater.evaluation.metrics.retrieval import Relevance, Scores
from headwater.evaluation.significance import Estimate, hierarchical_bootstrap
from headwater.telling import Told

DEPTHS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Ranking:
    """One way: how often a right thing stands among the first 1, 5, 10 of all, and how often it would by chance."""

    asked: str
    found: str
    queries: int
    things: int
    recall_at_1: Estimate
    recall_at_5: Estimate
    recall_at_10: Estimate
    median_rank: float
    chance_at_1: float

    @classmethod
    def of(
        cls, asked: str, found: str, scores: Scores, relevance: Relevance, rng: np.random.Generator
    ) -> Self:
        """The best right thing of each query counts."""
        best = np.minimum.reduceat(relevance.ranks(scores), relevance.first[:-1])
        one, five, ten = (hierarchical_bootstrap((best <= depth).astype(float), rng=rng) for depth in DEPTHS)
        right = np.diff(relevance.first)
        return cls(
            asked=asked,
            found=found,
            queries=relevance.num_queries,
            things=relevance.num_passages,
            recall_at_1=one,
            recall_at_5=five,
            recall_at_10=ten,
            median_rank=float(np.median(best)),
            chance_at_1=float(right.mean() / relevance.num_passages),
        )

    def __str__(self) -> str:
        return (
            f"{self.queries:,} {self.asked} → {self.things:,} {self.found}: recall@1 {self.recall_at_1} (chance "
            f"{self.chance_at_1:.3f}), recall@5 {self.recall_at_5}, recall@10 {self.recall_at_10}, median rank "
            f"{self.median_rank:.0f}"
        )


@dataclass(frozen=True, slots=True, repr=False)
class PairReport(Told):
    """Both ways; ``right`` says what counts as found: the other side of the pair, or any with the same label."""

    there: Ranking
    back: Ranking
    right: str

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.there}\n{self.back}\nRight is {self.right}."


def pair_report(
    cosines: NDArray[np.float32],
    right: NDArray[np.bool_],
    sides: tuple[str, str],
    *,
    told: str,
    seed: int = 0,
) -> PairReport:
    """Both rankings from the cosines of all first sides with all second sides (N₁, N₂) and which of them are right."""
    rng = np.random.default_rng(seed)
    ways = [
        Ranking.of(asked, found, lambda block, values=values: values[block], _relevance(marked), rng)
        for asked, found, values, marked in (
            (*sides, cosines, right),
            (*reversed(sides), cosines.T, right.T),
        )
    ]
    return PairReport(ways[0], ways[1], told)


def _relevance(right: NDArray[np.bool_]) -> Relevance:
    queries, things = np.nonzero(right)
    return Relevance(queries.astype(np.int64), things.astype(np.int64), right.shape[1])
