"""PyTorch's fused attention without any mask tensor: time T·S, memory linear in length."""

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.nn.attention.inputs import AttentionInputs


def refuse_fused(inputs: AttentionInputs) -> str | None:
    """Why the kernel cannot run without a mask tensor, or None."""
    if not (inputs.query_layout.uniform and inputs.key_layout.uniform):
        return "rows hold padding or several documents"
    if inputs.bias is not None:
        return "there is a position bias"
    mask, same = inputs.mask, inputs.within_one_layout and inputs.query_layout.contiguous
    if mask.window is not None and not (same and mask.window >= inputs.query.shape[1]):
        return "the window hides keys"
    # SDPA aligns is_causal top-left: right only where query row i and key row i are the same token.
    if mask.causal and not same:
        return "queries and keys of a causal mask are not known to stand at the same positions"
    return None


def run_fused(inputs: AttentionInputs) -> Tensor:
    """Attention where every query reads its whole row, or its whole past: (B, T, H, D)."""
    return scaled_dot_product(inputs, causal=inputs.mask.causal)


def scaled_dot_product(
    inputs: AttentionInputs, *, additive_mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """SDPA on (B, T, H, D) tensors; heads move in front of time only inside this function."""
    query, key, value = (tensor.transpose(1, 2) for tensor in (inputs.query, inputs.key, inputs.value))
    # Autocast would round what a cache holds in fp32; what comes from matrices is in their precision anyway.
    with unrounded(query):
        values = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=additive_mask,
            dropout_p=inputs.dropout,
            is_causal=causal,
            scale=inputs.scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    return values.transpose(1, 2)


def unrounded(tensor: Tensor) -> AbstractContextManager[object]:
    """Products in the precision of their factors, whatever autocast is set to on the tensor's device."""
    kind = tensor.device.type
    rounds = kind != "meta" and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if rounds else nullcontext()
