"""Classification metrics, against scikit-learn and against resampling row by row."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from headwater.errors import BadDataError
from headwater.evaluation.metrics import classification_report, confusion_matrix
from headwater.evaluation.metrics.classification import (
    Floats,
    Outcomes,
    accuracy,
    calibration_error,
    macro_f1,
    matthews,
    outcomes_of,
    resampled_outcomes,
)

NAMES = ("cat", "dog", "鸟", "never")


def _answers(rows: int = 500, seed: int = 0):
    """Three labels that occur and one that does not; a model that is right more often than not."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, size=rows, p=[0.6, 0.3, 0.1])
    scores = rng.normal(size=(rows, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return labels, probabilities


def test_every_number_equals_scikit_learns():
    labels, probabilities = _answers()
    predictions = probabilities.argmax(axis=1)
    found = classification_report(labels, probabilities, NAMES)
    assert found.accuracy.value == pytest.approx(reference.accuracy_score(labels, predictions))
    assert found.macro_f1.value == pytest.approx(reference.f1_score(labels, predictions, average="macro"))
    assert found.matthews.value == pytest.approx(reference.matthews_corrcoef(labels, predictions))
    assert found.log_loss is not None
    expected = reference.log_loss(labels, probabilities, labels=[0, 1, 2, 3])
    assert found.log_loss.value == pytest.approx(expected)
    by_label: Any = reference.precision_recall_fscore_support  # its annotations miss what it takes and gives
    lists = by_label(labels, predictions, labels=[0, 1, 2, 3], zero_division=0)
    for name, column in zip(("precision", "recall", "f1"), lists, strict=False):
        assert [getattr(score, name).value for score in found.labels] == pytest.approx(list(column))
    expected = reference.confusion_matrix(labels, predictions, labels=[0, 1, 2, 3])
    assert np.array_equal(np.array(found.confusion), expected)


@pytest.mark.parametrize("metric", [accuracy, macro_f1, matthews])
def test_a_resampled_table_is_as_spread_as_resampled_rows(metric: Callable[[Outcomes], Floats]):
    labels, probabilities = _answers(rows=200)
    predictions = probabilities.argmax(axis=1)
    rng = np.random.default_rng(1)
    tables = metric(resampled_outcomes(confusion_matrix(labels, predictions, 4), rng, 4000))
    rows = rng.integers(200, size=(2000, 200))
    one_by_one = [
        metric(outcomes_of(confusion_matrix(labels[chosen], predictions[chosen], 4)))[0] for chosen in rows
    ]
    assert np.quantile(tables, [0.025, 0.5, 0.975]) == pytest.approx(
        np.quantile(one_by_one, [0.025, 0.5, 0.975]), abs=0.012
    )


def test_many_blocks_of_resamples_are_one_set(monkeypatch: pytest.MonkeyPatch):
    labels, probabilities = _answers(rows=300)
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), 4)
    monkeypatch.setattr("headwater.evaluation.metrics.classification._BLOCK", 50)
    drawn = resampled_outcomes(confusion, np.random.default_rng(0), 40)
    assert drawn.hits.shape == (40, 4)
    assert (drawn.rows == 300).all()


def test_rows_with_unknown_labels_count_as_wrong_and_break_nothing():
    labels, probabilities = _answers(rows=100)
    labels = labels.copy()
    labels[:20] = -1
    found = classification_report(labels, probabilities, NAMES)
    right = (labels == probabilities.argmax(axis=1)).mean()
    assert found.accuracy.value == pytest.approx(right)
    assert found.unknown_rows == 20
    assert sum(found.confusion[-1]) == 20
    known = labels >= 0
    assert found.log_loss is not None
    assert found.log_loss.value == pytest.approx(
        reference.log_loss(labels[known], probabilities[known], labels=[0, 1, 2, 3])
    )
    # scikit-learn sees the unknown label as one more class that is never predicted.
    expected = reference.matthews_corrcoef(labels, probabilities.argmax(axis=1))
    assert found.matthews.value == pytest.approx(expected)


def test_a_test_of_unknown_labels_alone_has_no_log_loss():
    found = classification_report([-1, -1], [[0.9, 0.1], [0.2, 0.8]], ("a", "b"))
    assert (found.accuracy.value, found.log_loss) == (0.0, None)


def test_calibration_error_is_the_gap_of_a_worked_example():
    # Ten answers at 0.9 of which 6 are right; ten at 0.5 of which 5 are right: half of 0.3, half of 0.
    confidences = [0.9] * 10 + [0.5] * 10
    right = [True] * 6 + [False] * 4 + [True] * 5 + [False] * 5
    assert calibration_error(confidences, right) == pytest.approx(0.15)


def test_a_sure_and_right_model_is_perfectly_calibrated():
    assert calibration_error([1.0, 1.0, 1.0], [True, True, True]) == 0.0


def test_intervals_hold_their_values_and_the_report_is_json():
    labels, probabilities = _answers(rows=120)
    found = classification_report(labels, probabilities, NAMES)
    for estimate in (found.accuracy, found.macro_f1, found.matthews, found.log_loss):
        assert estimate is not None
        assert estimate.low <= estimate.value <= estimate.high
    assert json.loads(json.dumps(found.to_dict(), ensure_ascii=False))["labels"][2]["label"] == "鸟"
    assert "95 %" in str(found)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BadDataError, match="one column for each of 3 labels"):
        classification_report([0, 1], [[0.5, 0.5], [0.1, 0.9]], ("a", "b", "c"))
    with pytest.raises(BadDataError, match="2 labels and 1 predictions"):
        classification_report([0, 1], [[0.5, 0.5]], ("a", "b"))
    with pytest.raises(BadDataError, match="outside 0 … 1"):
        confusion_matrix([0, 1], [0, 2], 2)
