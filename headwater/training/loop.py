"""The loop: one for pre-training and fine-tuning, for every objective and any number of ranks.

It is a generator: each optimiser step is handed out as a ``StepRecord``, and whoever drives it logs, saves,
evaluates or stops between two steps.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from headwater.data.prefetch import prefetched
from headwater.errors import TrainingStoppedError
from headwater.objectives import Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch
from headwater.training.gradients import gradients
from headwater.training.optimizers import set_learning_rate
from headwater.training.plan import Learner, Plan

PATIENCE = 3
"""Non-finite steps in a row that stop a run."""
_NAMED = 8
ADVICE = "Lower --set training.learning_rate, or look at these rows; the last good checkpoint is intact"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step was: ``losses`` are means over the whole batch of the step."""

    step: int  # optimiser steps done, this one included
    losses: dict[str, float]
    gradient_norm: float
    learning_rate_factor: float
    tokens: int
    seconds: float
    finite: bool

    @property
    def loss(self) -> float:
        """The weighted sum of the terms' means."""
        return self.losses["loss"]


def train(
    learner: Learner,
    batch_of: Callable[[int], Batch],
    plan: Plan,
    *,
    start: int = 0,
    place_of: Callable[[int], str] | None = None,
    advice: str = ADVICE,
) -> Iterator[StepRecord]:
    """Train from ``start`` to ``plan.steps`` optimiser steps, yielding a record after each.

    Everything random is a function of (seed, step), so starting at k after loading the state of step k gives
    the same bits as never having stopped. ``place_of`` says where an item stands in the user's
    files: an error names it, and gives the ``advice``.
    """
    learner.model.train()
    in_a_row = 0
    began = time.perf_counter()
    for step, tasks in enumerate(_prepared(learner.objective, batch_of, plan, start), start):
        if learner.thaw is not None:
            learner.thaw(step)
        factor = plan.schedule(step)
        set_learning_rate(learner.optimizer, factor)
        losses = gradients(learner, tasks, plan, step)
        norm = _clip(learner.parameters, plan.clip)
        finite = math.isfinite(norm) and math.isfinite(losses["loss"])
        if finite:
            learner.optimizer.step()
            learner.objective.after_step(learner.model)
        learner.optimizer.zero_grad(set_to_none=True)

        now = time.perf_counter()
        tokens = plan.world.sum(sum(task.tokens for task in tasks))
        yield StepRecord(step + 1, losses, norm, factor, tokens, now - began, finite)
        began = time.perf_counter()
        in_a_row = 0 if finite else in_a_row + 1
        if in_a_row == PATIENCE:
            raise _stopped(step, tasks, place_of, advice)


def _prepared(
    objective: Objective, batch_of: Callable[[int], Batch], plan: Plan, start: int
) -> Iterator[list[Task]]:
    """The tasks of each step that belong to this rank: micro-batch j goes to rank j mod world size."""

    def prepare(number: int) -> Task:
        batch = batch_of(number)
        return objective.prepare(batch, Draws(plan.seed, batch.epoch, batch.items.numpy()))

    def tasks_of(step: int) -> list[Task]:
        return [prepare(step * plan.micro_batches + number) for number in plan.own_numbers]

    return prefetched(tasks_of, start, plan.steps, depth=plan.prefetch)


def _clip(parameters: Sequence[nn.Parameter], limit: float | None) -> float:
    """Scale the gradients so that their common norm is at most ``limit``; the norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if limit is not None:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return float(norm)


def _stopped(
    step: int, tasks: Sequence[Task], place_of: Callable[[int], str] | None, advice: str
) -> TrainingStoppedError:
    items = [int(item) for task in tasks for item in task.batch.items]
    places = [f"example {item}" for item in items] if place_of is None else map(place_of, items)
    named = list(dict.fromkeys(places))  # several windows may be of one row
    more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return TrainingStoppedError(
        f"the loss or its gradient was not finite in {PATIENCE} steps in a row (the last is step {step + 1}, on "
        f"{', '.join(named[:_NAMED])}{more}); expected finite numbers. {advice}"
    )
