"""Additive attention: the score is a small network, not a product.

Shape letters: B batch, T query tokens, S key tokens.
"""

import torch
from torch import Tensor, nn

from headwater.nn.attention.inputs import Attended, readable
from headwater.nn.attention.mask import AttentionMask
from headwater.nn.attention.reference import masked_softmax
from headwater.sequence import SequenceLayout


class AdditiveAttention(nn.Module):
    """score(q, k) = vᵀ tanh(W q + U k); weights = softmax over the readable keys; values = weights · keys.

    What is read is the keys themselves. Bahdanau, Cho and Bengio 2015, appendix A.1.2, arXiv:1409.0473.
    """

    def __init__(self, query_width: int, key_width: int, hidden_width: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_width, hidden_width, bias=False)
        self.key = nn.Linear(key_width, hidden_width)
        self.score = nn.Linear(hidden_width, 1, bias=False)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        query_layout: SequenceLayout,
        key_layout: SequenceLayout,
        *,
        mask: AttentionMask | None = None,
    ) -> Attended:
        """Values (B, T, key width) and weights (B, T, S) of queries (B, T, ·) that read keys (B, S, ·)."""
        together = self.query(query)[:, :, None] + self.key(key)[:, None]  # (B, T, S, hidden)
        scores = self.score(torch.tanh(together)).squeeze(-1).float()
        allowed = readable(
            mask or AttentionMask(),
            (query_layout.documents[:, :, None], query_layout.positions[:, :, None]),
            (key_layout.documents[:, None], key_layout.positions[:, None]),
        )
        weights = masked_softmax(scores, allowed)
        return Attended(weights.to(key.dtype) @ key, weights)
