"""The gradient of one step, from all its micro-batches on all ranks. Shape letters: B examples, J width, K marks."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from headwater.objectives import CoupledObjective, LossTerm, Task
from headwater.randomness import key
from headwater.training.plan import Learner, Plan
from headwater.training.precision import autocast


def gradients(learner: Learner, tasks: Sequence[Task], plan: Plan, step: int) -> dict[str, float]:
    """Σ over micro-batches of weight · total / count of the *whole* step, backwards; the mean of each term.

    The counts are known before the first backward pass, so accumulation and ranks equal one big batch.
    """
    counts: Counter[str] = Counter()
    for task in tasks:
        counts.update(task.counts)
    totals = plan.world.sum_counts(counts)
    coupled = isinstance(learner.objective, CoupledObjective) and plan.micro_batches > 1
    sums = (_compared if coupled else _added)(learner, tasks, plan, step, totals)
    plan.world.sum_gradients(learner.parameters)
    return plan.world.sum_numbers({name: float(total) for name, total in sums.items()})


def _added(
    learner: Learner, tasks: Sequence[Task], plan: Plan, step: int, counts: Mapping[str, int]
) -> dict[str, Tensor]:
    """The gradient of each micro-batch, added up."""
    sums: dict[str, Tensor] = {}
    for number, task in zip(plan.own_numbers, tasks, strict=True):
        _seed(plan, step, number)
        with autocast(plan.precision, plan.device):
            terms = learner.objective.loss(learner.model, _on(task, plan.device))
        for name, share in _backwards(terms, counts).items():
            sums[name] = sums.get(name, torch.zeros((), device=plan.device)) + share
    return sums


def _compared(
    learner: Learner, tasks: Sequence[Task], plan: Plan, step: int, counts: Mapping[str, int]
) -> dict[str, Tensor]:
    """The gradient of a loss of all vectors of the step, which are made in parts.

    Without a record at first: gathered from all ranks, they are compared. Then each part is read again, and what the
    comparison asks of its vectors goes backwards through it: a second forward pass buys the memory of one part. Source:
    Gao et al. 2021 (gradient cache), section 3, arXiv:2101.06983.
    """
    objective, world = learner.objective, plan.world
    assert isinstance(objective, CoupledObjective)

    def vectors_of(number: int, task: Task) -> Tensor:
        _seed(plan, step, number)
        with autocast(plan.precision, plan.device):
            return objective.vectors(learner.model, _on(task, plan.device))

    numbered = list(zip(plan.own_numbers, tasks, strict=True))
    with torch.no_grad():
        mine = {number: vectors_of(number, task) for number, task in numbered}
        marks = {number: objective.marks(_on(task, plan.device).batch) for number, task in numbered}
    every = [part.detach().requires_grad_() for part in world.gather_parts(mine)]
    with autocast(plan.precision, plan.device):
        term = objective.compare(learner.model, torch.cat(every), torch.cat(world.gather_parts(marks)))
    shares = _backwards((term,), counts)
    if not world.first:  # what comparing itself has to learn is asked for once
        learner.optimizer.zero_grad(set_to_none=True)
        shares = {name: torch.zeros_like(share) for name, share in shares.items()}
    for number, task in numbered:
        vectors_of(number, task).backward(every[number].grad)
    return shares


def _backwards(terms: Sequence[LossTerm], counts: Mapping[str, int]) -> dict[str, Tensor]:
    """Backwards through the weighted sum of the terms' means; each mean, and the sum as "loss"."""
    shares = {term.name: term.total / max(counts[term.name], 1) for term in terms}
    loss = torch.stack([term.weight * shares[term.name] for term in terms]).sum()
    loss.backward()
    return {name: share.detach().float() for name, share in {**shares, "loss": loss}.items()}


def _seed(plan: Plan, step: int, number: int) -> None:
    torch.manual_seed(key(plan.seed, "dropout", step, number))  # dropout alone uses it


def _on(task: Task, device: torch.device) -> Task:
    return task if device.type == "cpu" else task.to(device)
