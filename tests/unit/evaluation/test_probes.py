"""Probes on vectors whose answer is known."""

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from headwater.errors import BadDataError
from headwater.evaluation.probes import (
    NEIGHBOURS,
    TEMPERATURE,
    linear_predictions,
    linear_probe,
    neighbour_predictions,
    neighbour_probe,
    probe_estimate,
)


def _blobs(rows: int = 400, width: int = 16, distance: float = 2.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    centres = rng.normal(size=(3, width)) * distance
    vectors = centres[labels] + rng.normal(size=(rows, width))
    return vectors, labels, rng.random(rows) < 0.5


def test_separated_clusters_are_read_by_both_probes():
    vectors, labels, judged = _blobs()
    assert linear_probe(vectors, labels, judged) > 0.97
    assert neighbour_probe(vectors, labels, judged) > 0.97


def test_noise_is_read_at_chance():
    rng = np.random.default_rng(1)
    vectors, labels, judged = rng.normal(size=(600, 20)), rng.integers(2, size=600), rng.random(600) < 0.5
    assert linear_probe(vectors, labels, judged) == pytest.approx(0.5, abs=0.12)
    assert neighbour_probe(vectors, labels, judged) == pytest.approx(0.5, abs=0.12)


def test_the_scale_of_a_dimension_changes_nothing_for_the_linear_probe():
    vectors, labels, judged = _blobs(distance=0.5)
    scales = 10.0 ** np.random.default_rng(2).integers(-3, 4, size=vectors.shape[1])
    assert np.array_equal(
        linear_predictions(vectors, labels, judged),
        linear_predictions(vectors * scales + 5.0, labels, judged),
    )


def test_the_labels_of_judged_rows_are_never_read():
    vectors, labels, judged = _blobs(distance=0.5)
    hidden = np.where(judged, 0, labels)
    for predictions in (linear_predictions, neighbour_predictions):
        assert np.array_equal(predictions(vectors, labels, judged), predictions(vectors, hidden, judged))


def test_neighbours_vote_as_scikit_learns_do():
    vectors, labels, judged = _blobs(distance=0.4)
    neighbours: Any = KNeighborsClassifier  # its annotations allow no function of the distance
    reference = neighbours(
        NEIGHBOURS, metric="cosine", weights=lambda distance: np.exp(-distance / TEMPERATURE)
    ).fit(vectors[~judged], labels[~judged])
    ours = neighbour_predictions(vectors, labels, judged)
    assert (ours == reference.predict(vectors[judged])).all()


def test_a_single_learning_label_is_all_that_a_probe_can_say():
    vectors, judged = np.eye(4), np.array([False, False, True, True])
    assert list(linear_predictions(vectors, np.array([7, 7, 7, 3]), judged)) == [7, 7]


def test_constant_dimensions_do_no_harm():
    vectors, labels, judged = _blobs()
    vectors[:, :3] = 4.2
    assert linear_probe(vectors, labels, judged) > 0.9


def test_an_estimate_holds_the_accuracy():
    found = probe_estimate([1, 1, 0, 0], [1, 1, 0, 1])
    assert found.low <= found.value == 0.75 <= found.high


def test_nothing_to_judge_on_is_refused():
    with pytest.raises(BadDataError, match="some of both"):
        linear_probe(np.ones((3, 2)), np.zeros(3), np.zeros(3, dtype=bool))
    with pytest.raises(BadDataError, match="one of each a row"):
        linear_probe(np.ones((3, 2)), np.zeros(2), np.ones(3, dtype=bool))
