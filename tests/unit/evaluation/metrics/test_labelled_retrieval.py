"""What is found by labels: against loops that say it one by one, against scikit-learn where it has the measure."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from headwater.errors import BadDataError
from headwater.evaluation.metrics import labelled_retrieval
from headwater.evaluation.metrics.labelled_retrieval import Found, labelled_retrieval_report

RNG = np.random.default_rng(0)
LABELS = RNG.integers(6, size=80)
VECTORS = RNG.standard_normal((80, 5)) + LABELS[:, None]


def one_by_one(vectors: np.ndarray, labels: np.ndarray) -> list[tuple[float, float, float]]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows: list[tuple[float, float, float]] = []
    for query in range(len(labels)):
        others = [other for other in range(len(labels)) if other != query]
        fellows = sum(labels[other] == labels[query] for other in others)
        others.sort(key=lambda other: (-float(unit[query] @ unit[other]), labels[other] == labels[query]))
        hits = [float(labels[other] == labels[query]) for other in others]
        if fellows:
            precisions = [hits[place] * sum(hits[: place + 1]) / (place + 1) for place in range(fellows)]
            rows.append((hits[0], max(hits[:10]), sum(precisions) / fellows))
    return rows


@pytest.mark.parametrize("held", [1, 400, 1 << 22])
def test_every_measure_is_what_a_loop_finds(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_retrieval, "_BLOCK", held)
    alone = np.append(LABELS, 99)  # the last has a label of its own
    vectors = np.append(VECTORS, VECTORS[:1] + 0.01, axis=0)
    found = Found.by(vectors, alone)
    expected = np.array(one_by_one(vectors, alone))
    np.testing.assert_allclose(np.array(found).T, expected)
    assert len(found.first) == 80


def test_the_first_is_the_nearest_neighbour_of_scikit_learn() -> None:
    neighbours: Any = KNeighborsClassifier(n_neighbors=2, metric="cosine").fit(VECTORS, LABELS)
    nearest = neighbours.kneighbors(VECTORS, return_distance=False)[:, 1]
    assert Found.by(VECTORS, LABELS).first.tolist() == (LABELS[nearest] == LABELS).tolist()


def test_a_perfect_order_has_all_and_precision_is_below_average_precision() -> None:
    assert np.array(Found.by(np.eye(6)[LABELS], LABELS)).min() == 1.0
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    for query, ours in enumerate(Found.by(VECTORS, LABELS).precision):
        others = np.arange(80) != query
        same = np.equal(LABELS, LABELS[query])[others]
        assert ours <= average_precision_score(same, (unit @ unit[query])[others]) + 1e-9


def test_what_cannot_be_told_apart_is_not_found() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    found = Found.by(np.ones((5, 3)), labels)
    assert found.first.tolist() == [0.0] * 5


def test_the_report_says_who_finds_more() -> None:
    names = [f"label {number}" for number in LABELS]
    better = labelled_retrieval_report(VECTORS, RNG.standard_normal((80, 7)), names)
    assert "The model finds more" in str(better)
    table = better.to_dict()
    assert table["map_at_r"].keys() == {"value", "low", "high"}
    assert table["baselines"]["shades"]["recall_at_1"]["value"] < table["recall_at_1"]["value"]
    worse = labelled_retrieval_report(RNG.standard_normal((80, 7)), VECTORS, names)
    assert "find more than the model" in str(worse)
    centred = VECTORS - VECTORS.mean(axis=0)
    assert "No difference" in str(labelled_retrieval_report(centred, centred * 2 + 7, names))


def test_rows_that_share_no_label_are_refused() -> None:
    with pytest.raises(BadDataError, match="4 rows with as many labels"):
        labelled_retrieval_report(np.eye(4), np.eye(4), list("abcd"))
