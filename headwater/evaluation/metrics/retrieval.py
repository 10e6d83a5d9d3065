"""How often the right passages stand first, every number with its 95 % interval over other queries.

Shape letters: Q queries, N passages, R pairs of a query and a passage that is right for it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from headwater.evaluation.metrics.leading import who_leads
from headwater.evaluation.significance import Estimate, hierarchical_bootstrap
from headwater.telling import Told

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Scores = Callable[[slice], NDArray[np.floating[Any]]]
"""The scores of all passages for some of the queries: (queries of the slice, N)."""

DEPTH = 10
_BLOCK = 1 << 22  # scores held at a time


@dataclass(frozen=True, slots=True)
class Relevance:
    """Which passages are right for which queries, the pairs in the order of the queries; every query has one."""

    queries: Integers  # (R,)
    passages: Integers  # (R,)
    num_passages: int

    @property
    def num_queries(self) -> int:
        """How many queries there are."""
        return int(self.queries[-1]) + 1

    @property
    def first(self) -> Integers:
        """The first pair of each query, and how many pairs there are: (Q + 1,)."""
        return np.searchsorted(self.queries, np.arange(self.num_queries + 1))

    def blocks(self) -> list[slice]:
        """The queries in blocks whose scores fit in memory."""
        step = max(1, _BLOCK // self.num_passages)
        return [
            slice(start, min(start + step, self.num_queries)) for start in range(0, self.num_queries, step)
        ]

    def pairs(self, block: slice) -> tuple[slice, Integers, Integers]:
        """The pairs of a block of queries: which they are, their rows in the block, their passages."""
        own = slice(int(self.first[block.start]), int(self.first[block.stop]))
        return own, self.queries[own] - block.start, self.passages[own]

    def ranks(self, scores_of: Scores) -> Integers:
        """At which place each right passage stands, from 1: (R,).

        A passage stands behind all that score as much: what cannot be told apart is not found.
        """
        ranks = np.zeros(len(self.queries), np.int64)
        for block in self.blocks():
            scores = scores_of(block)
            own, rows, passages = self.pairs(block)
            ranks[own] = (scores[rows] >= scores[rows, passages][:, None]).sum(axis=1)
        return ranks


def recall_at(depth: int, ranks: Integers, relevance: Relevance) -> Floats:
    """The share of each query's right passages that stand among the first ``depth``: (Q,)."""
    return np.bincount(relevance.queries, ranks <= depth) / np.diff(relevance.first)


def reciprocal_rank(ranks: Integers, relevance: Relevance, depth: int = DEPTH) -> Floats:
    """1 / the rank of each query's first right passage, 0 where it is beyond ``depth``: (Q,).

    Its mean is MRR@``depth`` (Voorhees 1999, TREC-8 question answering, section 3).
    """
    best = np.minimum.reduceat(ranks, relevance.first[:-1])
    return np.where(best <= depth, 1.0 / best, 0.0)


@dataclass(frozen=True, slots=True)
class RankingScores:
    """What one way to rank is worth; means over the queries, 0 to 1."""

    recall_at_1: Estimate
    recall_at_10: Estimate
    mrr_at_10: Estimate

    @classmethod
    def of(cls, ranks: Integers, relevance: Relevance, rng: np.random.Generator) -> Self:
        """All measures of the ranks of the right passages."""
        return cls(
            recall_at_1=hierarchical_bootstrap(recall_at(1, ranks, relevance), rng=rng),
            recall_at_10=hierarchical_bootstrap(recall_at(DEPTH, ranks, relevance), rng=rng),
            mrr_at_10=hierarchical_bootstrap(reciprocal_rank(ranks, relevance), rng=rng),
        )


@dataclass(frozen=True, slots=True, repr=False)
class RetrievalReport(Told):
    """A model's ranking of all distinct passages of a test set for each distinct query, beside BM25's."""

    queries: int
    passages: int
    model: RankingScores
    bm25: RankingScores
    difference: Estimate
    """MRR@10 of the model less that of BM25, query by query."""

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high, those of the model under their names."""
        return {
            "queries": self.queries,
            "passages": self.passages,
            **asdict(self.model),
            "baselines": {"BM25": {**asdict(self.bm25), "model_ahead_mrr_at_10": asdict(self.difference)}},
        }

    def __str__(self) -> str:
        lines = [
            f"{self.queries:,} queries, each over all {self.passages:,} passages",
            f"{'':<12}{'recall@1':<30}{'recall@10':<30}MRR@10",
        ]
        for name, scores in (("this model", self.model), ("BM25", self.bm25)):
            first, among = str(scores.recall_at_1), str(scores.recall_at_10)
            lines.append(f"{name:<12}{first:<30}{among:<30}{scores.mrr_at_10}")
        return "\n".join([*lines, self._verdict])

    @property
    def _verdict(self) -> str:
        return who_leads(
            self.difference,
            "MRR@10",
            ahead="The model ranks better than counting words does",
            behind="Counting words ranks better than the model does",
            level="No difference to counting words can be told",
        )


def retrieval_report(model: Scores, bm25: Scores, relevance: Relevance, *, seed: int = 0) -> RetrievalReport:
    """All measures of both ways to rank."""
    rng = np.random.default_rng(seed)
    ranks = {name: relevance.ranks(scores) for name, scores in (("model", model), ("bm25", bm25))}
    apart = reciprocal_rank(ranks["model"], relevance) - reciprocal_rank(ranks["bm25"], relevance)
    return RetrievalReport(
        queries=relevance.num_queries,
        passages=relevance.num_passages,
        model=RankingScores.of(ranks["model"], relevance, rng),
        bm25=RankingScores.of(ranks["bm25"], relevance, rng),
        difference=hierarchical_bootstrap(apart, rng=rng),
    )
