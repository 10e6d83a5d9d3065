"""HR@10 and NDCG@10 against scikit-learn and against sorting all items."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score

from headwater.errors import BadDataError
from headwater.evaluation.metrics.ranking import Standing, ranking_report

USERS, ITEMS = 60, 40


def drawn(*, ties: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 8, (USERS, ITEMS)).astype(float) if ties else rng.normal(size=(USERS, ITEMS))
    return scores, rng.integers(0, ITEMS, USERS)


@pytest.mark.parametrize("ties", [False, True])
def test_the_gain_is_scikit_learns(ties: bool):
    scores, chosen = drawn(ties=ties)
    expected = ndcg_score(np.eye(ITEMS)[chosen], scores, k=10)
    assert Standing.of(scores, chosen).gain.mean() == pytest.approx(expected)


def test_a_hit_is_a_place_among_the_first_ten():
    scores, chosen = drawn(ties=False)
    first_ten = np.argsort(-scores, axis=1)[:, :10]
    expected = [item in row for item, row in zip(chosen, first_ten, strict=True)]
    assert Standing.of(scores, chosen).hit.tolist() == expected


def test_items_that_score_alike_share_their_places():
    standing = Standing.of(np.zeros((1, 40)), np.array([3]))
    assert standing.hit[0] == pytest.approx(10 / 40)
    assert Standing.of(np.zeros((1, 5)), np.array([3])).hit[0] == pytest.approx(1.0)


def test_what_cannot_be_recommended_is_never_found():
    scores = np.array([[1.0, -np.inf, 0.5], [1.0, 2.0, 3.0], [-np.inf] * 3])
    standing = Standing.of(scores, np.array([1, -1, 0]))
    assert standing.hit.tolist() == [0, 0, 0]
    assert standing.gain.tolist() == [0, 0, 0]


def test_a_report_sets_the_model_beside_baselines():
    scores, chosen = drawn(ties=False)
    better = scores.copy()
    better[np.arange(USERS), chosen] += 2.0
    report = ranking_report(
        [("this model", Standing.of(better, chosen)), ("popularity", Standing.of(scores, chosen))],
        items=ITEMS,
        not_learnt=2,
        had_before=1,
    )
    (baseline,) = report.baselines
    assert baseline.model_ahead is not None
    assert baseline.model_ahead.value == pytest.approx(report.model.ndcg_10.value - baseline.ndcg_10.value)
    assert baseline.model_ahead.low > 0
    assert report.model.hr_10.low <= report.model.hr_10.value <= report.model.hr_10.high
    told = report.to_dict()
    assert told["hr_10"]["value"] == report.model.hr_10.value
    assert told["baselines"]["popularity"]["ndcg_10"]["value"] == baseline.ndcg_10.value
    assert "2 of them chose an item that nobody had in training" in str(report)


def test_without_users_there_is_no_report():
    nobody = Standing(np.zeros(0, np.int64), np.zeros(0, np.int64))
    with pytest.raises(BadDataError, match="at least one with two events"):
        ranking_report([("this model", nobody)], items=1, not_learnt=0, had_before=0)
