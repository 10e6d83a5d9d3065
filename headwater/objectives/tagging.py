"""Tagging: one label a word. Shape letters: B rows, T tokens, N labelled tokens."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.data.targets import NO_LABEL
from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


class Tagging(Objective):
    """Cross-entropy at the first token of every word; the other tokens of a word carry no label."""

    name = "tagging"
    metrics: ClassVar[tuple[str, ...]] = ("span_f1", "accuracy")

    def __init__(self, labels: Sequence[str], *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if len(labels) < 2:
            raise SettingsError(f"tagging needs at least two tags; found {len(labels)}: {list(labels)}")
        self.labels, self.label_smoothing = tuple(labels), label_smoothing

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the tags are the targets."""
        assert batch.labels is not None
        return Task(batch, {self.name: int((batch.labels != NO_LABEL).sum())})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(tag | sentence) over the words."""
        labels = task.batch.labels
        assert labels is not None
        labelled = labels != NO_LABEL
        logits = model.heads[self.name](model.encode(task.batch)[labelled]).float()
        smoothing = self.label_smoothing if self.training else 0.0
        total = F.cross_entropy(logits, labels[labelled], reduction="sum", label_smoothing=smoothing)
        right = (logits.argmax(dim=-1) == labels[labelled]).sum()
        return (LossTerm(self.name, total, int(labelled.sum()), right=right),)

    @torch.no_grad()
    def scores(self, model: Model, batch: Batch) -> Tensor:
        """Probabilities of every tag at every token: (B, T, labels)."""
        return model.heads[self.name](model.encode(batch)).float().softmax(dim=-1)
