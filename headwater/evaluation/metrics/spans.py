"""How good tagged spans are: a span counts when its borders and its kind are right, as conlleval counts.

Every number has its 95 % interval over other test sentences.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.data.tags import spans_of
from headwater.errors import BadDataError
from headwater.evaluation.metrics.counts import estimated_ratios, resampled_sums
from headwater.evaluation.significance import Estimate, interval
from headwater.telling import Told


@dataclass(frozen=True)
class SpanScore:
    """The spans of one kind."""

    kind: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    spans: int
    predicted: int


@dataclass(frozen=True, repr=False)
class SpanReport(Told):
    """What is found of predicted tags on one test set."""

    rows: int
    f1: Estimate
    precision: Estimate
    recall: Estimate
    accuracy: Estimate
    """Share of words whose tag is right."""
    kinds: tuple[SpanScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        whole = {name: getattr(self, name).to_dict() for name in ("f1", "precision", "recall", "accuracy")}
        kinds = [
            {
                "kind": score.kind,
                **{name: getattr(score, name).to_dict() for name in ("precision", "recall", "f1")},
                "spans": score.spans,
                "predicted": score.predicted,
            }
            for score in self.kinds
        ]
        return {"rows": self.rows, **whole, "kinds": kinds}

    def __str__(self) -> str:
        lines = [f"{self.rows} sentences"]
        named = {
            "F1 of spans": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "words right": self.accuracy,
        }
        lines += [f"{name:<14}{value}" for name, value in named.items()]
        lines += [f"F1 of {score.kind}: {score.f1}, {score.spans} spans" for score in self.kinds]
        return "\n".join(lines)


def span_report(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, seed: int = 0
) -> SpanReport:
    """All measures of predicted tags, sentence by sentence."""
    if len(true) != len(predicted) or not true or any(map(_uneven, true, predicted)):
        raise BadDataError(
            f"found {len(true)} sentences and {len(predicted)} predictions; expected as many tags as words in each"
        )
    kinds = sorted({span.kind for tags in true for span in spans_of(tags)})
    counts = np.array([_counts(*pair, kinds) for pair in zip(true, predicted, strict=True)])
    draws, whole = resampled_sums(counts, seed=seed), counts.sum(axis=0)
    precision, recall, f1 = estimated_ratios(whole[-2], draws[:, -2])
    right, words = whole[-1, 0], whole[-1, 1]
    accuracy = interval(right / max(words, 1), draws[:, -1, 0] / np.maximum(draws[:, -1, 1], 1))
    scores = [
        SpanScore(kind, *estimated_ratios(whole[k], draws[:, k]), int(whole[k, 1]), int(whole[k, 2]))
        for k, kind in enumerate(kinds)
    ]
    return SpanReport(len(true), f1, precision, recall, accuracy, tuple(scores))


def _uneven(true: Sequence[str], predicted: Sequence[str]) -> bool:
    return len(true) != len(predicted)


def _counts(true: Sequence[str], predicted: Sequence[str], kinds: Sequence[str]) -> list[list[int]]:
    """Hits, true spans and predicted spans of each kind and of all; last: words right, words."""
    wanted, given = set(spans_of(true)), set(spans_of(predicted))
    hits, of_true, of_predicted = (
        Counter(span.kind for span in part) for part in (wanted & given, wanted, given)
    )
    lines = [[hits[kind], of_true[kind], of_predicted[kind]] for kind in kinds]
    right = sum(a == b for a, b in zip(true, predicted, strict=True))
    return [*lines, [len(wanted & given), len(wanted), len(given)], [right, len(true), 0]]
