"""The loop: one for pre-training and fine-tuning, for every objective and any number of ranks.

It is a generator: each optimiser step is handed out as a ``StepRecord``, and whoever drives it logs, saves,
evaluates or stops between two steps.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from headwater.data.prefetch import prefetched
from headwater.errors import TrainingStoppedError
from headwater.models.model import Model
from headwater.objectives import LossTerm, Objective, Task
from headwater.randomness import Draws, key
from headwater.sequence import Batch
from headwater.training.distributed import World
from headwater.training.optimizers import set_learning_rate
from headwater.training.precision import autocast
from headwater.training.schedules import Schedule

PATIENCE = 3
"""Non-finite steps in a row that stop a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is decided before step 0 and never changes while training."""

    steps: int
    seed: int
    schedule: Schedule
    micro_batches: int = 1  # over all ranks: the batch of a step is the same on 1 or 64 of them
    clip: float | None = 1.0
    precision: str = "fp32"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    prefetch: int = 2
    world: World = field(default_factory=World)


@dataclass(frozen=True, slots=True)
class Learner:
    """What training changes: the model, what its objective throws away later, and the optimiser's state.

    ``thaw`` is called before every step with its number, where more is to learn as training goes on.
    """

    model: Model
    objective: Objective
    optimizer: torch.optim.Optimizer
    thaw: Callable[[int], None] | None = None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Every parameter that takes part."""
        both = [*self.model.parameters(), *self.objective.parameters()]
        return [parameter for parameter in both if parameter.requires_grad]


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
    learner: Learner, batch_of: Callable[[int], Batch], plan: Plan, *, start: int = 0
) -> Iterator[StepRecord]:
    """Train from ``start`` to ``plan.steps`` optimiser steps, yielding a record after each.

    Everything random is a function of (seed, step), so starting at k after loading the state of step k gives
    the same bits as never having stopped.
    """
    learner.model.train()
    in_a_row = 0
    began = time.perf_counter()
    for step, tasks in enumerate(_prepared(learner.objective, batch_of, plan, start), start):
        if learner.thaw is not None:
            learner.thaw(step)
        factor = plan.schedule(step)
        set_learning_rate(learner.optimizer, factor)
        losses = _accumulate_gradients(learner, tasks, plan, step)
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
            raise _stopped(step, tasks)


def _prepared(
    objective: Objective, batch_of: Callable[[int], Batch], plan: Plan, start: int
) -> Iterator[list[Task]]:
    """The tasks of each step that belong to this rank: micro-batch j goes to rank j mod world size."""

    def prepare(number: int) -> Task:
        batch = batch_of(number)
        return objective.prepare(batch, Draws(plan.seed, batch.epoch, batch.items.numpy()))

    def tasks_of(step: int) -> list[Task]:
        return [prepare(step * plan.micro_batches + number) for number in _own_numbers(plan)]

    return prefetched(tasks_of, start, plan.steps, depth=plan.prefetch)


def _own_numbers(plan: Plan) -> range:
    """Which micro-batches of a step are this rank's; what is random about one depends on its number alone."""
    return range(plan.world.rank, plan.micro_batches, plan.world.size)


def _accumulate_gradients(learner: Learner, tasks: Sequence[Task], plan: Plan, step: int) -> dict[str, float]:
    """Σ over micro-batches of weight · total / count of the *whole* step, backwards; the mean of each term.

    The counts are known before the first backward pass, so accumulation and ranks equal one big batch.
    """
    counts: Counter[str] = Counter()
    for task in tasks:
        counts.update(task.counts)
    counts = Counter(plan.world.sum_counts(counts))
    sums: dict[str, Tensor] = {}
    for number, task in zip(_own_numbers(plan), tasks, strict=True):
        torch.manual_seed(key(plan.seed, "dropout", step, number))  # dropout alone uses it
        with autocast(plan.precision, plan.device):
            terms = learner.objective.loss(learner.model, _on(task, plan.device))
        shares = {term.name: term.total / max(counts[term.name], 1) for term in terms}
        _weighted(shares, terms).backward()
        for name, share in {**shares, "loss": _weighted(shares, terms)}.items():
            sums[name] = sums.get(name, torch.zeros((), device=plan.device)) + share.detach().float()
    plan.world.sum_gradients(learner.parameters)
    return plan.world.sum_numbers({name: float(total) for name, total in sums.items()})


def _weighted(shares: dict[str, Tensor], terms: Sequence[LossTerm]) -> Tensor:
    return torch.stack([term.weight * shares[term.name] for term in terms]).sum()


def _on(task: Task, device: torch.device) -> Task:
    return task if device.type == "cpu" else task.to(device)


def _clip(parameters: Sequence[nn.Parameter], limit: float | None) -> float:
    """Scale the gradients so that their common norm is at most ``limit``; the norm before."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if limit is not None:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return float(norm)


def _stopped(step: int, tasks: Sequence[Task]) -> TrainingStoppedError:
    items = [int(item) for task in tasks for item in task.batch.items][:8]
    return TrainingStoppedError(
        f"the loss or its gradient was not finite in {PATIENCE} steps in a row (the last is step {step + 1}, "
        f"examples {items} …); expected finite numbers. Lower --set training.learning_rate, or look at these "
        "examples; the last good checkpoint is intact"
    )
