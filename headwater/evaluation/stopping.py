"""Would going on pay? One plain sentence from the curve of the held-out loss."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

VerdictWord = Literal["still_improving", "flat", "worse", "too_early"]

WORTH_HAVING = 0.01
"""Nats per doubling of the steps: a smaller fall is not worth the time."""
FEWEST_POINTS = 4
LATE_PART = 3.0
"""The slope is taken from the last two thirds of the steps: the first third falls steeply in every run."""
CONSTANT_RATE = 0.99
HIGH_RATE = 0.5
"""Of the peak learning rate. Below it the loss falls because the steps get smaller, not because there are more."""
SURE = 2.0
"""Standard errors that a slope must stand clear of zero."""
SURE_OF_THE_LOWEST = 2.5
"""Spreads of one evaluation that a mean of three must stand above the lowest one, which is low by choice."""
LABELS_GAINED = 0.005
"""Probe accuracy per doubling of the steps: half a point."""


@dataclass(frozen=True)
class Advice:
    """Whether going on would pay, in one word and in one or two sentences."""

    verdict: VerdictWord
    sentence: str
    per_doubling: float | None = None
    """Change of the held-out loss per doubling of the steps, in nats; negative is better."""

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


class _Curve(NamedTuple):
    steps: NDArray[np.float64]
    values: NDArray[np.float64]

    def part(self, chosen: NDArray[np.bool_]) -> "_Curve":
        return _Curve(self.steps[chosen], self.values[chosen])

    def late(self) -> "_Curve":
        return self.part(self.steps >= self.steps[-1] / LATE_PART)


class _Slope(NamedTuple):
    per_doubling: float
    error: float

    def clearly_below(self, bound: float) -> bool:
        return self.per_doubling < -bound and self.per_doubling + SURE * self.error < 0


def _curve(evaluations: Sequence[Mapping[str, float]], name: str) -> _Curve:
    points = sorted((row["step"], row[name]) for row in evaluations if name in row and np.isfinite(row[name]))
    points = [point for point in points if point[0] > 0]
    steps, values = (np.array([point[column] for point in points], dtype=np.float64) for column in (0, 1))
    return _Curve(steps, values)


def _slope(curve: _Curve) -> _Slope:
    """Least squares of value against log2(step), with its standard error."""
    doublings = np.log2(curve.steps)
    centred = doublings - doublings.mean()
    spread = float(centred @ centred)
    slope = float(centred @ curve.values) / spread
    residuals = curve.values - curve.values.mean() - slope * centred
    error = np.sqrt(float(residuals @ residuals) / max(1, len(doublings) - 2) / spread)
    return _Slope(slope, float(error))


def _noise(curve: _Curve) -> float:
    """How far one evaluation is from its neighbours: the spread of second differences, free of any trend."""
    second = np.diff(curve.values, n=2)
    return float(np.sqrt((second**2).mean() / 6.0))


def _rising(curve: _Curve) -> bool:
    """Whether the last points stand clear of the lowest ones; means of three, since one point may be luck."""
    smooth = np.convolve(curve.values, np.full(3, 1 / 3), mode="valid")
    rise = float(smooth[-1] - smooth.min())
    return rise > max(WORTH_HAVING, SURE_OF_THE_LOWEST * _noise(curve))


def advice(
    evaluations: Sequence[Mapping[str, float]],
    *,
    steps: int | None = None,
    learning_rate: Callable[[int], float] | None = None,
) -> Advice:
    """Whether more steps would pay, from evaluations with ``step``, ``loss`` and perhaps ``probe``.

    The held-out loss of a run falls about evenly per doubling of its steps (a power law seen from nearby:
    Kaplan et al. 2020, section 3, arXiv:2001.08361), so the slope against log2(step) says what the next
    doubling brings. ``learning_rate`` gives the factor of the peak rate at a step; where it ends below
    half, the slope is taken from the steps before, since the fall during a decay does not go on afterwards.
    ``steps`` is how many were made in all.
    """
    losses, probes = _curve(evaluations, "loss"), _curve(evaluations, "probe")
    made = int(steps or (losses.steps[-1] if len(losses.steps) else 0))
    if len(losses.steps) < FEWEST_POINTS:
        return Advice(
            "too_early",
            f"Too early to say whether going on would pay: {len(losses.steps)} evaluations of the held-out "
            f"loss after "
            f"{made:,} steps, at least {FEWEST_POINTS} are needed.",
        )
    if _rising(losses):
        return _worse(losses)
    undecayed = losses.part(_before_decay(losses, learning_rate))
    decayed = len(undecayed.steps) < len(losses.steps)
    if decayed and len(undecayed.late().steps) < FEWEST_POINTS - 1:
        return _hidden_by_decay(losses)
    slope = _slope(undecayed.late())
    if slope.clearly_below(WORTH_HAVING):
        return _improving(losses, slope, decayed, probes)
    return _flat(losses, slope, decayed)


def _before_decay(curve: _Curve, learning_rate: Callable[[int], float] | None) -> NDArray[np.bool_]:
    """True for the points whose loss owes little to a falling learning rate.

    Those of the constant part where there is one long enough, else those above half the peak.
    """
    if learning_rate is None:
        return np.ones(len(curve.steps), dtype=np.bool_)
    factors = np.array([learning_rate(int(step)) for step in curve.steps])
    peak = int(factors.argmax())
    # The rate is low during warm-up too; only what comes after the peak is a decay.
    rising = np.arange(len(factors)) <= peak
    constant = rising | (factors >= CONSTANT_RATE * factors[peak])
    if len(curve.part(constant).late().steps) >= FEWEST_POINTS and not rising.all():
        return constant
    return rising | (factors >= HIGH_RATE * factors[peak])


def _worse(losses: _Curve) -> Advice:
    lowest = int(losses.values.argmin())
    rise = float(losses.values[-1] - losses.values[lowest])
    return Advice(
        "worse",
        f"Going on would not pay: the held-out loss was lowest at step {int(losses.steps[lowest]):,} "
        f"({losses.values[lowest]:.3f}) and has risen by {rise:.3f} since. More data or fewer steps would "
        f"help.",
        _slope(losses.late()).per_doubling,
    )


def _hidden_by_decay(losses: _Curve) -> Advice:
    return Advice(
        "too_early",
        "The curve cannot say whether going on would pay: the learning rate was falling for most of it, and "
        "a loss "
        f"falls with it (now {losses.values[-1]:.3f}). Compare with a run of twice the steps.",
    )


def _improving(losses: _Curve, slope: _Slope, decayed: bool, probes: _Curve) -> Advice:
    fall = f"by {-slope.per_doubling:.3f} per doubling of the steps (now {losses.values[-1]:.3f})"
    if decayed:
        sentence = (
            f"A longer run would pay: before the learning rate came down, the held-out loss was falling "
            f"{fall}. Start one "
            "with more steps; this one has used up its learning rate."
        )
    else:
        sentence = f"Going on would pay: the held-out loss is still falling {fall}."
    if len(probes.steps) >= FEWEST_POINTS and _slope(probes.late()).per_doubling < LABELS_GAINED:
        best = int(probes.steps[probes.values.argmax()])
        sentence += f" The probe, however, has not gained since step {best:,}: the labels may not need it."
    return Advice("still_improving", sentence, slope.per_doubling)


def _flat(losses: _Curve, slope: _Slope, decayed: bool) -> Advice:
    change = f"{slope.per_doubling:+.3f} ± {SURE * slope.error:.3f} per doubling of the steps".replace(
        "-", "−"
    )
    if decayed:
        sentence = (
            f"A longer run would bring little: before the learning rate came down, the held-out loss was "
            f"level "
            f"({change}), and its last fall, to {losses.values[-1]:.3f}, came from the decay."
        )
    else:
        sentence = (
            f"Going on would bring little: the held-out loss is level at {losses.values[-1]:.3f} ({change})."
        )
    return Advice("flat", sentence, slope.per_doubling)
