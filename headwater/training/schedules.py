"""Learning-rate schedules: pure functions of the step, as factors of the peak rate.

Steps count from 0, so ``schedule(0)`` belongs to the first update. Warm-up is the straight line
(k + 1) / (w + 1): the first update is not wasted on a rate of zero, and step w is the first at the peak.
Symbols: k step, w warm-up steps, N steps in all, f floor.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from headwater.errors import SettingsError

Schedule = Callable[[int], float]
"""The factor of the peak learning rate at a step."""


class Span(NamedTuple):
    """What every schedule is made from; ``floor`` is the factor that the decay ends at."""

    steps: int
    warmup_steps: int
    decay_steps: int
    floor: float

    def progress(self, step: int) -> float:
        """The share of the way from the peak (0) to the end (1)."""
        return min(1.0, (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps))


def constant(span: Span) -> Schedule:
    """The peak, until the end."""
    return _warmed(span, lambda _: 1.0)


def linear(span: Span) -> Schedule:
    """1 − (1 − f) · p with p = (k − w) / (N − w)."""
    return _warmed(span, lambda step: _between(span.floor, 1.0 - span.progress(step)))


def cosine(span: Span) -> Schedule:
    """f + (1 − f) · (1 + cos πp) / 2 with p = (k − w) / (N − w).

    Source: Loshchilov and Hutter 2017, section 3, arXiv:1608.03983, without restarts. The period is in steps.
    """
    return _warmed(
        span, lambda step: _between(span.floor, (1.0 + math.cos(math.pi * span.progress(step))) / 2)
    )


def exponential(span: Span) -> Schedule:
    """f^p with p = (k − w) / (N − w): the same factor every step, arriving at f > 0."""
    if span.floor <= 0.0:
        raise SettingsError(
            f"an exponential decay never arrives at {span.floor}; choose a floor above 0, like 0.01"
        )
    return _warmed(span, lambda step: span.floor ** span.progress(step))


def inverse_square_root(span: Span) -> Schedule:
    """√((w + 1) / (k + 1)), never below f; it does not look at N.

    Source: Vaswani et al. 2017, equation 3, arXiv:1706.03762, divided by its peak; their step_num is k + 1
    and their warmup_steps w + 1.
    """
    return _warmed(span, lambda step: max(span.floor, math.sqrt((span.warmup_steps + 1) / (step + 1))))


def warmup_stable_decay(span: Span) -> Schedule:
    """The peak, then f + (1 − f) · (1 − √q) over the last ``decay_steps``, q their share that is over.

    Source: Hu et al. 2024, section 4, arXiv:2404.06395; the shape 1 − √q is Hägele et al. 2024, section 3,
    arXiv:2405.18392. Up to the decay, the run of N steps and a longer one are the same run.
    """
    start = span.steps - span.decay_steps

    def decayed(step: int) -> float:
        over = min(1.0, max(0.0, (step - start) / max(1, span.decay_steps)))
        return _between(span.floor, 1.0 - math.sqrt(over))

    return _warmed(span, decayed)


SCHEDULES: dict[str, Callable[[Span], Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "inverse_square_root": inverse_square_root,
    "warmup_stable_decay": warmup_stable_decay,
}

_DECAY_SHARE = 0.2
_EXPONENTIAL_FLOOR = 0.01


def build_schedule(
    name: str,
    *,
    steps: int,
    warmup_steps: int = 0,
    decay_steps: int | None = None,
    floor: float | None = None,
) -> Schedule:
    """The schedule called ``name`` over ``steps`` steps.

    ``decay_steps`` belongs to warmup_stable_decay alone (a fifth of the steps unless given). ``floor`` is the
    factor at the end: 0 unless given, 0.01 for exponential. After the last step a schedule stays at its end.
    Raises SettingsError for an unknown name or numbers that do not fit together.
    """
    if name not in SCHEDULES:
        raise SettingsError(f"schedule {name!r} is unknown; choose one of {', '.join(SCHEDULES)}")
    if decay_steps is not None and name != "warmup_stable_decay":
        raise SettingsError(
            f"decay_steps={decay_steps} means nothing to {name}; it belongs to warmup_stable_decay"
        )
    if floor is None:
        floor = _EXPONENTIAL_FLOOR if name == "exponential" else 0.0
    if decay_steps is None:
        decay_steps = min(round(_DECAY_SHARE * steps), steps - warmup_steps)
    span = Span(steps, warmup_steps, decay_steps, floor)
    _check(span, name)
    return SCHEDULES[name](span)


def _check(span: Span, name: str) -> None:
    if span.steps < 1:
        raise SettingsError(f"steps={span.steps}; expected at least 1")
    if not 0 <= span.warmup_steps <= span.steps:
        raise SettingsError(
            f"warmup_steps={span.warmup_steps} does not fit; expected 0 to {span.steps} (steps)"
        )
    if not 0.0 <= span.floor <= 1.0:
        raise SettingsError(f"floor={span.floor}; expected a factor of the peak rate from 0 to 1")
    left = span.steps - span.warmup_steps
    if name == "warmup_stable_decay" and not 0 <= span.decay_steps <= left:
        raise SettingsError(
            f"decay_steps={span.decay_steps} does not fit; expected 0 to {left} (after warm-up)"
        )


def _between(floor: float, height: float) -> float:
    return floor + (1.0 - floor) * height


def _warmed(span: Span, decayed: Schedule) -> Schedule:
    def schedule(step: int) -> float:
        if step < span.warmup_steps:
            return (step + 1) / (span.warmup_steps + 1)
        return decayed(step)

    return schedule
