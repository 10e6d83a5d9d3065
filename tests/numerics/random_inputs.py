"""Attention on random numbers, for any layouts and masks."""

from typing import Any

import torch
from torch import Tensor

from headwater.nn.attention import AttentionInputs, AttentionMask
from headwater.sequence import SequenceLayout


def random_inputs(
    layouts: tuple[SequenceLayout, SequenceLayout],
    mask: AttentionMask,
    *,
    heads: int,
    key_value_heads: int,
    head_dim: int,
    **more: Any,
) -> AttentionInputs:
    """Queries of the first layout, keys and values of the second; ``more`` goes to AttentionInputs."""
    torch.manual_seed(0)
    query_layout, key_layout = layouts

    def vectors(layout: SequenceLayout, count: int) -> Tensor:
        return torch.randn(*layout.documents.shape, count, head_dim, requires_grad=True)

    return AttentionInputs(
        vectors(query_layout, heads),
        vectors(key_layout, key_value_heads),
        vectors(key_layout, key_value_heads),
        mask,
        query_layout,
        key_layout,
        **more,
    )
