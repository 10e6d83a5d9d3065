"""Retrieval by labels: the vector of a thing points where the vectors of its label point.

Zhai and Wu 2019 (normalised softmax), arXiv:1811.12649. Shape letters: B examples, L labels, C width.
"""

import torch
import torch.nn.functional as F
from torch import nn

from headwater.errors import SettingsError
from headwater.models.model import Model
from headwater.nn.initialization import initialize
from headwater.nn.pooling import MeanPooling
from headwater.objectives.objective import LossTerm, Objective, Task
from headwater.randomness import Draws
from headwater.sequence import Batch

TEMPERATURE = 0.05


class LabelledRetrieval(Objective):
    """-Σ log softmax over labels of cos(v, pₗ) / τ, v the mean of an example's hidden states, τ = 0.05.

    The directions p (L, C) of the labels are learnt and thrown away: what is shipped are vectors that are near to each
    other where labels are the same, of labels too that nobody has seen yet.
    """

    name = "retrieval"
    needs = "both"

    def __init__(self, labels: int, width: int, *, seed: int = 0) -> None:
        super().__init__()
        if labels < 2:
            raise SettingsError(f"retrieval by labels needs at least two labels; found {labels}")
        self.pooling = MeanPooling()
        self.directions = nn.Linear(width, labels, bias=False)
        initialize(self.directions, seed=seed, name="objective.directions")

    def prepare(self, batch: Batch, draws: Draws) -> Task:
        """Nothing to hide: the labels are the targets."""
        del draws
        return Task(batch, {self.name: len(batch.items)})

    def loss(self, model: Model, task: Task) -> tuple[LossTerm, ...]:
        """How far each vector is from the direction of its label, against all others."""
        batch = task.batch
        assert batch.labels is not None
        vectors = F.normalize(self.pooling(model.encode(batch), batch.layout).float(), dim=-1)
        scores = vectors @ F.normalize(self.directions.weight.float(), dim=-1).T / TEMPERATURE
        total = F.cross_entropy(scores, batch.labels, reduction="sum")
        right: torch.Tensor = (scores.argmax(dim=-1) == batch.labels).sum()
        return (LossTerm(self.name, total, len(batch.labels), right=right),)
