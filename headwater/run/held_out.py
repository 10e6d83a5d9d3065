"""Judging a pretext task while it trains: the loss on held-out batches whose hidden words never change."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from headwater.models import Model
from headwater.objectives import Objective, Task
from headwater.objectives.objective import LossTerm
from headwater.randomness import Draws
from headwater.sequence import Batch
from headwater.training.precision import autocast

BATCHES = 8
HELD_OUT_SEED = 20_240_902
"""The same for every run, so that two runs on the same data hide the same words."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Fixed tasks, prepared once."""

    objective: Objective
    tasks: Sequence[Task]
    precision: str
    device: torch.device

    @classmethod
    def of(
        cls, objective: Objective, batches: Sequence[Batch], *, precision: str, device: torch.device
    ) -> "HeldOut":
        """Prepare the tasks of these batches with draws that do not depend on the run's seed."""
        objective.eval()
        tasks = [
            objective.prepare(batch, Draws(HELD_OUT_SEED, 0, batch.items.numpy())).to(device)
            for batch in batches
        ]
        objective.train()
        return cls(objective, tasks, precision, device)

    @torch.no_grad()
    def __call__(self, model: Model, *, check: Callable[[], None] | None = None) -> dict[str, float]:
        """The mean of each loss term over all tasks, and their weighted sum as ``loss``.

        Where answers can be right, the share that is, ``NAME_accuracy``. Where the targets are the text itself, also
        ``bits_per_byte`` = nats / (ln 2 · bytes): a number that does not depend on the vocabulary.
        """
        totals: defaultdict[str, float] = defaultdict(float)
        counts: Counter[str] = Counter()
        weights: dict[str, float] = {}
        right: dict[str, int] = {}
        text_bytes = 0
        for task, terms in self._terms(model, check):
            for term in terms:
                totals[term.name] += float(term.total)
                counts[term.name] += term.count
                weights[term.name] = term.weight
                if term.right is not None:
                    right[term.name] = right.get(term.name, 0) + int(term.right)
            text_bytes += self.objective.text_bytes(task)
        means = {name: totals[name] / max(counts[name], 1) for name in counts}
        found = {**means, "loss": sum(weights[name] * mean for name, mean in means.items())}
        found |= {f"{name}_accuracy": count / max(counts[name], 1) for name, count in right.items()}
        if text_bytes:
            found["bits_per_byte"] = totals[self.objective.name] / (math.log(2) * text_bytes)
        return found

    @torch.no_grad()
    def each(self, model: Model) -> list[float]:
        """The loss of each task by itself: the weighted sum of the means of its terms."""
        return [
            sum(term.weight * float(term.total) / max(term.count, 1) for term in terms)
            for _, terms in self._terms(model, None)
        ]

    def _terms(
        self, model: Model, check: Callable[[], None] | None
    ) -> Iterator[tuple[Task, Sequence[LossTerm]]]:
        for task in self.tasks:
            if check is not None:
                check()
            with autocast(self.precision, self.device):
                terms = self.objective.loss(model, task)
            yield task, terms


def first_batches(batch_of: Callable[[int], Batch], available: int, most: int = BATCHES) -> list[Batch]:
    """The first few batches of a stream: enough for a steady number, few enough to cost little."""
    return [batch_of(number) for number in range(min(most, available))]
