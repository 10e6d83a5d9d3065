"""Regression measures, against scipy and scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as reference

from headwater.errors import BadDataError
from headwater.evaluation.metrics import regression_report
from headwater.evaluation.metrics.regression import ranks


@pytest.fixture
def numbers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    targets = rng.integers(6, size=150).astype(float)  # with ties, as in similarity scores
    return targets, targets + rng.normal(size=150)


def test_every_measure_equals_the_second_implementation(
    numbers: tuple[NDArray[np.float64], NDArray[np.float64]],
):
    targets, predictions = numbers
    found = regression_report(targets, predictions)
    assert found.pearson.value == pytest.approx(float(np.corrcoef(predictions, targets)[0, 1]))
    assert found.spearman.value == pytest.approx(stats.spearmanr(predictions, targets)[0])
    assert found.r2.value == pytest.approx(reference.r2_score(targets, predictions))
    assert found.mean_absolute_error.value == pytest.approx(
        reference.mean_absolute_error(targets, predictions)
    )
    expected = reference.root_mean_squared_error(targets, predictions)
    assert found.root_mean_squared_error.value == pytest.approx(expected)


def test_equal_values_share_their_rank():
    values = [3.0, 1.0, 3.0, 2.0]
    assert list(ranks(np.array(values))) == list(stats.rankdata(values))


def test_predictions_that_never_vary_correlate_with_nothing():
    found = regression_report([1.0, 2.0, 3.0], [5.0, 5.0, 5.0])
    assert (found.pearson.value, found.spearman.value) == (0.0, 0.0)


def test_what_is_not_a_number_is_refused():
    with pytest.raises(BadDataError, match="predictions that are not finite"):
        regression_report([1.0, 2.0], [1.0, float("nan")])
