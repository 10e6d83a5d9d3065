"""Positions against their formulas and against the implementations of transformers."""

import math

import pytest
import torch

from headwater.errors import SettingsError
from headwater.nn.positions import (
    LearnedPositions,
    LinearBias,
    RelativeBuckets,
    Rotary,
    SinusoidalPositions,
    sinusoids,
)
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout


def test_sinusoids_follow_the_formula_of_the_paper():
    table = sinusoids(torch.tensor([0, 3, 250]), 8)
    for row, position in enumerate((0, 3, 250)):
        for i in range(4):
            angle = position / 10_000 ** (2 * i / 8)
            assert abs(float(table[row, 2 * i]) - math.sin(angle)) < 1e-5
            assert abs(float(table[row, 2 * i + 1]) - math.cos(angle)) < 1e-5


def test_sinusoidal_and_learned_positions_follow_the_layout_not_the_row():
    layout = SequenceLayout.packed([[2, 3]], 6)
    for module in (SinusoidalPositions(4), LearnedPositions(8, 4)):
        vectors = module(layout)
        assert vectors.shape == (1, 6, 4)
        assert torch.equal(vectors[0, :2], vectors[0, 2:4])


def test_learned_positions_may_begin_at_a_later_row():
    positions = LearnedPositions(8, 4, start=2)
    assert positions.table.weight.shape == (10, 4)
    assert torch.equal(positions(SequenceLayout.dense(1, 8))[0], positions.table.weight[2:])
    with pytest.raises(SettingsError, match="longer than the 8 learnt positions"):
        positions(SequenceLayout.dense(1, 9))


def test_a_row_longer_than_the_learned_positions_is_refused():
    with pytest.raises(SettingsError, match="a row of 9 tokens is longer than the 8 learnt positions"):
        LearnedPositions(8, 4)(SequenceLayout.dense(1, 9))


@pytest.mark.parametrize("theta", [10_000.0, 160_000.0])
def test_rotary_turns_as_llama_does(theta: float):
    from transformers.models.llama.configuration_llama import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(
        hidden_size=32, num_attention_heads=2, rope_parameters={"rope_type": "default", "rope_theta": theta}
    )
    query, key = torch.randn(2, 7, 2, 16), torch.randn(2, 7, 2, 16)
    layout = SequenceLayout.packed([[4, 3], [7]], 7)
    cos, sin = LlamaRotaryEmbedding(config)(query, layout.positions)
    expected = apply_rotary_pos_emb(query.transpose(1, 2), key.transpose(1, 2), cos, sin)
    rotary = Rotary(16, theta)
    for vectors, turned in zip((query, key), expected, strict=True):
        torch.testing.assert_close(rotary(vectors, layout), turned.transpose(1, 2), atol=1e-6, rtol=1e-6)


def test_rotary_keeps_lengths_and_computes_its_angles_once_per_shared_layout():
    layout, rotary, vectors = share(SequenceLayout.dense(2, 5)), Rotary(8), torch.randn(2, 5, 3, 8)
    torch.testing.assert_close(rotary(vectors, layout).norm(dim=-1), vectors.norm(dim=-1))
    assert rotary.angles(layout, torch.float32)[0] is Rotary(8).angles(layout, torch.float32)[0]
    assert Rotary(8, 5.0).angles(layout, torch.float32)[0] is not rotary.angles(layout, torch.float32)[0]


def test_rotary_angles_are_exact_at_far_positions_in_half_precision():
    layout = SequenceLayout.dense(1, 1, start=30_001)
    cos, _ = Rotary(4, 1.0).angles(layout, torch.bfloat16)
    assert abs(float(cos[0, 0, 0, 0]) - math.cos(30_001)) < 0.01


@pytest.mark.parametrize("both_sides", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (16, 1000)])
def test_buckets_equal_those_of_t5(both_sides: bool, num_buckets: int, max_distance: int):
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-1500, 1501)
    ours = RelativeBuckets(1, num_buckets=num_buckets, max_distance=max_distance, both_sides=both_sides)
    theirs = T5Attention._relative_position_bucket(distance, both_sides, num_buckets, max_distance)
    assert torch.equal(ours.bucket(distance), theirs)


def test_every_head_has_its_own_number_for_a_bucket():
    bias = RelativeBuckets(3)
    with torch.no_grad():
        bias.table.copy_(torch.arange(96.0).reshape(32, 3))
    head = torch.arange(3)[:, None, None]
    found = bias(head, torch.tensor([[4]]), torch.tensor([[4, 3]]))
    assert found.squeeze(1).tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_too_few_buckets_are_refused():
    with pytest.raises(SettingsError, match="give at least 4 buckets"):
        RelativeBuckets(2, num_buckets=2)


@pytest.mark.parametrize("num_heads", [1, 2, 3, 6, 8, 12, 16, 20])
def test_linear_slopes_equal_those_of_bloom(num_heads: int):
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 2), num_heads, torch.float32)[:, 0, 1]  # the price of one token
    torch.testing.assert_close(LinearBias(num_heads).slope(torch.arange(num_heads)), theirs)


def test_a_linear_bias_charges_every_token_of_distance_to_both_sides():
    bias = LinearBias(2)(torch.tensor(0), torch.tensor([[5]]), torch.tensor([[2, 5, 9]]))
    torch.testing.assert_close(bias, torch.tensor([[-3.0, 0.0, -4.0]]) / 16)
