"""Rankings: against scikit-learn where it has the measure, by hand where it has not."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score

from headwater.evaluation.metrics import retrieval
from headwater.evaluation.metrics.retrieval import (
    Relevance,
    Scores,
    recall_at,
    reciprocal_rank,
    retrieval_report,
)

QUERIES, PASSAGES = 60, 25
RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((QUERIES, PASSAGES))
RIGHT = RNG.integers(PASSAGES, size=QUERIES)
ONE_EACH = Relevance(np.arange(QUERIES), RIGHT, PASSAGES)


def of(scores: np.ndarray) -> Scores:
    return lambda block: scores[block]


@pytest.mark.parametrize("depth", [1, 3, 10])
def test_recall_is_the_accuracy_of_the_first_few(depth: int) -> None:
    found = recall_at(depth, ONE_EACH.ranks(of(SCORES)), ONE_EACH)
    theirs: Any = top_k_accuracy_score(RIGHT, SCORES, k=depth, labels=np.arange(PASSAGES))
    assert found.mean() == pytest.approx(theirs)


def test_the_mean_reciprocal_rank_is_scikit_learns_with_equal_scores_too() -> None:
    rounded = SCORES.round(0)  # many ties
    found = reciprocal_rank(ONE_EACH.ranks(of(rounded)), ONE_EACH, depth=PASSAGES)
    truth = np.eye(PASSAGES, dtype=int)[RIGHT]
    assert found.mean() == pytest.approx(label_ranking_average_precision_score(truth, rounded))


def test_a_query_with_several_passages_counts_the_share_found_and_the_first_one() -> None:
    relevance = Relevance(np.array([0, 0, 1]), np.array([0, 3, 2]), 4)
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.9, 0.8, 0.7, 0.1]])
    ranks = relevance.ranks(of(scores))
    assert ranks.tolist() == [1, 4, 3]
    assert recall_at(1, ranks, relevance).tolist() == [0.5, 0.0]
    assert recall_at(3, ranks, relevance).tolist() == [0.5, 1.0]
    assert reciprocal_rank(ranks, relevance).tolist() == [1.0, pytest.approx(1 / 3)]


def test_what_stands_beyond_the_tenth_place_is_not_found() -> None:
    relevance = Relevance(np.array([0]), np.array([11]), 12)
    ranks = relevance.ranks(of(-np.arange(12.0)[None]))
    assert (ranks.tolist(), reciprocal_rank(ranks, relevance).tolist()) == ([12], [0.0])


def test_ranks_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ONE_EACH.ranks(of(SCORES)).tolist()
    monkeypatch.setattr(retrieval, "_BLOCK", 7 * PASSAGES)
    assert len(ONE_EACH.blocks()) == 9
    assert ONE_EACH.ranks(of(SCORES)).tolist() == whole


def test_a_report_says_who_ranks_better() -> None:
    perfect = np.eye(PASSAGES)[RIGHT]
    report = retrieval_report(of(perfect), of(SCORES), ONE_EACH)
    assert (report.model.recall_at_1.value, report.model.mrr_at_10.value) == (1.0, 1.0)
    assert report.bm25.mrr_at_10.low < report.bm25.mrr_at_10.value < report.bm25.mrr_at_10.high
    assert "The model ranks better" in str(report)
    lead = report.difference
    assert f"Counting words ranks better than the model does: MRR@10 is higher by {lead.value:.3f}" in str(
        retrieval_report(of(SCORES), of(perfect), ONE_EACH)
    )
    assert "No difference" in str(retrieval_report(of(SCORES), of(SCORES), ONE_EACH))
    told = report.to_dict()
    beside = told["baselines"]["BM25"]
    assert beside["model_ahead_mrr_at_10"]["value"] == pytest.approx(1.0 - report.bm25.mrr_at_10.value)
    for name in ("recall_at_1", "recall_at_10", "mrr_at_10"):
        assert told[name] == {"value": 1.0, "low": 1.0, "high": 1.0}
        assert beside[name].keys() == {"value", "low", "high"}
