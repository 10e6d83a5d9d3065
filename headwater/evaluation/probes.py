"""Frozen-backbone probes: what a simple reader finds in vectors that are not trained further."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, bootstrap

Vectors = NDArray[np.float64]
Integers = NDArray[np.int64]
REGULARISATIONS = (0.001, 0.01, 0.1, 1.0)
"""C, the inverse strength; on standardised vectors more than 1 fits noise."""
GENTLE = 30.0
"""C times the rows of a reader that further training goes on from."""
LEAST_SPREAD = 0.2
"""Of vectors behind a norm, whose numbers have a mean square near 1."""
NEIGHBOURS = 20
TEMPERATURE = 0.07
_CHOOSING_SHARE = 5
_BLOCK = 1024


def _divided(
    vectors: ArrayLike, labels: ArrayLike, judged: ArrayLike
) -> tuple[Vectors, Integers, NDArray[np.bool_]]:
    table, true, held = (
        np.asarray(vectors, dtype=np.float64),
        np.asarray(labels),
        np.asarray(judged, dtype=np.bool_),
    )
    if table.ndim != 2 or not len(table) == len(true) == len(held):
        raise BadDataError(
            f"found vectors of shape {table.shape}, {len(true)} labels and {len(held)} marks; expected one "
            f"of each a row"
        )
    if held.all() or not held.any():
        raise BadDataError("found no rows to learn from, or none to judge on; a probe needs some of both")
    return table, true, held


def _fit(vectors: Vectors, labels: Integers, strength: float, *, biased: bool = True) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # A probe not quite at its optimum is still a fair reader, and the choosing rows judge it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=200, fit_intercept=biased).fit(vectors, labels)


def _best_strength(vectors: Vectors, labels: Integers) -> float:
    """The C that does best on every fifth learning row, when trained on the others."""
    choosing = np.arange(len(labels)) % _CHOOSING_SHARE == 0
    if len(np.unique(labels[~choosing])) < 2:
        return REGULARISATIONS[1]

    def score(strength: float) -> float:
        reader = _fit(vectors[~choosing], labels[~choosing], strength)
        return float((reader.predict(vectors[choosing]) == labels[choosing]).mean())

    return max(REGULARISATIONS, key=score)


def linear_predictions(vectors: ArrayLike, labels: ArrayLike, judged: ArrayLike) -> Integers:
    """Labels of the judged rows by logistic regression on standardised vectors.

    ``vectors`` (N, C), ``labels`` (N,), ``judged`` (N,) true where a row is kept for judging. The
    regularisation is chosen on a fifth of the learning rows; mean and spread are taken from the learning
    rows alone.
    """
    table, true, held = _divided(vectors, labels, judged)
    learned = table[~held]
    spread = learned.std(axis=0)
    table = (table - learned.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if len(np.unique(true[~held])) < 2:
        return np.full(int(held.sum()), true[~held][0])
    reader = _fit(table[~held], true[~held], _best_strength(table[~held], true[~held]))
    return reader.predict(table[held])


def linear_reader(
    vectors: ArrayLike, labels: ArrayLike, classes: int, *, biased: bool = True
) -> tuple[Vectors, Vectors]:
    """The weights (K, C) and biases (K,) of a gentle logistic regression on vectors (N, C) with labels (N,) below K.

    Its C is 30 / N on vectors that are centred and divided by their root mean square distance from the centre, or by
    0.2 where they lie closer together than that: what hardly differs is not blown up. logit = W x + b of vectors as
    they are. A class that no row has keeps weights of 0 and the smallest bias. Unless ``biased``, b = 0 and nothing is
    centred.
    """
    table, true = np.asarray(vectors, dtype=np.float64), np.asarray(labels)
    weights, biases = np.zeros((classes, table.shape[1])), np.zeros(classes)
    known = np.unique(true)
    if len(known) < 2:
        return weights, biases
    mean = table.mean(axis=0)
    scale = max(LEAST_SPREAD, float(np.sqrt(np.square(table - mean).mean())))
    mean = mean if biased else np.zeros_like(mean)
    reader = _fit((table - mean) / scale, true, GENTLE / len(table), biased=biased)
    found, offsets = reader.coef_ / scale, reader.intercept_
    if len(known) == 2:  # one row says how much likelier the second is
        found, offsets = np.concatenate((-found, found)) / 2, np.concatenate((-offsets, offsets)) / 2
    biases[:] = offsets.min()
    weights[known], biases[known] = found, offsets - found @ mean
    return weights, biases


def linear_hits(vectors: ArrayLike, labels: ArrayLike, more: ArrayLike | None = None) -> NDArray[np.bool_]:
    """Which rows (N,) a gentle linear classifier gets right that has learnt from the other four fifths of the rows.

    ``vectors`` (N, C), ``labels`` (N,). It learns from the vectors ``more`` (N, C) of the same rows too where there are
    any, and is judged on ``vectors`` alone.
    """
    table, true = np.asarray(vectors, dtype=np.float64), np.asarray(labels)
    classes = int(true.max(initial=0)) + 1
    fold = np.zeros(len(true), np.int64)
    for label in np.unique(true):  # each class in every fold, in whatever order rows stand
        rows = np.flatnonzero(true == label)
        fold[rows] = np.arange(len(rows)) % _CHOOSING_SHARE
    hits = np.zeros(len(true), dtype=np.bool_)
    for number in range(_CHOOSING_SHARE):
        held = fold == number
        learnt, known = table[~held], true[~held]
        if more is not None:
            learnt = np.concatenate((learnt, np.asarray(more, dtype=np.float64)[~held]))
            known = np.concatenate((known, known))
        weights, biases = linear_reader(learnt, known, classes)
        hits[held] = (table[held] @ weights.T + biases).argmax(axis=1) == true[held]
    return hits


def neighbour_predictions(vectors: ArrayLike, labels: ArrayLike, judged: ArrayLike) -> Integers:
    """Labels of the judged rows by the vote of their 20 nearest learning rows.

    Vote of a neighbour = exp(cosine / 0.07) (Wu et al. 2018, section 3.4, arXiv:1805.01978). Shapes as in
    ``linear_predictions``.
    """
    table, true, held = _divided(vectors, labels, judged)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    table = table / np.where(lengths > 0, lengths, 1.0)
    names, numbers = np.unique(true[~held], return_inverse=True)
    known, asked = table[~held], table[held]
    count = min(NEIGHBOURS, len(known))
    found: list[Integers] = []
    for start in range(0, len(asked), _BLOCK):
        cosines = asked[start : start + _BLOCK] @ known.T
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        votes = np.exp((np.take_along_axis(cosines, nearest, axis=1) - 1.0) / TEMPERATURE)
        totals = np.zeros((len(cosines), len(names)))
        np.add.at(totals, (np.arange(len(cosines))[:, None], numbers[nearest]), votes)
        found.append(names[totals.argmax(axis=1)])
    return np.concatenate(found)


def _accuracy(predictions: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    return float((predictions == labels).mean())


def linear_probe(vectors: ArrayLike, labels: ArrayLike, judged: ArrayLike) -> float:
    """The accuracy of ``linear_predictions`` on the judged rows."""
    return _accuracy(
        linear_predictions(vectors, labels, judged), np.asarray(labels)[np.asarray(judged, dtype=bool)]
    )


def neighbour_probe(vectors: ArrayLike, labels: ArrayLike, judged: ArrayLike) -> float:
    """The accuracy of ``neighbour_predictions`` on the judged rows."""
    return _accuracy(
        neighbour_predictions(vectors, labels, judged), np.asarray(labels)[np.asarray(judged, dtype=bool)]
    )


def probe_estimate(predictions: ArrayLike, labels: ArrayLike, *, seed: int = 0) -> Estimate:
    """A probe's accuracy with its 95 % interval over other judged rows."""
    return bootstrap(_accuracy, predictions, labels, rng=np.random.default_rng(seed))
