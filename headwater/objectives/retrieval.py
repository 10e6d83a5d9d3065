"""Retrieval: of all passages of a batch, a query is nearest to its own, and the passage nearest to its query.

Karpukhin et al. 2020, section 3.2 (other passages of the batch as negatives), arXiv:2004.04906; both directions as in
Radford et al. 2021, figure 3, arXiv:2103.00020. Shape letters: B pairs, T tokens, C width.
"""

import torch
from torch import Tensor

from headwater.models.model import Model
from headwater.nn.pooling import MeanPooling
from headwater.objectives.contrast import cross_contrast
from headwater.objectives.coupled import CoupledObjective, sharing
from headwater.objectives.objective import LossTerm, Task
from headwater.objectives.paired_texts import PairedTask, both_vectors
from headwater.randomness import Draws
from headwater.sequence import Batch

TEMPERATURE = 0.05
_ODD = 6364136223846793005


class Retrieval(CoupledObjective):
    """½ · (-log softmax over passages - log softmax over queries) of cos(query, passage) / τ, τ = 0.05.

    Both sides go through the same backbone, and their vectors are means of hidden states. Two rows that share their
    passage (an equal number in ``labels``) or their query are no negatives of each other.
    """

    name = "retrieval"
    needs = "both"

    def __init__(self) -> None:
        super().__init__()
        self.pooling = MeanPooling()

    def prepare(self, batch: Batch, draws: Draws) -> PairedTask:
        """Nothing to hide: every other row is a negative."""
        return PairedTask(batch, {self.name: len(batch.items)})

    def vectors(self, model: Model, task: Task) -> Tensor:
        """Queries and passages."""
        return torch.stack(both_vectors(model, task.batch, self.pooling), dim=1)

    def compare(self, model: Model, vectors: Tensor, marks: Tensor) -> LossTerm:
        """The mean over both directions of every pair."""
        del model
        queries, passages = vectors.unbind(dim=1)
        return cross_contrast(self.name, (queries @ passages.T).float() / TEMPERATURE, sharing(marks))

    def marks(self, batch: Batch) -> Tensor:
        """The number of the passage, and one that equal queries share."""
        assert batch.labels is not None
        return torch.stack((batch.labels, _digests(batch)), dim=1)


def _digests(batch: Batch) -> Tensor:
    """Σ (token + 1) · oddᵗ modulo 2⁶⁴ of every query: (B,); padding adds nothing to it."""
    powers = torch.full((batch.inputs.shape[1],), _ODD, device=batch.inputs.device).cumprod(dim=0)
    return ((batch.inputs + 1) * batch.layout.real * powers).sum(dim=1)
