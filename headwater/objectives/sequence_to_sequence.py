"""Sequence to sequence: read a source, write its target token by token.

Sutskever et al. 2014, arXiv:1409.3215; label smoothing as in Vaswani et al. 2017, section 5.4, arXiv:1706.03762.
Shape letters: B rows, T target tokens, N places.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.models.model import Model
from headwater.objectives.cross_entropy import summed_cross_entropy
from headwater.objectives.next_token import successors
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch


@dataclass(frozen=True, slots=True)
class TargetTask(Task):
    """``places`` (N,) are the target tokens that have a successor, in the flattened targets; ``following`` (N,)."""

    places: Tensor
    following: Tensor


class SequenceToSequence(Objective):
    """Predict every token of a target from its source and the target tokens before it, [SEP] at its end included.

    With ``label_smoothing`` ε the right token is asked for with 1 − ε and every token with ε / V.
    """

    name = "sequence_to_sequence"
    head = "next_token"
    needs = "source"

    def __init__(self, tokenizer: Tokenizer, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.label_smoothing = label_smoothing

    @property
    def loss_share(self) -> float:
        """All target tokens."""
        return 1.0

    def prepare(self, batch: Batch, draws: Draws) -> TargetTask:
        """Pair each target token with its successor."""
        assert batch.targets is not None
        assert batch.target_layout is not None
        places, following = successors(batch.targets, batch.target_layout)
        return TargetTask(batch, {self.name: len(places)}, places, following)

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """-Σ log p(token | source, the target tokens before it)."""
        assert isinstance(task, TargetTask)
        # Smoothing helps learning and says nothing of the model: judged without it.
        smoothing = self.label_smoothing if self.training else 0.0
        total = summed_cross_entropy(
            model.heads["next_token"],
            model.decode(task.batch).flatten(0, 1)[task.places],
            task.following,
            vocabulary_size=model.backbone.vocabulary_size,
            label_smoothing=smoothing,
        )
        return (LossTerm(self.name, total, len(task.places)),)

    @torch.no_grad()
    def likelihoods(self, model: Model, batch: Batch) -> Tensor:
        """log p(target | source) of each row, and how many tokens it has: (B, 2)."""
        assert batch.targets is not None
        assert batch.target_layout is not None
        places, following = successors(batch.targets, batch.target_layout)
        logits = model.heads["next_token"](model.decode(batch).flatten(0, 1)[places]).float()
        rows = places // batch.targets.shape[1]
        return summed_by_row(logits, following, rows=rows, count=len(batch.targets))


def summed_by_row(logits: Tensor, targets: Tensor, *, rows: Tensor, count: int) -> Tensor:
    """The log-likelihood of the targets (N,) of each row, and how many they are: (count, 2)."""
    found = logits.log_softmax(dim=-1).gather(1, targets[:, None])[:, 0]
    counted = torch.stack((found, torch.ones_like(found)), dim=1)
    return torch.zeros(count, 2, device=found.device).index_add(0, rows, counted)
