from typing import Any

import pytest
import torch

from headwater.errors import UsageError
from headwater.nn.attention import AttentionInputs, AttentionMask, attention_with_weights
from headwater.nn.positions import LinearBias
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout


def make(
    layout: SequenceLayout, heads: int = 2, key_value_heads: int = 2, **settings: Any
) -> AttentionInputs:
    torch.manual_seed(0)
    batch, length = layout.documents.shape
    query, key, value = (
        torch.randn(batch, length, count, 4) for count in (heads, key_value_heads, key_value_heads)
    )
    return AttentionInputs(query, key, value, AttentionMask(causal=True), layout, layout, **settings)


def test_a_query_reads_a_key_of_its_own_document_that_the_mask_allows():
    mask = make(SequenceLayout.packed([[2, 1]], 4)).dense_mask()[0, 0]
    assert mask.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_padding_is_not_a_document_that_tokens_share():
    assert not make(SequenceLayout.padded(torch.tensor([0]), 3)).dense_mask().any()


def test_layers_that_share_a_layout_share_its_mask():
    layout = share(SequenceLayout.dense(1, 3))
    assert make(layout).dense_mask() is make(layout).dense_mask()


def test_a_bias_that_is_the_same_for_all_rows_is_computed_once():
    bias = make(SequenceLayout.padded(torch.tensor([3, 2, 1]), 3), bias=LinearBias(2)).dense_bias()
    assert bias is not None
    assert bias.shape == (1, 2, 3, 3)


def test_weights_sum_to_one_or_to_zero_where_there_is_nothing_to_read():
    weights = attention_with_weights(make(SequenceLayout.padded(torch.tensor([2]), 3))).weights
    torch.testing.assert_close(weights.sum(-1)[0, 0], torch.tensor([1.0, 1.0, 0.0]))


def test_the_scale_is_one_over_the_root_of_the_head_width_unless_given():
    assert make(SequenceLayout.dense(1, 2)).score_scale == 0.5
    assert make(SequenceLayout.dense(1, 2), scale=2.0).score_scale == 2.0


def test_a_layout_of_another_shape_is_refused():
    with pytest.raises(UsageError, match=r"query has shape \(1, 3, 2, 4\), its layout \(1, 5\)"):
        query = torch.randn(1, 3, 2, 4)
        layout = SequenceLayout.dense(1, 5)
        AttentionInputs(query, query, query, AttentionMask(), layout, layout)


def test_query_heads_that_cannot_be_shared_evenly_are_refused():
    with pytest.raises(UsageError, match="3 query heads cannot share 2 key-value heads"):
        make(SequenceLayout.dense(1, 3), heads=3, key_value_heads=2)
