"""FlashAttention over documents laid end to end, without padding: GPU, half precision.

The signature of ``torch.nn.attention.varlen.varlen_attn`` grew between torch 2.11 and 2.13: only this file
knows.
"""

import inspect
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from headwater.nn.attention.inputs import AttentionInputs
from headwater.nn.attention.mask import AttentionMask
from headwater.nn.shared_layout import derive
from headwater.sequence import PADDING, SequenceLayout


class Documents(NamedTuple):
    """Where the documents of a batch begin when their tokens are laid end to end."""

    tokens: Tensor  # (real tokens,) row-major numbers of the tokens that are not padding
    starts: Tensor  # (documents + 1,) int32, the last one is the number of real tokens
    longest: int


def refuse_varlen(inputs: AttentionInputs) -> str | None:
    """Why FlashAttention over documents cannot run, or None."""
    if inputs.query.device.type != "cuda":
        return "it needs a GPU"
    if inputs.query.dtype not in (torch.float16, torch.bfloat16):
        return f"it needs half precision, and the queries are {inputs.query.dtype}"
    if inputs.bias is not None or inputs.dropout:
        return "it knows neither position bias nor dropout"
    if not (inputs.within_one_layout and inputs.query_layout.contiguous):
        return "queries and keys are not promised to be the same contiguous documents"
    return _lacking(inputs)


def run_varlen(inputs: AttentionInputs) -> Tensor:
    """Attention inside each document: (B, T, H, D), zero at padding."""
    from torch.nn.attention.varlen import varlen_attn

    layout = inputs.query_layout
    documents = derive(layout, "documents end to end", lambda: lay_end_to_end(layout))
    query, key, value = (
        tensor.flatten(0, 1).index_select(0, documents.tokens)
        for tensor in (inputs.query, inputs.key, inputs.value)
    )
    starts, longest = documents.starts, documents.longest
    read: Any = varlen_attn(query, key, value, starts, starts, longest, longest, **_options(inputs))
    values = torch.zeros_like(inputs.query).flatten(0, 1).index_copy(0, documents.tokens, read)
    return values.unflatten(0, inputs.query.shape[:2])


def lay_end_to_end(layout: SequenceLayout) -> Documents:
    """The documents of a contiguous layout, row after row. Reads tensors, so it waits for the device."""
    numbers = layout.documents
    begins = torch.ones_like(numbers, dtype=torch.bool)
    begins[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
    tokens = (numbers != PADDING).flatten().nonzero().squeeze(1)
    starts = begins.flatten()[tokens].nonzero().squeeze(1)
    starts = torch.cat((starts, starts.new_tensor([len(tokens)]))).int()
    longest = int(starts.diff().max()) if len(starts) > 1 else 0
    return Documents(tokens, starts, longest)


def window_size(mask: AttentionMask) -> tuple[int, int]:
    """The mask in FlashAttention's words: keys to the left and to the right of the query, -1 for all."""
    reach = -1 if mask.window is None else mask.window - 1
    return (reach, 0) if mask.causal else (reach, reach)


@cache
def _known_options() -> frozenset[str]:
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def _lacking(inputs: AttentionInputs) -> str | None:
    """What these inputs need and the installed torch's kernel does not know."""
    known = _known_options()
    wants = {
        "window_size": inputs.mask.window is not None,
        "scale": inputs.scale is not None,
        "enable_gqa": inputs.query.shape[2] != inputs.key.shape[2],
    }
    missing = [name for name, wanted in wants.items() if wanted and name not in known]
    return f"this torch's varlen_attn has no {missing[0]}; torch 2.13 has" if missing else None


def _options(inputs: AttentionInputs) -> dict[str, Any]:
    known = _known_options()
    if "window_size" not in known:
        options: dict[str, Any] = {"is_causal": inputs.mask.causal}
    else:
        options = {"window_size": window_size(inputs.mask)}
    if "scale" in known:
        options["scale"] = inputs.scale
    if "enable_gqa" in known:
        options["enable_gqa"] = inputs.query.shape[2] != inputs.key.shape[2]
    return options
