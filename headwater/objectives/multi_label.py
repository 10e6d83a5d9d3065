"""Multi-label classification: any number of labels an example, each a decision of its own."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.objectives.objective import LabelledObjective, LossTerm, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class MultiLabel(LabelledObjective):
    """Binary cross-entropy of every label: −Σ (y log σ(z) + (1 − y) log(1 − σ(z))), summed over the labels."""

    name = "multi_label"
    metrics: ClassVar[tuple[str, ...]] = ("micro_f1", "macro_f1")

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        if len(labels) < 2:
            raise SettingsError(f"sets of labels need at least two; found {len(labels)}: {list(labels)}")
        self.labels = tuple(labels)

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the labels are the targets."""
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """Summed over labels and examples; counted by example."""
        assert task.batch.labels is not None
        logits = self._logits(model, task.batch)
        total = F.binary_cross_entropy_with_logits(logits, task.batch.labels.float(), reduction="sum")
        return (LossTerm(self.name, total, len(logits)),)

    @torch.no_grad()
    def scores(self, model: Model, batch: Batch) -> Tensor:
        """The probability of every label, each for itself: (B, labels)."""
        return self._logits(model, batch).sigmoid()

    def _logits(self, model: Model, batch: Batch) -> Tensor:
        return model.answer("classification", batch).float()
