"""How well a pretext task is done on data that were not learnt from: its own loss terms, each with its 95 % interval.

Shape letters: N items, an item being what is drawn anew in the bootstrap.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.errors import BadDataError
from headwater.evaluation.significance import Estimate, bootstrap
from headwater.telling import Told

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """One loss term over N items: what it sums to in each, over how many units, and how many of these are right."""

    totals: Floats
    counts: Floats
    right: Floats | None
    guess: float | None = None
    """The loss of whoever has learnt nothing, where it is known."""
    guessed_right: float | None = None
    of: str | None = None
    """The term whose trivial answer this one measures; None where the model is what answers."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with its interval, and beside it what needs no model: by what it is, what it reaches."""

    name: str
    found: Estimate
    beside: Mapping[str, float | Estimate]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        beside = {
            name: value.to_dict() if isinstance(value, Estimate) else value
            for name, value in self.beside.items()
        }
        return {**self.found.to_dict(), "without_a_model": beside}

    def __str__(self) -> str:
        beside = "".join(f"; {name} {_short(value)}" for name, value in self.beside.items())
        return f"{self.name:<32}{self.found:.4g}{beside}"


@dataclass(frozen=True, repr=False)
class PretextReport(Told):
    """What is found of a pretext task."""

    what: str
    items: int
    group: int
    """How many of these were read together, and are drawn anew together; 1 where each stands for itself."""
    measures: tuple[Measure, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types; every measure with its interval and what needs no model."""
        counts = {"what": self.what, "items": self.items, "group": self.group}
        return counts | {measure.name: measure.to_dict() for measure in self.measures}

    def __str__(self) -> str:
        over = f", {self.group} at a time" if self.group > 1 else ""
        alone = (
            ["nothing says how much others would differ: there is one to draw anew"]
            if self.items <= self.group
            else []
        )
        return "\n".join([f"{self.items:,} {self.what}{over}", *map(str, self.measures), *alone])


def pretext_report(
    terms: Mapping[str, Term], what: str, *, items: int, group: int = 1, seed: int = 0
) -> PretextReport:
    """The means of all terms; those that measure a trivial answer stand beside the term they are the trivial answer of.

    BadDataError where there is no item.
    """
    if not items or not terms:
        raise BadDataError("there is nothing to judge; give data with at least one that can be read")
    measures: list[Measure] = []
    for name, term in terms.items():
        if term.of is not None:
            continue
        others = {
            other.rsplit("/", 1)[-1].removeprefix(f"{name}_"): found
            for other, found in terms.items()
            if found.of == name
        }
        beside: dict[str, float | Estimate] = {} if term.guess is None else {"guessing": term.guess}
        beside |= {word: _mean(other.totals, other.counts, seed) for word, other in others.items()}
        measures.append(Measure(name, _mean(term.totals, term.counts, seed), beside))
        if term.right is None:
            continue
        beside = {} if term.guessed_right is None else {"guessing": term.guessed_right}
        beside |= {
            word: _mean(other.right, other.counts, seed)
            for word, other in others.items()
            if other.right is not None
        }
        measures.append(Measure(f"{name}_accuracy", _mean(term.right, term.counts, seed), beside))
    return PretextReport(what, items, group, tuple(measures))


def _mean(totals: Floats, counts: Floats, seed: int) -> Estimate:
    def mean(some: NDArray[np.generic], units: NDArray[np.generic]) -> float:
        return float(some.sum() / max(units.sum(), 1.0))

    return bootstrap(mean, totals, counts, rng=np.random.default_rng(seed))  # the same resamples for each


def _short(value: float | Estimate) -> str:
    return f"{value.value:.4g}" if isinstance(value, Estimate) else f"{value:.4g}"
