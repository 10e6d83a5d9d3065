"""Linear attention: sums over keys against the equation written out, and against the paper's own recurrence."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from headwater.errors import UsageError
from headwater.nn.attention import (
    AttentionInputs,
    AttentionMask,
    KeyValueCache,
    LinearAttend,
    MultiHeadAttention,
    linear_attention,
    linear_attention_with_weights,
)
from headwater.nn.attention.linear import CHUNK
from headwater.nn.positions import LinearBias, Rotary
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout
from tests.numerics.random_inputs import random_inputs

LENGTH = 2 * CHUNK + 9
HEADS, HEAD_DIM = 4, 6
MASKS = {"all": AttentionMask(), "past": AttentionMask(causal=True)}


def layout_pairs() -> dict[str, tuple[SequenceLayout, SequenceLayout]]:
    """Who queries whom: (query layout, key layout), the same object in self-attention."""
    torch.manual_seed(1)
    dense = SequenceLayout.dense(2, LENGTH)
    padded = SequenceLayout.padded(torch.tensor([LENGTH, 70]), LENGTH)
    packed = SequenceLayout.packed([[CHUNK + 3, 20, 2], [1, LENGTH - 1]], LENGTH)
    shuffled = torch.stack([torch.randperm(500)[:LENGTH] for _ in range(2)])
    kept = SequenceLayout(torch.zeros_like(shuffled), shuffled, uniform=True)
    shared = share(packed)
    empty = SequenceLayout.padded(torch.tensor([0, 7]), LENGTH)
    short = SequenceLayout.packed([[5], [9]], 9)
    return {
        "dense": (dense, dense),
        "padded": (padded, padded),
        "empty row": (empty, empty),
        "packed": (packed, packed),
        "kept patches": (kept, kept),
        "shared": (shared, shared),
        "one document": (short, short),
        "last chunk": (SequenceLayout.dense(2, 3, start=LENGTH - 3), dense),
        "cross": (SequenceLayout.dense(2, 5), padded),
        "cross, packed": (packed, packed.to("cpu")),
    }


def make_inputs(layouts: str, mask: str, key_value_heads: int = HEADS) -> AttentionInputs:
    return random_inputs(
        layout_pairs()[layouts],
        MASKS[mask],
        heads=HEADS,
        key_value_heads=key_value_heads,
        head_dim=HEAD_DIM,
    )


def values_and_gradients(inputs: AttentionInputs, values: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, values.numel()).reshape(values.shape)
    return [
        values,
        *torch.autograd.grad((values * weights).sum(), [inputs.query, inputs.key, inputs.value]),
    ]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("layouts", layout_pairs())
def test_sums_equal_the_written_out_equation_forward_and_backward(layouts: str, mask: str) -> None:
    for heads in (HEADS, 2, 1):
        inputs = make_inputs(layouts, mask, heads)
        found = values_and_gradients(inputs, linear_attention(inputs))
        expected = values_and_gradients(inputs, linear_attention_with_weights(inputs).values)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_equation_is_the_recurrence_of_the_paper() -> None:
    """Equations 16 to 20: s and z gather φ(k) vᵀ and φ(k); what is read is φ(q)ᵀ s / φ(q)ᵀ z."""
    inputs = make_inputs("dense", "past")
    query, key = F.elu(inputs.query) + 1, F.elu(inputs.key) + 1
    s, z, read = torch.zeros(2, HEADS, HEAD_DIM, HEAD_DIM), torch.zeros(2, HEADS, HEAD_DIM), []
    for step in range(LENGTH):
        s = s + key[:, step, :, :, None] * inputs.value[:, step, :, None]
        z = z + key[:, step]
        weight = (query[:, step] * z).sum(-1, keepdim=True)
        read.append((query[:, step, :, :, None] * s).sum(-2) / weight)
    torch.testing.assert_close(linear_attention(inputs), torch.stack(read, 1), atol=1e-5, rtol=1e-4)


def test_weights_are_shares_of_what_may_be_read() -> None:
    inputs = make_inputs("padded", "past")
    weights = linear_attention_with_weights(inputs).weights
    assert not weights.masked_select(~inputs.dense_mask().expand_as(weights)).any()
    torch.testing.assert_close(
        weights.sum(-1), inputs.query_layout.real[:, None].expand(2, HEADS, -1).float()
    )


@pytest.mark.parametrize("mask", MASKS)
def test_twice_the_length_is_twice_the_work_and_twice_the_memory(mask: str) -> None:
    """Counted, not timed: operations, and bytes that are kept for the backward pass."""
    found: list[tuple[int, int]] = []
    for length in (16 * CHUNK, 32 * CHUNK):
        layout = SequenceLayout.dense(1, length)
        query, key, value = (torch.randn(1, length, 2, 8, requires_grad=True) for _ in range(3))
        inputs = AttentionInputs(query, key, value, MASKS[mask], layout, layout)
        kept: dict[int, int] = {}

        def keep(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with (
            FlopCounterMode(display=False) as counter,
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        ):
            linear_attention(inputs)
        found.append((counter.get_total_flops(), sum(kept.values())))
    (work, memory), (more_work, more_memory) = found
    assert more_work == 2 * work
    assert more_memory == pytest.approx(2 * memory, rel=0.02)


def test_what_a_cache_holds_is_read_as_the_whole_row_is() -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(
        24, HEADS, mask=AttentionMask(causal=True), rotary=Rotary(HEAD_DIM), attend=LinearAttend()
    ).eval()
    states, lengths = torch.randn(2, 12, 24), (7, 1, 4)
    whole = layer(states, SequenceLayout.dense(2, 12))
    cache, start = KeyValueCache(2, 12, HEADS, HEAD_DIM), 0
    with torch.no_grad():
        for length in lengths:
            part = layer(
                states[:, start : start + length], SequenceLayout.dense(2, length, start=start), cache=cache
            )
            torch.testing.assert_close(part, whole[:, start : start + length], atol=1e-5, rtol=1e-4)
            start += length


def test_sums_are_made_in_single_precision_under_autocast() -> None:
    inputs = make_inputs("padded", "past")
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_attention(inputs)
    assert torch.equal(found, linear_attention(inputs))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"mask": AttentionMask(window=3)}, "window"),
        ({"bias": LinearBias(HEADS)}, "position bias"),
        ({"scale": 1.0}, "scale of scores"),
        ({"dropout": 0.1}, "dropout of weights"),
    ],
)
def test_what_acts_on_single_pairs_is_refused(more: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=f"knows no {named}"):
        linear_attention(replace(make_inputs("dense", "all"), **more))  # pyright: ignore[reportArgumentType]
