"""How high the item that someone chose stands among all, every number with its 95 % interval over other users.

Shape letters: N users, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, hierarchical_bootstrap, paired_test
from headwater.telling import Told

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]
PLACES = 10
"""How many items are recommended."""
_DISCOUNTS = 1.0 / np.log2(np.arange(PLACES) + 2.0)


class Standing(NamedTuple):
    """Where the chosen items stand: ``ahead`` (N,) items score higher, ``level`` (N,) as high, the chosen one included.

    ``level`` 0 means that the chosen item is not among those that can be recommended.
    """

    ahead: Integers
    level: Integers

    @classmethod
    def of(cls, scores: Floats, chosen: Integers) -> "Standing":
        """Compare scores (N, V), −∞ for what is not recommended; ``chosen`` (N,) is −1 for an item without a score."""
        own = scores[np.arange(len(chosen)), chosen]
        found = (chosen >= 0) & (own > -np.inf)
        level = (scores == own[:, None]).sum(axis=1)
        return cls((scores > own[:, None]).sum(axis=1), np.where(found, level, 0))

    @property
    def hit(self) -> NDArray[np.float64]:
        """HR@10: 1 where the chosen item is among the first ten, else 0; with one item to find, the recall at 10."""
        return self._shared(np.ones(PLACES))

    @property
    def gain(self) -> NDArray[np.float64]:
        """NDCG@10: 1 / log2(1 + place) for a place among the first ten, else 0; the ideal with one item to find is 1.

        Järvelin and Kekäläinen 2002, doi:10.1145/582415.582418.
        """
        return self._shared(_DISCOUNTS)

    def _shared(self, worth: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the places are worth; items that score alike share theirs (the mean over all their orders)."""
        total = np.concatenate([[0.0], np.cumsum(worth)])
        first, last = np.minimum(self.ahead, PLACES), np.minimum(self.ahead + self.level, PLACES)
        return np.divide(
            total[last] - total[first], self.level, out=np.zeros(len(self.level)), where=self.level > 0
        )


@dataclass(frozen=True)
class RankingScore:
    """One way to recommend; of a baseline also how far the model is ahead of it in NDCG@10."""

    name: str
    hr_10: Estimate
    ndcg_10: Estimate
    model_ahead: Estimate | None = None
    p: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        found: dict[str, Any] = {"hr_10": self.hr_10.to_dict(), "ndcg_10": self.ndcg_10.to_dict()}
        if self.model_ahead is not None:
            found |= {"model_ahead_ndcg_10": self.model_ahead.to_dict(), "p": self.p}
        return found


@dataclass(frozen=True, repr=False)
class RankingReport(Told):
    """What is found of recommendations when the last event of each user is asked for."""

    users: int
    items: int
    """Items that the model knows."""
    not_learnt: int
    """Users whose last item the model does not know: never found, by anybody."""
    had_before: int
    """Users whose last item stood in their history already: never recommended again, so never found."""
    model: RankingScore
    baselines: tuple[RankingScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types; estimates as value, low and high."""
        return {
            "users": self.users,
            "items": self.items,
            "not_learnt": self.not_learnt,
            "had_before": self.had_before,
            **self.model.to_dict(),
            "baselines": {score.name: score.to_dict() for score in self.baselines},
        }

    def __str__(self) -> str:
        lines = [
            f"the last event of {self.users:,} users, looked for among all {self.items:,} items but those they had",
            f"{'':<20}{'HR@10':<30}NDCG@10",
        ]
        lines += [
            f"{score.name:<20}{_words(score.hr_10):<30}{_words(score.ndcg_10)}"
            for score in (self.model, *self.baselines)
        ]
        lines += [
            f"NDCG@10 above {score.name}: {_words(score.model_ahead)}, p = {score.p:.2g}"
            for score in self.baselines
            if score.model_ahead is not None
        ]
        if self.not_learnt:
            lines.append(
                f"{self.not_learnt:,} of them chose an item that nobody had in training: never found"
            )
        if self.had_before:
            lines.append(f"{self.had_before:,} of them chose an item they had before: never recommended")
        return "\n".join(lines)


def ranking_report(
    standings: Sequence[tuple[str, Standing]], *, items: int, not_learnt: int, had_before: int, seed: int = 0
) -> RankingReport:
    """Scores of the model, which comes first, and of baselines that answered the same users."""
    model = standings[0][1]
    if not len(model.ahead):
        raise BadDataError("found no user to ask about; expected at least one with two events")
    rng = np.random.default_rng(seed)
    scores: list[RankingScore] = []
    for name, standing in standings:
        hit, gain = (hierarchical_bootstrap(values, rng=rng) for values in (standing.hit, standing.gain))
        test = paired_test(model.gain, standing.gain, rng=rng) if scores else None
        scores.append(
            RankingScore(name, hit, gain, test.difference if test else None, test.p if test else None)
        )
    return RankingReport(
        users=len(model.ahead),
        items=items,
        not_learnt=not_learnt,
        had_before=had_before,
        model=scores[0],
        baselines=tuple(scores[1:]),
    )


def _words(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} (95 % {estimate.low:.3f} … {estimate.high:.3f})"
