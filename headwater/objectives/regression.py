"""Regression: one number an example."""

from typing import ClassVar

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.objectives.objective import LabelledObjective, LossTerm, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class Regression(LabelledObjective):
    """Σ ((ŷ − y) / spread)²; the head answers in units of the spread around the mean of the training numbers."""

    name = "regression"
    metrics: ClassVar[tuple[str, ...]] = ("pearson", "spearman")

    def __init__(self, *, mean: float, spread: float) -> None:
        super().__init__()
        self.mean, self.spread = mean, spread

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the numbers are the targets."""
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The squared errors of the examples, summed."""
        assert task.batch.labels is not None
        targets = (task.batch.labels.float() - self.mean) / self.spread
        total = (self._answers(model, task.batch) - targets).square().sum()
        return (LossTerm(self.name, total, len(targets)),)

    @torch.no_grad()
    def scores(self, model: Model, batch: Batch) -> Tensor:
        """The numbers in the user's units: (B,)."""
        return self._answers(model, batch) * self.spread + self.mean

    def _answers(self, model: Model, batch: Batch) -> Tensor:
        return model.heads[self.name](model.encode(batch), batch.layout).float().squeeze(-1)
