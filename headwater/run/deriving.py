"""Every number that a user did not give, derived from the size and the budget by rules that stand here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from headwater.data.sequencers import Patches, Sequencing, Sides
from headwater.errors import SettingsError
from headwater.run.settings import RunSettings, TrainingSettings
from headwater.run.starting import StartingPoint
from headwater.settings import unknown_choice
from headwater.training.precision import Machine, decide_precision

DEFAULT_MINUTES = 10.0
EVALUATIONS = 10
"""Held-out evaluations in one run, the last one included."""
AVERAGED = 5
"""Weights of which the mean is shipped, where a run averages its last ones."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from a size: tokens a window, tokens a step, peak learning rate of AdamW."""

    length: int
    batch_tokens: int
    learning_rate: float


PRETRAINING = {
    "nano": Rule(128, 2_048, 3e-3),
    "tiny": Rule(256, 2_048, 1e-3),
    "small": Rule(512, 8_192, 1e-3),
    "base": Rule(512, 65_536, 6e-4),
    "large": Rule(1_024, 262_144, 4e-4),
    "paper_base": Rule(256, 25_000, 7e-4),
    "paper_big": Rule(256, 25_000, 5e-4),
}
FINE_TUNING_RATES = {
    "nano": 1e-3,
    "tiny": 3e-4,
    "small": 2e-4,
    "base": 5e-5,
    "large": 3e-5,
    "paper_base": 2e-4,
    "paper_big": 1e-4,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Habits:
    """How a task is fine-tuned for where the user says nothing.

    At least ``steps``, and ``epochs`` passes over many rows. ``parts`` are the micro-batches of a step, rows of like
    length together: half of the padding of news or reviews. ``rate_factor`` multiplies the rate that suits the size.
    """

    rows: int = 16
    parts: int = 2
    steps: int = 200
    epochs: int = 3
    schedule: str = "linear"
    average: Literal["none", "exponential"] = "none"
    label_smoothing: float = 0.0
    rate_factor: float = 1.0
    dropout: float = 0.1
    """Of a model that was trained before; one that begins at random learns few labels better without."""
    fresh_dropout: float | None = None
    """Of one that begins at random, where the task has so much to learn from that it needs some."""
    size: str = "tiny"
    """Of one that begins at random."""

    def steps_for(self, rows: int, batch_rows: int) -> int:
        """Optimiser steps for so many labelled rows."""
        return max(self.steps, self.epochs * rows // batch_rows)


CLASSIFYING = Habits()
LOOKING: Mapping[str, Any] = {"rows": 32, "parts": 1, "steps": 300, "epochs": 10, "dropout": 0.0}
"""What is different of pictures, alone or with a text: many views of them can be shown."""


def habits_of(habits: Habits, sequencer: Sequencing) -> Habits:
    """How a task is fine-tuned on what becomes such sequences."""
    return replace(habits, **LOOKING) if isinstance(sequencer, Patches | Sides) else habits


def size_rule(size: str) -> Rule:
    """The rule of a size name."""
    if size not in PRETRAINING:
        raise SettingsError(unknown_choice("model.size", size, list(PRETRAINING)))
    return PRETRAINING[size]


def derive_machine(settings: RunSettings, machine: Machine) -> RunSettings:
    """Device, threads and precision, from what the machine is at this moment."""
    mine = settings.machine
    return settings.having(
        machine={
            "device": mine.device or machine.device,
            "threads": mine.threads or machine.free_cores,
            "precision": mine.precision or decide_precision("auto", machine.device),
            "compile": bool(mine.compile),
        }
    )


def derive_pretraining(settings: RunSettings) -> RunSettings:
    """Window, batch, rate and schedule of a pre-training run; the number of steps comes from elsewhere."""
    rule = size_rule(settings.model.size)
    mine = settings.training
    minutes = mine.minutes if mine.minutes or mine.steps else DEFAULT_MINUTES
    derived: dict[str, Any] = {
        "minutes": minutes,
        "length": mine.length or rule.length,
        "batch_tokens": mine.batch_tokens or rule.batch_tokens,
        "micro_batches": mine.micro_batches or 1,
        "learning_rate": mine.learning_rate or rule.learning_rate,
        "weight_decay": 0.01 if mine.weight_decay is None else mine.weight_decay,
        "schedule": mine.schedule or "linear",
    }
    return settings.having(training=derived)


def derive_finetuning(
    settings: RunSettings, rows: int, start: StartingPoint, habits: Habits = CLASSIFYING
) -> RunSettings:
    """Steps, rows a batch and rate of a fine-tuning run with this many labelled rows.

    Rows are read as far as the windows of pre-training were long: beyond that no position was ever trained.
    """
    mine = settings.training
    habits = habits_of(habits, start.sequencer)
    batch_rows = min(mine.batch_rows or habits.rows, rows)
    derived: dict[str, Any] = {
        "steps": mine.steps if mine.steps or mine.minutes else habits.steps_for(rows, batch_rows),
        "length": mine.length or start.length,
        "batch_rows": batch_rows,
        "micro_batches": mine.micro_batches or min(habits.parts, batch_rows),
        "learning_rate": mine.learning_rate or habits.rate_factor * finetuning_rate(start.size),
        "weight_decay": 0.01 if mine.weight_decay is None else mine.weight_decay,
        "schedule": mine.schedule or habits.schedule,
        "average": mine.average or habits.average,
    }
    smoothing = settings.objective.label_smoothing
    asked = habits.label_smoothing if smoothing is None else smoothing
    return settings.having(training=derived, objective={"label_smoothing": asked})


def finetuning_rate(size: str) -> float:
    """The peak rate at which a pre-trained model of that size is fine-tuned."""
    return FINE_TUNING_RATES.get(size, FINE_TUNING_RATES["tiny"])


def derive_rhythm(settings: RunSettings, *, evaluate: bool) -> RunSettings:
    """Warm-up, evaluations, checkpoints and what is averaged, once the number of steps is known."""
    mine = settings.training
    assert mine.steps is not None
    every = mine.evaluation_steps or (max(1, mine.steps // EVALUATIONS) if evaluate else None)
    warmup = _warmup_of(mine.steps, mine.schedule) if mine.warmup_steps is None else mine.warmup_steps
    decay = mine.decay_steps
    if decay is None and mine.schedule == "warmup_stable_decay":
        decay = min(max(1, mine.steps // 5), mine.steps - min(warmup, mine.steps))
    return settings.having(
        training={
            "warmup_steps": min(warmup, mine.steps),
            "decay_steps": decay,
            "evaluation_steps": every,
            **(_averaging(mine.steps, mine) if mine.average == "last" else {}),
            "checkpoint_steps": mine.checkpoint_steps or max(1, min(mine.steps // 10, 500)),
        }
    )


def rhythm_of_a_trial(settings: RunSettings) -> RunSettings:
    """The same for steps that are measured and undone, before anyone knows how many there will be."""
    mine = settings.training
    steps = max(1_000, (mine.warmup_steps or 0) + (mine.decay_steps or 0) + 1)
    return derive_rhythm(settings.having(training={"steps": steps}), evaluate=False)


def _averaging(steps: int, mine: TrainingSettings) -> dict[str, int]:
    """How many weights are averaged, and how far they are apart: the usual five span the last tenth of the run."""
    return {
        "average_last": mine.average_last or AVERAGED,
        "average_steps": mine.average_steps or max(1, steps // 40),
    }


def _warmup_of(steps: int, schedule: str | None) -> int:
    """A twentieth of the steps; of a rate that falls from its peak on, 100, or a quarter of a short run.

    Such a rate has fallen to a third after nine times the warm-up: a peak after 20 steps is over before anything was
    learnt (docs/log.md, 2026-11-29, "A short translation run").
    """
    share = max(1, steps // 20)
    return max(share, min(100, steps // 4)) if schedule == "inverse_square_root" else share
