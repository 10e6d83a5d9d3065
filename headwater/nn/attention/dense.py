"""PyTorch's fused attention with a mask tensor of (B, 1, T, S): covers every rule, memory T·S."""

import torch
from torch import Tensor

from headwater.nn.attention.fused import scaled_dot_product
from headwater.nn.attention.inputs import AttentionInputs
from headwater.nn.shared_layout import derive


def refuse_dense(inputs: AttentionInputs) -> str | None:
    """A mask tensor can say everything."""
    del inputs
    return None


def run_dense(inputs: AttentionInputs) -> Tensor:
    """Attention under a mask that is written out: (B, T, H, D); zeros where a query reads nothing."""
    if (bias := inputs.dense_bias()) is not None:
        mask = bias.to(inputs.query.dtype).masked_fill(~inputs.dense_mask(), float("-inf"))
    else:
        mask = _additive_mask(inputs)
    return scaled_dot_product(inputs, additive_mask=mask)


def _additive_mask(inputs: AttentionInputs) -> Tensor:  # (B, 1, T, S)
    # SDPA turns a boolean mask into this one itself, but once per layer, and keeps each copy for the backward
    # pass.
    dtype = inputs.query.dtype
    return derive(
        inputs.query_layout,
        ("additive mask", inputs.mask, dtype),
        lambda: additive(inputs.dense_mask(), dtype),
        partner=inputs.key_layout,
    )


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Zero where allowed, minus infinity elsewhere."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(
        ~allowed, float("-inf")
    )
