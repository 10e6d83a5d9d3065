"""Contrast: which two vectors belong together? Shape letters: B pairs, C width."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from headwater.objectives.objective import LossTerm


class Projection(nn.ModuleList):
    """``W₂ gelu(W₁ x)``, in front of a cosine, and thrown away. Chen et al. 2020, section 2, arXiv:2002.05709."""

    def __init__(self, width: int) -> None:
        super().__init__([nn.Linear(width, width), nn.Linear(width, width)])

    def forward(self, vectors: Tensor) -> Tensor:  # (B, C) → (B, C)
        first, second = self
        return second(F.gelu(first(vectors)))


def contrast(name: str, views: Tensor, temperature: float) -> LossTerm:
    """-log of the share of each vector's partner among all others: exp(cos/τ) / Σ exp(cos/τ), τ = ``temperature``.

    ``views`` (2B, C) are the first halves of all pairs, then the second ones. Source: Chen et al. 2020, section 2,
    arXiv:2002.05709.
    """
    views = F.normalize(views, dim=-1)
    count = len(views)
    cosines = (views @ views.T).float() / temperature
    itself = torch.eye(count, dtype=torch.bool, device=views.device)
    cosines = cosines.masked_fill(itself, float("-inf"))
    partner = (torch.arange(count, device=views.device) + count // 2) % count
    total = F.cross_entropy(cosines, partner, reduction="sum")
    return LossTerm(name, total, count, right=(cosines.argmax(dim=-1) == partner).sum())
