from functools import partial

import torch
from torch import Tensor

from headwater.nn.attention import KERNELS, AttentionInputs, AttentionMask, products
from headwater.nn.attention.windowed import Blocks
from headwater.sequence import SequenceLayout


def chosen(
    mask: AttentionMask,
    layout: SequenceLayout,
    key_layout: SequenceLayout | None = None,
    dtype: torch.dtype = torch.float32,
) -> str:
    """The kernel that ``attention`` would run."""

    def vectors(tokens: SequenceLayout) -> Tensor:
        return torch.zeros(*tokens.documents.shape, 1, 2, dtype=dtype)

    keys = key_layout or layout
    inputs = AttentionInputs(vectors(layout), vectors(keys), vectors(keys), mask, layout, keys)
    return next(name for name, one in KERNELS.items() if one.pays(inputs) and one.refusal(inputs) is None)


def test_whole_rows_need_no_mask_tensor():
    layout = SequenceLayout.dense(1, 9)
    for mask in (AttentionMask(), AttentionMask(causal=True), AttentionMask(window=9)):
        assert chosen(mask, layout) == "fused"
    assert chosen(AttentionMask(window=8), layout) == "dense"


def test_padded_and_packed_rows_need_a_mask_tensor():
    assert chosen(AttentionMask(), SequenceLayout.padded(torch.tensor([4]), 9)) == "dense"
    assert chosen(AttentionMask(causal=True), SequenceLayout.packed([[4, 4]], 9)) == "dense"


def test_a_causal_chunk_is_never_aligned_top_left():
    chunk, whole = SequenceLayout.dense(1, 4, start=5), SequenceLayout.dense(1, 9)
    assert chosen(AttentionMask(causal=True), chunk, whole) == "dense"
    assert chosen(AttentionMask(causal=True), chunk, SequenceLayout.dense(1, 4)) == "dense"
    assert chosen(AttentionMask(), chunk, whole) == "fused"


def test_blocks_are_chosen_only_when_a_row_is_twice_as_long_as_what_a_block_sees():
    mask = AttentionMask(window=65)
    span = Blocks.of(mask, 10_000).span
    assert chosen(mask, SequenceLayout.dense(1, 2 * span)) == "dense"
    assert chosen(mask, SequenceLayout.dense(1, 2 * span + 1)) == "windowed"


def test_short_rows_in_bf16_are_multiplied_out():
    half, longest = partial(chosen, dtype=torch.bfloat16), products.LONGEST
    for mask in (AttentionMask(), AttentionMask(causal=True), AttentionMask(window=8)):
        assert half(mask, SequenceLayout.dense(1, 9)) == "products"
    assert half(AttentionMask(), SequenceLayout.padded(torch.tensor([4]), longest)) == "products"
    assert half(AttentionMask(), SequenceLayout.dense(1, longest + 1)) == "fused"
    assert half(AttentionMask(window=65), SequenceLayout.dense(1, longest)) == "windowed"
    assert half(AttentionMask(), SequenceLayout.dense(1, 1, start=8), SequenceLayout.dense(1, 9)) == "fused"


def test_blocks_of_shuffled_tokens_are_refused():
    shuffled = torch.randperm(5000)[None]
    layout = SequenceLayout(torch.zeros_like(shuffled), shuffled, uniform=True)
    assert chosen(AttentionMask(window=5), layout) == "dense"
