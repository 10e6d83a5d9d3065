"""Attention as two batched matrix products that hold all weights: for short rows in bf16 on a CPU.

Torch's fused kernel computes bf16 on a CPU at a tenth of the rate of its matrix products (docs/log.md, 2026-11-29).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.nn.attention.dense import additive
from headwater.nn.attention.fused import refuse_fused
from headwater.nn.attention.inputs import AttentionInputs
from headwater.nn.shared_layout import derive

LONGEST = 512
"""Keys of a row up to which products are faster than the fused kernel, causal or not, forward and backward."""


def refuse_products(inputs: AttentionInputs) -> str | None:
    """Two products can say everything."""
    del inputs
    return None


def products_pay(inputs: AttentionInputs) -> bool:
    """True for short rows in bf16 on a CPU; one query alone is left to the fused kernel."""
    query = inputs.query
    quick = query.dtype is torch.bfloat16 and query.device.type == "cpu"
    return quick and query.shape[1] > 1 and inputs.key.shape[1] <= LONGEST


def run_products(inputs: AttentionInputs) -> Tensor:
    """softmax(Q Kᵀ · scale + bias) V in the numbers' own precision: (B, T, H, D); zeros where a query reads nothing."""
    query, key, value = (
        tensor.transpose(1, 2) for tensor in (inputs.query * inputs.score_scale, inputs.key, inputs.value)
    )
    if (group := query.shape[1] // key.shape[1]) > 1:
        key, value = (tensor.repeat_interleave(group, dim=1) for tensor in (key, value))
    added, reads = _added(inputs)
    weights = _scores(query, key, added).softmax(-1)
    dropped = F.dropout(weights, inputs.dropout) if inputs.dropout else weights
    read = (dropped @ value).transpose(1, 2)
    return read if reads is None else read * reads


def _scores(query: Tensor, key: Tensor, added: Tensor | None) -> Tensor:  # (B, H, T, S)
    """Q Kᵀ + ``added``, less about the largest of each row, which softmax does not see.

    Scores far from zero are rounded to bf16 by more than their differences. So they are computed twice: once to know
    the largest, then with it subtracted inside the product, which sums in single precision and rounds at its end. What
    counts is then near zero, and as exact as in the fused kernel, for a twentieth of this kernel's time.
    """
    with torch.no_grad():
        scores = query @ key.mT
        top = (scores if added is None else scores + added).amax(-1, keepdim=True)
    offset = (-top if added is None else added - top).expand(scores.shape)
    shifted = torch.baddbmm(offset.flatten(0, 1), query.flatten(0, 1), key.flatten(0, 1).mT)
    return shifted.view(scores.shape)


def _added(inputs: AttentionInputs) -> tuple[Tensor | None, Tensor | None]:
    """What is added to the scores, (B, 1 or H, T, S), and one for each query that reads something, (B, T, 1, 1)."""
    dtype, bias = inputs.query.dtype, inputs.dense_bias()
    if not inputs.mask.causal and refuse_fused(inputs) is None:
        return None, None
    mask, reads = derive(
        inputs.query_layout,
        ("mask of readers", inputs.mask, dtype),
        lambda: _mask_of_readers(inputs.dense_mask(), dtype),
        partner=inputs.key_layout,
    )
    return mask if bias is None else mask + bias.to(dtype), reads


def _mask_of_readers(allowed: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    # A query that may read nothing reads everything instead and is then multiplied by zero: no NaN ever exists.
    reads = allowed.any(-1, keepdim=True)
    return additive(allowed | ~reads, dtype), reads.transpose(1, 2).to(dtype)
