"""A pretext task's own numbers: sums over counts, intervals over items, and beside them what needs no model."""

import json

import numpy as np
import pytest

from headwater.errors import BadDataError
from headwater.evaluation.metrics.pretext import Term, pretext_report
from headwater.evaluation.significance import Estimate

RNG = np.random.default_rng(0)
COUNTS = RNG.integers(1, 9, 400).astype(float)
ERRORS = COUNTS * RNG.uniform(0.2, 0.6, 400)


def test_a_mean_is_a_sum_over_a_count_and_its_interval_is_over_items() -> None:
    report = pretext_report({"painting": Term(ERRORS, COUNTS, None, 1.0)}, "pictures", items=400)
    (measure,) = report.measures
    assert measure.found.value == pytest.approx(ERRORS.sum() / COUNTS.sum())
    error = np.sqrt(((ERRORS - measure.found.value * COUNTS) ** 2).mean() / 400) / COUNTS.mean()
    assert measure.found.high - measure.found.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert measure.beside == {"guessing": 1.0}


def test_trivial_answers_stand_beside_their_term_and_shares_beside_shares() -> None:
    right = np.round(COUNTS / 3)
    report = pretext_report(
        {
            "classes": Term(ERRORS, COUNTS, right, guessed_right=0.25),
            "classes_guessed": Term(3 * ERRORS, COUNTS, 0 * right, of="classes"),
        },
        "pictures",
        items=400,
    )
    loss, share = report.measures
    assert (loss.name, share.name) == ("classes", "classes_accuracy")
    usual = loss.beside["guessed"]
    assert isinstance(usual, Estimate)
    assert usual.value == pytest.approx(3 * loss.found.value)
    assert usual.low == pytest.approx(3 * loss.found.low)  # the same resamples
    assert share.found.value == pytest.approx(right.sum() / COUNTS.sum())
    assert share.beside["guessing"] == 0.25
    told = json.loads(json.dumps(report.to_dict()))
    assert told["classes"]["without_a_model"]["guessed"]["value"] == pytest.approx(usual.value)
    assert "guessed" in str(report)


def test_one_group_says_that_nothing_can_be_said_of_others() -> None:
    one = {"views": Term(np.ones(1), np.full(1, 4.0), None)}
    assert "nothing says" in str(pretext_report(one, "pictures", items=64, group=64))
    with pytest.raises(BadDataError, match="nothing to judge"):
        pretext_report({}, "pictures", items=0)
