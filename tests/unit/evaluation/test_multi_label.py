"""Scores of sets of labels against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from headwater.errors import BadDataError
from headwater.evaluation.metrics.multi_label import multi_label_report

NAMES = ("action", "comedy", "drama", "western")


def tables(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.random((rows, len(NAMES))) < [0.5, 0.3, 0.6, 0.05]
    return true, true ^ (rng.random(true.shape) < 0.2)


def test_the_measures_are_those_of_scikit_learn() -> None:
    true, predicted = tables(200, 1)
    found = multi_label_report(true, predicted, NAMES)
    assert found.micro_f1.value == pytest.approx(f1_score(true, predicted, average="micro"))
    assert found.macro_f1.value == pytest.approx(f1_score(true, predicted, average="macro"))
    assert found.exact_match.value == pytest.approx(accuracy_score(true, predicted))
    each = np.array(precision_recall_fscore_support(true, predicted)[:3])
    ours = [[getattr(score, name).value for score in found.labels] for name in ("precision", "recall", "f1")]
    np.testing.assert_allclose(ours, each)


def test_a_label_that_occurs_nowhere_does_not_lower_the_mean() -> None:
    true = np.array([[True, False], [True, False]])
    assert multi_label_report(true, true, ("a", "b")).macro_f1.value == 1.0


def test_intervals_hold_the_value_and_narrow_with_rows() -> None:
    few, many = (multi_label_report(*tables(rows, 2), NAMES).micro_f1 for rows in (50, 2000))
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadDataError, match="one column for each of 4 labels"):
        multi_label_report(np.ones((3, 2), bool), np.ones((3, 2), bool), NAMES)
