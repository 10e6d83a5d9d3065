"""Cross-entropy summed over positions, in memory that does not grow with their number.

Shape letters: N positions, C width, V vocabulary.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_LOGITS = 1 << 25
"""Logits held at a time: 128 MiB in fp32."""


def summed_cross_entropy(
    output: Callable[[Tensor], Tensor],
    hidden_states: Tensor,
    targets: Tensor,
    *,
    vocabulary_size: int,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-Σ log softmax(output(h))[target], the logits computed chunk by chunk.

    Above one chunk (``CHUNK_LOGITS`` numbers) each chunk's logits are computed again in the backward pass, so
    that memory is O(chunk · V) for any number of positions. hidden_states (N, C), targets (N,) → scalar.
    """

    def loss_of(rows: Tensor, row_targets: Tensor) -> Tensor:
        logits = output(rows).float()
        return F.cross_entropy(logits, row_targets, reduction="sum", label_smoothing=label_smoothing)

    rows = max(1, CHUNK_LOGITS // vocabulary_size)
    if len(targets) <= rows:
        return loss_of(hidden_states, targets)
    chunks = zip(hidden_states.split(rows), targets.split(rows), strict=True)
    return torch.stack([checkpoint(loss_of, *chunk, use_reentrant=False) for chunk in chunks]).sum()


def cross_entropies(
    output: Callable[[Tensor], Tensor], hidden_states: Tensor, targets: Tensor, vocabulary_size: int
) -> Tensor:
    """-log softmax(output(h))[target] of each position, chunk by chunk: hidden_states (N, C), targets (N,) → (N,)."""
    rows = max(1, CHUNK_LOGITS // vocabulary_size)
    chunks = zip(hidden_states.split(rows), targets.split(rows), strict=True)
    return torch.cat([F.cross_entropy(output(h).float(), t, reduction="none") for h, t in chunks])
