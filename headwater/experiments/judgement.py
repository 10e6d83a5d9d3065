"""The values a judgement is made of: mean scores, verdicts, leaks, and what the pre-training was.

Scores and differences are shares between 0 and 1 here and in ``gain.json``; sentences speak of points.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from headwater.experiments.plan import Budget

VerdictWord = Literal["helped", "no_difference", "hurt", "not_enough_seeds"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The mean score of an arm at a budget with its 95 % interval over seeds and test rows."""

    arm: str
    budget: Budget
    mean: float
    low: float
    high: float
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """The five columns of ``gain.json``."""
        return {"arm": self.arm, "budget": self.budget, "mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Arm against arm at one budget: the difference of their scores and what may be said of it.

    ``p`` is corrected for the number of budgets (Holm); None below 3 seeds, where no test is made.
    """

    budget: Budget
    verdict: VerdictWord
    difference: float
    low: float
    high: float
    p: float | None
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """The six columns of ``gain.json``."""
        return {name: value for name, value in asdict(self).items() if name != "seeds"}


@dataclass(frozen=True, kw_only=True)
class LabelEquivalence:
    """How many times the labels the scratch arm needs to score what the pre-trained arm scores.

    ``beyond`` means that the scratch arm does not get there with all its labels: ``times`` is then the
    least it can be.
    """

    times: float
    beyond: bool


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """The test rows (by number) that were in what the run learnt from, and what was dropped from training."""

    exact: tuple[int, ...] = ()
    near: tuple[int, ...] = ()
    dropped_train_rows: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        """All leaked rows, in order."""
        return tuple(sorted({*self.exact, *self.near}))


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What stage one was, for the sentence and the cost table; None where it is not known."""

    megabytes: float | None = None
    """Of text."""
    items: int | None = None
    what: str = "text"
    """What there are so many items of."""
    seconds: float | None = None
    tokens: int | None = None
    flops: float | None = None
    peak_memory: int | None = None
    """Bytes."""
    steps: int | None = None
