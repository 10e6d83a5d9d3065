"""How good label predictions are, every number with its 95 % interval over other test rows.

All but two of the numbers follow from the table of true against predicted labels, so a resample of the rows
is a resample of that table: one multinomial draw in place of N rows. Shape letters: N rows, V labels, R
resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import RESAMPLES, Estimate, bootstrap, interval
from headwater.telling import Told, in_columns

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
CALIBRATION_BINS = 15
MOST_COLUMNS = 12
"""Labels whose table of mistakes is shown whole."""
_BLOCK = 4_000_000  # numbers of one block of resampled tables: 32 MB


class Outcomes(NamedTuple):
    """Per label: rows that are it, rows called it, rows that are both; each (R, V). ``unknown`` is (R,)."""

    true: Floats
    predicted: Floats
    hits: Floats
    unknown: Floats
    """Rows whose true label is none of the V labels."""

    @property
    def rows(self) -> Floats:
        """All rows, (R,)."""
        return self.predicted.sum(axis=1)


@dataclass(frozen=True)
class LabelScore:
    """One label: of the rows called it, how many are it; of the rows that are it, how many were found."""

    label: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    rows: int
    predicted: int

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        ratios = {name: getattr(self, name).to_dict() for name in ("precision", "recall", "f1")}
        return {"label": self.label, **ratios, "rows": self.rows, "predicted": self.predicted}


@dataclass(frozen=True, repr=False)
class ClassificationReport(Told):
    """Everything there is to say about label predictions on one test set."""

    rows: int
    unknown_rows: int
    """Rows whose label the model does not know: always wrong, and not in the log loss (it would be infinite)."""
    accuracy: Estimate
    macro_f1: Estimate
    matthews: Estimate
    log_loss: Estimate | None
    calibration_error: Estimate
    labels: tuple[LabelScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows by true label (V lines, one more where there are unknown labels) and predicted label (V columns)."""

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return {
            "rows": self.rows,
            "unknown_rows": self.unknown_rows,
            "accuracy": self.accuracy.to_dict(),
            "macro_f1": self.macro_f1.to_dict(),
            "matthews": self.matthews.to_dict(),
            "log_loss": None if self.log_loss is None else self.log_loss.to_dict(),
            "calibration_error": self.calibration_error.to_dict(),
            "labels": [score.to_dict() for score in self.labels],
            "confusion": [list(line) for line in self.confusion],
        }

    def __str__(self) -> str:
        lines = [
            f"{self.rows} rows" + (f", {self.unknown_rows} with unknown labels" if self.unknown_rows else "")
        ]
        named = {
            "accuracy": self.accuracy,
            "macro F1": self.macro_f1,
            "Matthews correlation": self.matthews,
            "log loss": self.log_loss,
            "calibration error": self.calibration_error,
        }
        lines += [f"{name:<22}{value}" for name, value in named.items() if value is not None]
        return "\n\n".join(["\n".join(lines), self._by_label(), self._mistaken()]).rstrip()

    def _by_label(self) -> str:
        head = ["label", "precision", "recall", "F1", "rows"]
        cells = [[s.label, str(s.precision), str(s.recall), str(s.f1), str(s.rows)] for s in self.labels]
        return in_columns([head, *cells])

    def _mistaken(self) -> str:
        """The whole table of what is called what where it can be read, else what is mistaken most often."""
        names = [*(score.label for score in self.labels), "(unknown)"][: len(self.confusion)]
        if len(self.labels) <= MOST_COLUMNS:
            head = ["is, called", *(score.label for score in self.labels)]
            counts = [[name, *map(str, line)] for name, line in zip(names, self.confusion, strict=True)]
            return in_columns([head, *counts])
        wrong = sorted(
            (-count, true, called)
            for true, line in enumerate(self.confusion)
            for called, count in enumerate(line)
            if count and true != called
        )
        told = [
            f"{names[true]} called {names[called]}: {-count}" for count, true, called in wrong[:MOST_COLUMNS]
        ]
        return "\n".join(["most often mistaken (all of it with --json):", *told]) if told else ""


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, num_labels: int) -> Integers:
    """Rows by true and predicted label: (V + 1, V), the last line for true labels outside 0 … V - 1."""
    true, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    if true.shape != predicted.shape or not len(true):
        raise BadDataError(
            f"found {len(true)} labels and {len(predicted)} predictions; expected as many of one as of the "
            f"other, at least one"
        )
    if ((predicted < 0) | (predicted >= num_labels)).any():
        raise BadDataError(
            f"found a predicted label outside 0 … {num_labels - 1}; pass the number of a known label"
        )
    known = np.where((true >= 0) & (true < num_labels), true, num_labels)
    counts = np.bincount(known * num_labels + predicted, minlength=(num_labels + 1) * num_labels)
    return counts.reshape(num_labels + 1, num_labels)


def outcomes_of(confusion: Integers) -> Outcomes:
    """The outcomes of one confusion matrix, as one resample (R = 1)."""
    known = confusion[:-1]
    parts = (known.sum(axis=1), confusion.sum(axis=0), np.diagonal(known))
    true, predicted, hits = (part[None].astype(np.float64) for part in parts)
    return Outcomes(true, predicted, hits, confusion[-1].sum(keepdims=True).astype(np.float64))


def resampled_outcomes(confusion: Integers, rng: np.random.Generator, resamples: int = RESAMPLES) -> Outcomes:
    """The outcomes of ``resamples`` draws of N rows with replacement."""
    num_labels = confusion.shape[1]
    true, predicted = np.nonzero(confusion)
    counts = confusion[true, predicted]
    hit = np.where(true == predicted, true, num_labels)
    blocks: list[Outcomes] = []
    step = max(1, _BLOCK // len(counts))
    for start in range(0, resamples, step):
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), size=min(step, resamples - start))
        by_true = _sums(drawn, true, num_labels + 1)
        blocks.append(
            Outcomes(
                by_true[:, :-1],
                _sums(drawn, predicted, num_labels),
                _sums(drawn, hit, num_labels + 1)[:, :-1],
                by_true[:, -1],
            )
        )
    return Outcomes(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _sums(drawn: Integers, groups: Integers, num_groups: int) -> Floats:
    """Columns of ``drawn`` (R, cells) summed per group: (R, groups)."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    totals = np.zeros((len(drawn), num_groups))
    totals[:, groups[order][starts]] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return totals


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where there is nothing to divide."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def accuracy(outcomes: Outcomes) -> Floats:
    """The share of rows whose label was found: (R,)."""
    return outcomes.hits.sum(axis=1) / outcomes.rows


def precision(outcomes: Outcomes) -> Floats:
    """hits / predicted, per label: (R, V)."""
    return _ratio(outcomes.hits, outcomes.predicted)


def recall(outcomes: Outcomes) -> Floats:
    """hits / true, per label: (R, V)."""
    return _ratio(outcomes.hits, outcomes.true)


def f1(outcomes: Outcomes) -> Floats:
    """2 · hits / (true + predicted), per label: (R, V)."""
    return _ratio(2.0 * outcomes.hits, outcomes.true + outcomes.predicted)


def macro_f1(outcomes: Outcomes) -> Floats:
    """The plain mean of F1 over the labels that occur among the true or the predicted: (R,)."""
    occurs = outcomes.true + outcomes.predicted > 0
    return f1(outcomes).sum(axis=1, where=occurs) / occurs.sum(axis=1)


def matthews(outcomes: Outcomes) -> Floats:
    """Correlation of true and predicted labels, 0 by chance: (R,).

    (h n - Σ t_v p_v) / √((n² - Σ p_v²)(n² - Σ t_v²)), 0 where either side holds one label only.
    Gorodkin 2004, Computational Biology and Chemistry 28(5).
    """
    rows = outcomes.rows
    shared = outcomes.hits.sum(axis=1) * rows - (outcomes.true * outcomes.predicted).sum(axis=1)
    predicted = rows**2 - (outcomes.predicted**2).sum(axis=1)
    true = rows**2 - (outcomes.true**2).sum(axis=1) - outcomes.unknown**2
    return _ratio(shared, np.sqrt(predicted * true))


def calibration_error(confidences: ArrayLike, right: ArrayLike) -> float:
    """How far confidence is from accuracy: Σ_bins (n_b / N) · |accuracy_b - confidence_b|, 15 equal bins.

    Guo et al. 2017, section 2, arXiv:1706.04599.
    """
    confidence = np.asarray(confidences, dtype=np.float64)
    # Bins are open on the left and closed on the right, so full confidence falls into the last one.
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=np.asarray(right, dtype=np.float64) - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def _mean(losses: NDArray[np.generic], _: NDArray[np.generic]) -> float:
    return float(losses.astype(np.float64).mean())


def _log_loss(probabilities: Floats, true: Integers, rng: np.random.Generator) -> Estimate | None:
    known = np.flatnonzero((true >= 0) & (true < probabilities.shape[1]))
    if not len(known):
        return None
    given = probabilities[known, true[known]]
    losses = -np.log(np.clip(given, np.finfo(np.float32).eps, 1.0))
    return bootstrap(_mean, losses, losses, rng=rng)


def _label_scores(names: Sequence[str], found: Outcomes, drawn: Outcomes) -> tuple[LabelScore, ...]:
    estimates: dict[str, list[Estimate]] = {}
    for metric in (precision, recall, f1):
        values, draws = metric(found)[0], metric(drawn)
        estimates[metric.__name__] = [interval(values[v], draws[:, v]) for v in range(len(names))]
    return tuple(
        LabelScore(
            label=name,
            precision=estimates["precision"][number],
            recall=estimates["recall"][number],
            f1=estimates["f1"][number],
            rows=int(found.true[0, number]),
            predicted=int(found.predicted[0, number]),
        )
        for number, name in enumerate(names)
    )


def classification_report(
    labels: ArrayLike, probabilities: ArrayLike, label_names: Sequence[str], *, seed: int = 0
) -> ClassificationReport:
    """All metrics of ``probabilities`` (N, V) against the true label numbers (N,).

    The predicted label is the most probable one. A true label outside 0 … V - 1 (say -1) is one the model
    does not know: that row counts as wrong. Raises BadDataError when the sizes do not fit.
    """
    shares, true = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if shares.ndim != 2 or shares.shape[1] != len(label_names):
        raise BadDataError(
            f"found probabilities of shape {shares.shape}; expected one column for each of "
            f"{len(label_names)} labels"
        )
    predicted = shares.argmax(axis=1)
    confusion = confusion_matrix(true, predicted, len(label_names))
    rng = np.random.default_rng(seed)
    found, drawn = outcomes_of(confusion), resampled_outcomes(confusion, rng)
    whole = {metric: interval(metric(found)[0], metric(drawn)) for metric in (accuracy, macro_f1, matthews)}
    unknown_rows = int(confusion[-1].sum())
    return ClassificationReport(
        rows=len(true),
        unknown_rows=unknown_rows,
        accuracy=whole[accuracy],
        macro_f1=whole[macro_f1],
        matthews=whole[matthews],
        log_loss=_log_loss(shares, true, rng),
        calibration_error=bootstrap(calibration_error, shares.max(axis=1), predicted == true, rng=rng),
        labels=_label_scores(label_names, found, drawn),
        confusion=tuple(tuple(map(int, line)) for line in (confusion if unknown_rows else confusion[:-1])),
    )
