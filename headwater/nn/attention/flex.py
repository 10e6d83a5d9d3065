"""FlexAttention: the rule compiled into a kernel that skips empty blocks. GPU only.

On CPU it has no backward pass (torch 2.13), and uncompiled it writes out all scores.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from headwater.nn.attention.inputs import AttentionInputs, readable
from headwater.nn.shared_layout import derive

VERSIONS = 64
"""Kernels kept: one for each kind of mask, bias, head grouping and precision."""
SHORTEST = 1024
"""Tokens below which building the block table costs more than it saves."""


def refuse_flex(inputs: AttentionInputs) -> str | None:
    """Why a compiled kernel cannot run, or None."""
    if inputs.query.device.type != "cuda":
        return "it has no backward pass on CPU"
    if inputs.dropout:
        return "it knows no dropout"
    if isinstance(inputs.bias, nn.Module) and torch.is_grad_enabled():
        return "the position bias has parameters to learn"
    return None


def flex_pays(inputs: AttentionInputs) -> bool:
    """True when rows are long enough for whole blocks of keys to be skipped."""
    return inputs.key.shape[1] >= SHORTEST


def run_flex(inputs: AttentionInputs) -> Tensor:
    """Attention under the rule of the mask and layouts: (B, T, H, D)."""
    query, key, value = (tensor.transpose(1, 2) for tensor in (inputs.query, inputs.key, inputs.value))
    block_mask = derive(
        inputs.query_layout,
        ("block mask", inputs.mask),
        lambda: _block_mask(inputs),
        partner=inputs.key_layout,
    )
    values = _compiled()(
        query,
        key,
        value,
        score_mod=None if inputs.bias is None else _score_rule(inputs),
        block_mask=block_mask,
        scale=inputs.scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return values.transpose(1, 2)


@cache
def _compiled() -> Any:
    from torch._dynamo import config  # pyright: ignore[reportPrivateImportUsage]
    from torch.nn.attention.flex_attention import flex_attention

    # Past its limit of 8 versions of a function the compiler gives up and writes all scores out, without a word.
    return config.patch(recompile_limit=VERSIONS)(torch.compile(flex_attention))


def _block_mask(inputs: AttentionInputs) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    mask, query, key = inputs.mask, inputs.query_layout, inputs.key_layout

    def rule(batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        del head
        return readable(
            mask,
            (query.documents[batch, row], query.positions[batch, row]),
            (key.documents[batch, column], key.positions[batch, column]),
        )

    batch, tokens = query.documents.shape
    return create_block_mask(rule, batch, None, tokens, key.documents.shape[1], device=inputs.query.device)


def _score_rule(inputs: AttentionInputs) -> Any:
    bias, query, key = inputs.bias, inputs.query_layout.positions, inputs.key_layout.positions
    assert bias is not None

    def rule(score: Tensor, batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return score + bias(head, query[batch, row], key[batch, column])

    return rule
