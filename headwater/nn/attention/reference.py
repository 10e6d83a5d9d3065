"""The equation, written out. Every other kernel is tested against it.

Shape letters: B batch, T query tokens, S key tokens, H heads, K key-value heads, D head dim.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from headwater.nn.attention.inputs import Attended, AttentionInputs


def attention_with_weights(inputs: AttentionInputs) -> Attended:
    """What every query read, and the weights it read with, by the written-out equation.

    weights = softmax(Q Kᵀ · scale + bias) over the readable keys, values = weights · V. A query with no
    readable key has weights of zero and reads zero. Dropout acts on the values, not on the weights returned.
    Vaswani et al. 2017, section 3.2.1, arXiv:1706.03762; grouped heads: Ainslie et al. 2023,
    arXiv:2305.13245.
    """
    group = inputs.query.shape[2] // inputs.key.shape[2]
    key, value = (tensor.repeat_interleave(group, dim=2) for tensor in (inputs.key, inputs.value))
    scores = torch.einsum("bthd,bshd->bhts", inputs.query, key).float() * inputs.score_scale
    if (bias := inputs.dense_bias()) is not None:
        scores = scores + bias
    weights = masked_softmax(scores, inputs.dense_mask())
    dropped = F.dropout(weights, inputs.dropout) if inputs.dropout else weights
    return Attended(torch.einsum("bhts,bshd->bthd", dropped.to(value.dtype), value), weights)


def masked_softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the last axis where ``allowed``; zero elsewhere, also in a row with nothing allowed."""
    # Softmax of a row of -inf is NaN, forward and backward. Such rows are softened over everything instead,
    # and then zeroed: no NaN ever exists. A large negative number in place of -inf would tie in half
    # precision.
    empty = ~allowed.any(-1, keepdim=True)
    weights = scores.masked_fill(~(allowed | empty), float("-inf")).softmax(-1)
    return weights.masked_fill(~allowed, 0.0)


def refuse_reference(inputs: AttentionInputs) -> str | None:
    """The equation always runs."""
    del inputs
    return None


def run_reference(inputs: AttentionInputs) -> Tensor:
    """The values of the written-out equation: (B, T, H, D)."""
    return attention_with_weights(inputs).values
