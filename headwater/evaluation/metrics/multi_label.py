"""How good sets of labels are, every number with its 95 % interval over other test rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.errors import BadDataError
from headwater.evaluation.metrics.classification import LabelScore
from headwater.evaluation.metrics.counts import estimated_ratios, ratios_of, resampled_sums
from headwater.evaluation.significance import Estimate, bootstrap, interval
from headwater.telling import Told


@dataclass(frozen=True, repr=False)
class MultiLabelReport(Told):
    """What is found of predicted sets of labels on one test set."""

    rows: int
    micro_f1: Estimate
    """Of all decisions together: frequent labels count most."""
    macro_f1: Estimate
    """The plain mean over the labels that occur."""
    exact_match: Estimate
    """Share of rows whose whole set is right."""
    labels: tuple[LabelScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        whole = {name: getattr(self, name).to_dict() for name in ("micro_f1", "macro_f1", "exact_match")}
        return {"rows": self.rows, **whole, "labels": [score.to_dict() for score in self.labels]}

    def __str__(self) -> str:
        named = {"micro F1": self.micro_f1, "macro F1": self.macro_f1, "whole sets right": self.exact_match}
        lines = [f"{self.rows} rows", *(f"{name:<18}{value}" for name, value in named.items())]
        return "\n".join(
            [*lines, *(f"F1 of {score.label}: {score.f1}, {score.rows} rows" for score in self.labels)]
        )


def multi_label_report(
    true: NDArray[np.bool_], predicted: NDArray[np.bool_], names: Sequence[str], *, seed: int = 0
) -> MultiLabelReport:
    """All measures of predicted sets; both tables hold a line a row and a column a label."""
    if true.shape != predicted.shape or true.shape != (len(true), len(names)) or not len(true):
        raise BadDataError(
            f"found tables of {true.shape} and {predicted.shape}; expected a line a row and one column for each of "
            f"{len(names)} labels in both"
        )
    counts = np.stack([true & predicted, true, predicted], axis=-1).astype(np.int64)
    whole, draws = counts.sum(axis=0), resampled_sums(counts, seed=seed)
    right = (true == predicted).all(axis=1).astype(np.float64)
    scores = [estimated_ratios(whole[k], draws[:, k]) for k in range(len(names))]
    return MultiLabelReport(
        rows=len(true),
        micro_f1=estimated_ratios(whole.sum(axis=0), draws.sum(axis=1)).f1,
        macro_f1=interval(float(_macro_f1(whole[None])[0]), _macro_f1(draws)),
        exact_match=bootstrap(_mean, right, right, rng=np.random.default_rng(seed)),
        labels=tuple(
            LabelScore(name, *scores[k], rows=int(whole[k, 1]), predicted=int(whole[k, 2]))
            for k, name in enumerate(names)
        ),
    )


def _macro_f1(sums: NDArray[Any]) -> NDArray[np.float64]:
    """(R, K, 3) → (R,); labels that are neither true nor predicted anywhere do not count."""
    occurs = sums[..., 1] + sums[..., 2] > 0
    return ratios_of(sums)[2].sum(axis=1, where=occurs) / np.maximum(occurs.sum(axis=1), 1)


def _mean(values: NDArray[np.generic], _: NDArray[np.generic]) -> float:
    return float(values.astype(np.float64).mean())
