"""Regression: one number an example, or several. Shape letters: B examples, K numbers."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.objective import LabelledObjective, LossTerm, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class Regression(LabelledObjective):
    """Σ ((ŷ − y) / spread)², of several numbers their mean; the head answers in units of the spread around the mean of
    the training numbers."""

    name = "regression"
    metrics: ClassVar[tuple[str, ...]] = ("pearson", "spearman")

    mean: Tensor
    spread: Tensor

    def __init__(self, *, mean: Sequence[float], spread: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("spread", torch.tensor(spread), persistent=False)

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the numbers are the targets."""
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The squared errors of the examples, summed."""
        assert task.batch.labels is not None
        targets = (task.batch.labels.float() - self.mean) / self.spread
        total = (self._answers(model, task.batch) - targets).square().mean(dim=-1).sum()
        return (LossTerm(self.name, total, len(targets)),)

    @torch.no_grad()
    def scores(self, model: Model, batch: Batch) -> Tensor:
        """The numbers in the user's units: (B, K)."""
        answers = self._answers(model, batch)
        return answers * self.spread.to(answers.device) + self.mean.to(answers.device)

    def _answers(self, model: Model, batch: Batch) -> Tensor:
        return model.answer(self.name, batch).float()
