"""Continuation: a decoder reads a source and goes on with its target.

[CLS] source [SEP] target [SEP] is one document; only the target is asked for (Raffel et al. 2020, section 3.2.1, call
such a model a language model, arXiv:1910.10683). Shape letters: B rows, T tokens, N places.
"""

import torch
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.models.model import Model
from headwater.objectives.cross_entropy import summed_cross_entropy
from headwater.objectives.next_token import NextTokenTask, successors
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.objectives.sequence_to_sequence import summed_by_row
from headwater.randomness import Draws
from headwater.sequence import Batch


class Continuation(Objective):
    """Predict every token of a target from its source and the target tokens before it, [SEP] at its end included."""

    name = "continuation"
    head = "next_token"
    needs = "past"

    def __init__(self, tokenizer: Tokenizer, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.label_smoothing = label_smoothing

    def prepare(self, batch: Batch, draws: Draws) -> NextTokenTask:
        """Pair each token from the first [SEP] on with its successor."""
        places, targets = self._targets(batch)
        return NextTokenTask(batch, {self.name: len(places)}, places, targets)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(token | source, the target tokens before it)."""
        assert isinstance(task, NextTokenTask)
        total = summed_cross_entropy(
            model.heads["next_token"],
            model.encode_places(task.batch, task.places),
            task.targets,
            vocabulary_size=model.backbone.vocabulary_size,
            label_smoothing=self.label_smoothing if self.training else 0.0,
        )
        return (LossTerm(self.name, total, len(task.places)),)

    @torch.no_grad()
    def likelihoods(self, model: Model, batch: Batch) -> Tensor:
        """log p(target | source) of each row, and how many tokens it has: (B, 2)."""
        places, targets = self._targets(batch)
        logits = model.heads["next_token"](model.encode_places(batch, places)).float()
        return summed_by_row(logits, targets, rows=places // batch.inputs.shape[1], count=len(batch.inputs))

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        places, following = successors(batch.inputs, batch.layout)
        begun = ((batch.inputs == self.tokenizer.sep).cumsum(dim=1) > 0).flatten()[places]
        return places[begun], following[begun]
