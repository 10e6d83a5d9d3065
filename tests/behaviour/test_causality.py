"""What a token can and cannot know, seen from its gradients and from moved tokens."""

import pytest
import torch
from torch import Tensor, nn

from headwater.nn.attention import (
    Attend,
    AttentionInputs,
    AttentionMask,
    MultiHeadAttention,
    attention,
)
from headwater.nn.positions import LinearBias, Rotary
from headwater.sequence import SequenceLayout

WIDTH, HEADS, LENGTH = 16, 4, 8


def influence(layer: nn.Module, layout: SequenceLayout) -> Tensor:
    """True at [t, s] when the output of token t of the first row changes with the input of token s."""
    states = torch.randn(*layout.documents.shape, WIDTH, requires_grad=True)
    output = layer(states, layout)
    rows = [
        torch.autograd.grad(output[0, token].sum(), states, retain_graph=True)[0][0]
        for token in range(LENGTH)
    ]
    return torch.stack(rows).abs().sum(-1) > 0


def make_layer(mask: AttentionMask, kernel: str | None = None) -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(WIDTH, HEADS, mask=mask, rotary=Rotary(WIDTH // HEADS), attend=Attend(kernel))


@pytest.mark.parametrize("kernel", ["fused", "products", "dense", "reference"])
def test_a_future_token_never_changes_the_past(kernel: str):
    found = influence(make_layer(AttentionMask(causal=True), kernel), SequenceLayout.dense(2, LENGTH))
    assert torch.equal(found, torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril())


@pytest.mark.parametrize("kernel", ["windowed", "products", "dense", "reference"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_window_counts_the_token_itself(kernel: str, causal: bool):
    found = influence(make_layer(AttentionMask(causal, window=3), kernel), SequenceLayout.dense(1, LENGTH))
    assert found.sum(-1).tolist() == ([1, 2, 3, 3, 3, 3, 3, 3] if causal else [3, 4, 5, 5, 5, 5, 4, 3])


@pytest.mark.parametrize("kernel", ["windowed", "products", "dense", "reference"])
def test_documents_of_a_packed_row_never_read_each_other_and_nobody_reads_padding(kernel: str):
    layout = SequenceLayout.packed([[3, 4]], LENGTH)
    found = influence(make_layer(AttentionMask(window=LENGTH), kernel), layout)
    expected = torch.block_diag(torch.ones(3, 3), torch.ones(4, 4), torch.zeros(1, 1)).bool()
    assert torch.equal(found, expected)


class TimeFolded(MultiHeadAttention):
    """The common mistake: (B, T, C) folded straight into heads, which cuts time instead of features."""

    def forward(self, hidden_states: Tensor, layout: SequenceLayout) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        batch, length, _ = hidden_states.shape
        query, key, value = (
            part.contiguous().view(batch, HEADS, length, -1).transpose(1, 2)
            for part in self.qkv(hidden_states).chunk(3, dim=-1)
        )
        read = attention(AttentionInputs(query, key, value, self.mask, layout, layout))
        return self.out(read.transpose(1, 2).contiguous().view(batch, length, -1))


def test_folding_time_into_heads_is_seen():
    found = influence(
        TimeFolded(WIDTH, HEADS, mask=AttentionMask(causal=True)), SequenceLayout.dense(1, LENGTH)
    )
    assert not found[-1, 0]  # the last token no longer reads the first: each head was given a stretch of time
    assert not torch.equal(found, torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril())


class Remembers(Attend):
    """What each head read, kept beside."""

    def forward(self, inputs: AttentionInputs) -> Tensor:
        self.values = super().forward(inputs)
        return self.values


@torch.no_grad()
def test_every_head_reads_its_own_features_only():
    layer, states = make_layer(AttentionMask()), torch.randn(1, LENGTH, WIDTH)
    layer.attend = remembers = Remembers()
    layer(states, SequenceLayout.dense(1, LENGTH))
    before = remembers.values
    layer.qkv.weight[4:8] = 0.0  # the queries of the second head
    layer(states, SequenceLayout.dense(1, LENGTH))
    changed = (before - remembers.values).abs().amax((0, 1, 3)) > 1e-6
    assert changed.tolist() == [False, True, False, False]


@pytest.mark.parametrize("bias", [None, LinearBias(HEADS)], ids=["none", "linear"])
def test_only_position_makes_order_matter(bias: LinearBias | None):
    torch.manual_seed(0)
    layer = MultiHeadAttention(WIDTH, HEADS, mask=AttentionMask(), bias=bias)
    states, order, layout = (
        torch.randn(2, LENGTH, WIDTH),
        torch.randperm(LENGTH),
        SequenceLayout.dense(2, LENGTH),
    )
    moved = layer(states[:, order], layout)
    same = torch.allclose(moved, layer(states, layout)[:, order], atol=1e-6)
    assert same is (bias is None)


def test_rotary_scores_depend_on_distance_alone():
    layer = make_layer(AttentionMask(causal=True))
    states = torch.randn(1, LENGTH, WIDTH)
    here, there = (layer(states, SequenceLayout.dense(1, LENGTH, start=start)) for start in (0, 1000))
    torch.testing.assert_close(here, there, atol=1e-5, rtol=1e-4)
