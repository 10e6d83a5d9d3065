"""Classification: one label an example, chosen among the labels of the training set."""

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


class Classification(LabelledObjective):
    """Cross-entropy between the head's logits and the given label, optionally smoothed."""

    name = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")

    def __init__(self, labels: Sequence[str], *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if len(labels) < 2:
            raise SettingsError(
                f"classification needs at least two labels; found {len(labels)}: {list(labels)}"
            )
        self.labels = tuple(labels)
        self.label_smoothing = label_smoothing

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the labels are the targets."""
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(label | text) over the examples."""
        assert task.batch.labels is not None
        logits = self._logits(model, task.batch)
        total = F.cross_entropy(
            logits, task.batch.labels, reduction="sum", label_smoothing=self.label_smoothing
        )
        return (LossTerm(self.name, total, len(task.batch.labels)),)

    @torch.no_grad()
    def scores(self, model: Model, batch: Batch) -> Tensor:
        """Probabilities (B, labels)."""
        return self._logits(model, batch).softmax(dim=-1)

    def _logits(self, model: Model, batch: Batch) -> Tensor:
        return model.answer(self.name, batch).float()
