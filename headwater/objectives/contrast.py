"""Contrast: which two vectors belong together? Shape letters: B pairs, C or J width."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.models.model import Model
from headwater.objectives.coupled import CoupledObjective, sharing
from headwater.objectives.objective import Guess, LossTerm, Task
from headwater.sequence import Batch


class TwoViews(CoupledObjective):
    """A contrast of two views of each example, the first ones before the second ones in a batch."""

    temperature: float

    def guesses(self, task: Task) -> Mapping[str, Guess]:
        """Any other view of the batch."""
        others = max(1, len(task.batch.items) - 1)
        return {self.name: Guess(math.log(others), 1 / others)}

    def compare(self, model: Model, vectors: Tensor, marks: Tensor) -> LossTerm:
        """The mean over both views of every example."""
        del model
        return contrast(self.name, vectors, self.temperature, sharing(marks))

    def marks(self, batch: Batch) -> Tensor:
        """The number of the example: one that comes twice in a step is no negative of itself."""
        return batch.items[: len(batch.inputs) // 2, None].to(batch.inputs.device)


class Projection(nn.ModuleList):
    """``W₂ gelu(W₁ x)``, in front of a cosine, and thrown away. Chen et al. 2020, section 2, arXiv:2002.05709."""

    def __init__(self, width: int) -> None:
        super().__init__([nn.Linear(width, width), nn.Linear(width, width)])

    def forward(self, vectors: Tensor) -> Tensor:  # (B, C) → (B, C)
        first, second = self
        return second(F.gelu(first(vectors)))


def contrast(name: str, vectors: Tensor, temperature: float, shared: Tensor) -> LossTerm:
    """-log of the share of each vector's partner among all others: exp(cos/τ) / Σ exp(cos/τ), τ = ``temperature``.

    ``vectors`` are (B, 2, C); pairs that ``shared`` (B, B) marks are no negatives of each other. Source: Chen et al.
    2020, section 2, arXiv:2002.05709.
    """
    views = F.normalize(vectors.transpose(0, 1).flatten(0, 1), dim=-1)
    count = len(views)
    cosines = (views @ views.T).float() / temperature
    itself = torch.eye(count, dtype=torch.bool, device=views.device)
    cosines = cosines.masked_fill(itself | shared.repeat(2, 2), float("-inf"))
    partner = (torch.arange(count, device=views.device) + count // 2) % count
    total = F.cross_entropy(cosines, partner, reduction="sum")
    return LossTerm(name, total, count, right=(cosines.argmax(dim=-1) == partner).sum())


def cross_contrast(name: str, scores: Tensor, shared: Tensor) -> LossTerm:
    """½ · (-log softmax over columns - log softmax over rows) of what stands on the diagonal of ``scores`` (B, B).

    What ``shared`` (B, B) marks is no negative. Source: Radford et al. 2021 (CLIP), figure 3, arXiv:2103.00020.
    """
    scores = scores.float().masked_fill(shared, float("-inf"))
    own = torch.arange(len(scores), device=scores.device)
    rows, columns = (F.cross_entropy(side, own, reduction="sum") for side in (scores, scores.T))
    return LossTerm(name, (rows + columns) / 2, len(own), right=(scores.argmax(dim=-1) == own).sum())


def side_by_side(views: Tensor) -> Tensor:
    """Vectors (2B, C), those of all first views before those of all second ones, as (B, 2, C)."""
    return views.unflatten(0, (2, -1)).transpose(0, 1)
