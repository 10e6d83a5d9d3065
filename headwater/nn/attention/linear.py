"""Linear attention: the weight of a key is a product of features, so that sums over keys are made once for all queries.

Shape letters: B batch, T queries, S keys, H heads, D head dim, E values and a one, N chunks, W tokens of a chunk.
"""

import torch.nn.functional as F
from torch import Tensor

from headwater.errors import UsageError
from headwater.nn.attention.fused import unrounded
from headwater.nn.attention.inputs import Attended, AttentionInputs
from headwater.nn.documents import DocumentsApart, holds_one_document_a_row
from headwater.nn.shared_layout import derive
from headwater.sequence import SequenceLayout

CHUNK = 64
"""Tokens of a row that a causal mask compares one by one; what lies before them is a sum."""


def linear_attention(inputs: AttentionInputs) -> Tensor:
    """What every query reads: (B, T, H, D), zeros where it may read nothing.

    values_i = φ(q_i)ᵀ Σ_j φ(k_j) v_jᵀ / φ(q_i)ᵀ Σ_j φ(k_j) over the keys j that query i reads; φ(x) = elu(x) + 1. Time
    and memory are linear in length where queries and keys are the same tokens, and where every query reads all keys of
    its row; a few queries over what a cache holds are compared with it one by one. Rows that hold several documents are
    taken apart into rows of one, as long as the longest.

    Source: Katharopoulos et al. 2020, sections 3.2 and 3.3, arXiv:2006.16236.
    """
    _refuse(inputs)
    with unrounded(inputs.query):
        if inputs.within_one_layout:
            return _of_documents(inputs)
        if inputs.mask.causal or not (_one_a_row(inputs.query_layout) and _one_a_row(inputs.key_layout)):
            return linear_attention_with_weights(inputs).values
        return _of_rows(inputs, inputs.query_layout, inputs.key_layout)


def linear_attention_with_weights(inputs: AttentionInputs) -> Attended:
    """The same by the equation written out, with the weights φ(q_i)ᵀ φ(k_j) / Σ_j φ(q_i)ᵀ φ(k_j): memory T · S."""
    _refuse(inputs)
    query, key, value = _features(inputs)
    products = (query @ key.mT).masked_fill(~inputs.dense_mask(), 0.0)  # (B, H, T, S)
    weights = _divided(products, products.sum(-1, keepdim=True))
    return Attended(_given_back(weights @ value[..., :-1], inputs), weights)


def _of_documents(inputs: AttentionInputs) -> Tensor:
    """Each document of a layout for itself."""
    layout = inputs.query_layout
    ordered = layout.contiguous or not inputs.mask.causal
    if ordered and _one_a_row(layout):
        return _of_rows(inputs, layout, layout)
    apart = derive(layout, "documents apart", lambda: DocumentsApart.of(layout))
    taken = (
        apart.take(tensor.flatten(2)).unflatten(2, tensor.shape[2:])
        for tensor in (inputs.query, inputs.key, inputs.value)
    )
    rows = AttentionInputs(*taken, mask=inputs.mask, query_layout=apart.layout, key_layout=apart.layout)
    read = _of_rows(rows, apart.layout, apart.layout)
    return apart.put_back(read.flatten(2), layout).unflatten(2, read.shape[2:])


def _of_rows(inputs: AttentionInputs, query_layout: SequenceLayout, key_layout: SequenceLayout) -> Tensor:
    """Rows of one document each, in the order of positions where the mask is causal."""
    query, key, value = _features(inputs)
    if not key_layout.uniform:
        key = key * key_layout.real[:, None, :, None]
    read = _from_the_past(query, key, value) if inputs.mask.causal else query @ (key.mT @ value)
    values = _divided(read[..., :-1], read[..., -1:])
    if not query_layout.uniform:
        values = values * query_layout.real[:, None, :, None]
    return _given_back(values, inputs)


def _from_the_past(query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # (B, H, T, E)
    """Every query reads the keys up to its own: those of its chunk one by one, those before as one sum."""
    length = query.shape[2]
    query, key, value = (
        F.pad(tensor, (0, 0, 0, -length % CHUNK)).unflatten(2, (-1, CHUNK)) for tensor in (query, key, value)
    )  # (B, H, N, W, ·)
    sums = (key.mT @ value).cumsum(2)  # (B, H, N, D, E)
    before = F.pad(sums[:, :, :-1], (0, 0, 0, 0, 1, 0))
    read = query @ before + (query @ key.mT).tril() @ value
    return read.flatten(2, 3)[:, :, :length]


def _features(inputs: AttentionInputs) -> tuple[Tensor, Tensor, Tensor]:
    """φ of queries and keys, and values with a one behind them: (B, H, ·, D or E), in single precision."""
    # Sums over thousands of keys lose their last bits in half precision.
    query, key, value = (
        tensor.float().transpose(1, 2) for tensor in (inputs.query, inputs.key, inputs.value)
    )
    if (group := query.shape[1] // key.shape[1]) > 1:
        key, value = (tensor.repeat_interleave(group, dim=1) for tensor in (key, value))
    return F.elu(query) + 1, F.elu(key) + 1, F.pad(value, (0, 1), value=1.0)


def _divided(total: Tensor, weight: Tensor) -> Tensor:
    """``total`` / ``weight``; a query that reads nothing has sums of zero, and no NaN ever exists."""
    return total / weight.where(weight > 0, 1.0)


def _given_back(values: Tensor, inputs: AttentionInputs) -> Tensor:
    return values.to(inputs.value.dtype).transpose(1, 2)


def _one_a_row(layout: SequenceLayout) -> bool:
    return derive(layout, "one document a row", lambda: holds_one_document_a_row(layout))


def _refuse(inputs: AttentionInputs) -> None:
    strange = {
        "a window": inputs.mask.window is not None,
        "a position bias": inputs.bias is not None,
        "a scale of scores": inputs.scale is not None,
        "dropout of weights": bool(inputs.dropout),
    }
    if found := [name for name, present in strange.items() if present]:
        raise UsageError(
            f"linear attention sums over keys without weighing each: it knows no {found[0].removeprefix('a ')}; leave "
            "it out, or attend by softmax"
        )
