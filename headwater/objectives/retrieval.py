"""Retrieval: of all passages of a batch, a query is nearest to its own, and the passage nearest to its query.

Karpukhin et al. 2020, section 3.2 (other passages of the batch as negatives), arXiv:2004.04906; both directions as in
Radford et al. 2021, figure 3, arXiv:2103.00020. Shape letters: B pairs, T tokens, C width.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.models.model import Model
from headwater.nn.pooling import MeanPooling
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.objectives.paired_texts import PairedTask, both_vectors
from headwater.randomness import Draws
from headwater.sequence import Batch

TEMPERATURE = 0.05


class Retrieval(Objective):
    """½ · (-log softmax over passages - log softmax over queries) of cos(query, passage) / τ, τ = 0.05.

    Both sides go through the same backbone, and their vectors are means of hidden states. Two rows that share their
    passage (an equal number in ``labels``) or their query are no negatives of each other.
    """

    name = "retrieval"
    needs = "both"
    couples_examples: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.pooling = MeanPooling()

    def prepare(self, batch: Batch, draws: Draws) -> PairedTask:
        """Nothing to hide: every other row is a negative."""
        return PairedTask(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """The mean over both directions of every pair."""
        batch = task.batch
        queries, passages = both_vectors(model, batch, self.pooling)
        cosines = (queries @ passages.T).float() / TEMPERATURE
        cosines = cosines.masked_fill(_shared(batch), float("-inf"))
        own = torch.arange(len(cosines), device=cosines.device)
        found = F.cross_entropy(cosines, own, reduction="sum")
        asked = F.cross_entropy(cosines.T, own, reduction="sum")
        right = (cosines.argmax(dim=-1) == own).sum()
        return (LossTerm(self.name, (found + asked) / 2, len(own), right=right),)


def _shared(batch: Batch) -> Tensor:
    """True where two different rows have the same passage or the same query: (B, B)."""
    assert batch.labels is not None
    queries = batch.inputs.masked_fill(~batch.layout.real, -1)
    same = (queries[:, None] == queries[None]).all(dim=-1) | (batch.labels[:, None] == batch.labels[None])
    return same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
