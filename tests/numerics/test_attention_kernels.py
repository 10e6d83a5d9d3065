"""Every kernel against the written-out equation, and the written-out equation against three other methods."""

import itertools
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from headwater.errors import SettingsError
from headwater.nn.attention import (
    KERNELS,
    AttentionInputs,
    AttentionMask,
    KeyValueCache,
    MultiHeadAttention,
    attention,
    attention_with_weights,
)
from headwater.nn.positions import LinearBias, RelativeBuckets, Rotary
from headwater.nn.shared_layout import share
from headwater.sequence import SequenceLayout
from tests.numerics.random_inputs import random_inputs

LENGTH = 11
HEADS = 4
HEAD_DIM = 6
CPU_KERNELS = ("fused", "windowed", "products", "dense")


def layout_pairs() -> dict[str, tuple[SequenceLayout, SequenceLayout]]:
    """Who queries whom: (query layout, key layout), the same object in self-attention."""
    dense = SequenceLayout.dense(2, LENGTH)
    padded = SequenceLayout.padded(torch.tensor([LENGTH, 4]), LENGTH)
    empty_row = SequenceLayout.padded(torch.tensor([0, 7]), LENGTH)
    packed = SequenceLayout.packed([[4, 3, 2], [1, 10]], LENGTH)
    shuffled = torch.stack([torch.randperm(30)[:LENGTH] for _ in range(2)])  # patches that were kept
    kept = SequenceLayout(torch.zeros_like(shuffled), shuffled, uniform=True)
    shared = share(packed)
    chunk = SequenceLayout.dense(2, 3, start=LENGTH - 3)
    single = SequenceLayout.dense(2, 1, start=5)
    return {
        "dense": (dense, dense),
        "padded": (padded, padded),
        "empty row": (empty_row, empty_row),
        "packed": (packed, packed),
        "kept patches": (kept, kept),
        "shared": (shared, shared),
        "last chunk": (chunk, dense),
        "token in the middle": (single, dense),
        "cross": (SequenceLayout.dense(2, 5), padded),
    }


def biases() -> dict[str, LinearBias | RelativeBuckets | None]:
    buckets = RelativeBuckets(HEADS, num_buckets=8, max_distance=10)
    nn.init.normal_(buckets.table)
    return {"no bias": None, "linear": LinearBias(HEADS), "buckets": buckets}


MASKS = {
    "all": AttentionMask(),
    "past": AttentionMask(causal=True),
    "near": AttentionMask(window=3),
    "near past": AttentionMask(causal=True, window=3),
    "window wider than the row": AttentionMask(causal=True, window=50),
}


def make_inputs(
    layouts: str, mask: str, bias: str = "no bias", key_value_heads: int = HEADS, scale: float | None = None
) -> AttentionInputs:
    return random_inputs(
        layout_pairs()[layouts],
        MASKS[mask],
        heads=HEADS,
        key_value_heads=key_value_heads,
        head_dim=HEAD_DIM,
        bias=biases()[bias],
        scale=scale,
    )


def values_and_gradients(inputs: AttentionInputs, kernel: str) -> list[Tensor]:
    values = attention(inputs, kernel=kernel)
    wanted = [inputs.query, inputs.key, inputs.value]
    if isinstance(inputs.bias, nn.Module):
        wanted += list(inputs.bias.parameters())
    weights = torch.linspace(-1, 1, values.numel()).reshape(values.shape)  # the same for every kernel
    return [values, *torch.autograd.grad((values * weights).sum(), wanted)]


def accepted_inputs(kernel: str) -> list[tuple[str, AttentionInputs]]:
    """Every layout, mask, bias and grouping of heads that the kernel does not refuse."""
    cases = itertools.product(layout_pairs(), MASKS, biases(), (HEADS, 2, 1))
    every = [(str(case), make_inputs(*case)) for case in cases]
    return [(case, inputs) for case, inputs in every if KERNELS[kernel].refusal(inputs) is None]


@pytest.mark.parametrize("kernel", CPU_KERNELS)
def test_a_kernel_that_does_not_refuse_equals_the_equation_forward_and_backward(kernel: str):
    accepted = accepted_inputs(kernel)
    assert len(accepted) >= {"fused": 18, "windowed": 135, "products": 400, "dense": 400}[kernel]
    for case, inputs in accepted:
        found, expected = (values_and_gradients(inputs, name) for name in (kernel, "reference"))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5, msg=partial(describe, case))


def describe(case: str, difference: str) -> str:
    return f"{case}: {difference}"


@pytest.mark.parametrize("layouts", layout_pairs())
def test_short_rows_in_bf16_equal_the_equation_within_its_roundings(layouts: str):
    for mask in MASKS:
        exact = make_inputs(layouts, mask, "linear", key_value_heads=2)
        rounded = replace(
            exact, **{name: getattr(exact, name).detach().bfloat16() for name in ("query", "key", "value")}
        )
        exact = replace(exact, **{name: getattr(rounded, name).float() for name in ("query", "key", "value")})
        for inputs in (exact, rounded):
            for tensor in (inputs.query, inputs.key, inputs.value):
                tensor.requires_grad_()
        found = values_and_gradients(rounded, "products")
        for one, other in zip(found, values_and_gradients(exact, "reference"), strict=True):
            assert one.dtype is torch.bfloat16
            assert (one.float() - other).norm() <= 0.02 * other.norm(), (layouts, mask)


def test_large_scores_in_bf16_are_as_exact_as_small_ones():
    torch.manual_seed(0)
    layout = SequenceLayout.dense(2, 64)
    for size in (1.0, 4.0):  # scores of deviation 1 and 16
        query, key = ((size * torch.randn(2, 64, HEADS, 64)).bfloat16() for _ in range(2))
        value = torch.randn(2, 64, HEADS, 64).bfloat16()
        for mask in (AttentionMask(), AttentionMask(causal=True)):
            rough = AttentionInputs(query, key, value, mask, layout, layout)
            exact = replace(rough, query=query.float(), key=key.float(), value=value.float())
            for inputs in (rough, exact):
                for tensor in (inputs.query, inputs.key, inputs.value):
                    tensor.requires_grad_()
            found = values_and_gradients(rough, "products")
            for one, other in zip(found, values_and_gradients(exact, "reference"), strict=True):
                assert (one.float() - other).norm() < 0.008 * other.norm(), (size, mask)


def test_the_chosen_kernel_equals_the_equation_on_every_case():
    for layouts in layout_pairs():
        for mask in MASKS:
            inputs = make_inputs(layouts, mask, scale=0.3)
            expected = attention_with_weights(inputs).values
            torch.testing.assert_close(attention(inputs), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("window", "length"), [(1, 200), (17, 1), (40, 129), (129, 640), (65, 384)])
@pytest.mark.parametrize("causal", [True, False])
def test_windows_across_several_blocks_equal_the_equation(window: int, length: int, causal: bool):
    torch.manual_seed(0)
    layout = SequenceLayout.packed([[length - length // 3, length // 3], [length // 2]], length)
    query, key, value = (torch.randn(2, length, heads, 8, requires_grad=True) for heads in (2, 1, 1))
    mask = AttentionMask(causal, window)
    inputs = AttentionInputs(query, key, value, mask, layout, layout, bias=LinearBias(2))
    found, expected = (values_and_gradients(inputs, name) for name in ("windowed", "reference"))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_the_equation_equals_sums_written_key_by_key():
    inputs = make_inputs("packed", "near past", "linear", key_value_heads=2)
    layout, bias = inputs.query_layout, LinearBias(HEADS)
    query, key, value = (vectors.detach() for vectors in (inputs.query, inputs.key, inputs.value))
    expected = torch.zeros_like(query)
    for row in range(2):
        for head in range(HEADS):
            for token in range(LENGTH):
                total, read = 0.0, torch.zeros(HEAD_DIM)
                for other in range(LENGTH):
                    distance = int(layout.positions[row, token] - layout.positions[row, other])
                    same = layout.documents[row, token] == layout.documents[row, other] != -1
                    if not same or distance not in range(3):
                        continue
                    product = float(query[row, token, head] @ key[row, other, head // 2])
                    price = float(bias.slope(torch.tensor(head))) * distance
                    weight = math.exp(product / math.sqrt(HEAD_DIM) - price)
                    total, read = total + weight, read + weight * value[row, other, head // 2]
                expected[row, token, head] = read / total if total else 0.0
    torch.testing.assert_close(attention_with_weights(inputs).values, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_multi_head_attention_equals_torch_nn(causal: bool):
    torch.manual_seed(0)
    width, length = 24, 7
    ours = MultiHeadAttention(width, HEADS, mask=AttentionMask(causal=causal), linear_bias=True)
    theirs = nn.MultiheadAttention(width, HEADS, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    states = torch.randn(3, length, width)
    lengths = torch.tensor([7, 5, 2])
    layout = SequenceLayout.padded(lengths, length)
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1) if causal else None
    expected, _ = theirs(states, states, states, attn_mask=hidden, key_padding_mask=~layout.real)
    torch.testing.assert_close(ours(states, layout)[layout.real], expected[layout.real], atol=1e-6, rtol=1e-5)


def test_cross_attention_equals_torch_nn():
    torch.manual_seed(0)
    ours = MultiHeadAttention(24, HEADS, mask=AttentionMask(), linear_bias=True)
    theirs = nn.MultiheadAttention(24, HEADS, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    states, memory = torch.randn(2, 3, 24), torch.randn(2, 9, 24)
    memory_layout = SequenceLayout.padded(torch.tensor([9, 4]), 9)
    found = ours(states, SequenceLayout.dense(2, 3), memory=memory, memory_layout=memory_layout)
    expected, _ = theirs(states, memory, memory, key_padding_mask=~memory_layout.real)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def make_layer(mask: AttentionMask) -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(
        24, HEADS, num_key_value_heads=2, mask=mask, rotary=Rotary(HEAD_DIM), bias=LinearBias(HEADS)
    )


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
def test_a_padded_batch_equals_each_row_alone_equals_packed(mask: AttentionMask):
    layer, lengths = make_layer(mask), [7, 3, 5]
    rows = [torch.randn(1, length, 24) for length in lengths]
    alone = [layer(row, SequenceLayout.dense(1, row.shape[1])) for row in rows]
    padded_states = torch.full((3, 9, 24), 5.0)
    for row, states in enumerate(rows):
        padded_states[row, : lengths[row]] = states
    padded = layer(padded_states, SequenceLayout.padded(torch.tensor(lengths), 9))
    packed_states = torch.cat([*rows, torch.full((1, 2, 24), 5.0)], dim=1)
    packed = layer(packed_states, SequenceLayout.packed([lengths], 17))
    for row, expected in enumerate(alone):
        torch.testing.assert_close(padded[row : row + 1, : lengths[row]], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(packed[:, :15], torch.cat(alone, dim=1), atol=1e-6, rtol=1e-5)


def test_a_row_of_padding_reads_nothing_and_has_finite_gradients():
    for kernel in ("dense", "windowed", "products", "reference"):
        inputs = make_inputs("empty row", "near", "linear")
        values, *gradients = values_and_gradients(inputs, kernel)
        assert values[0].abs().max() == 0
        assert all(gradient.isfinite().all() and gradient[0].abs().max() == 0 for gradient in gradients)


def cached(batch: int, capacity: int = 16) -> KeyValueCache:
    return KeyValueCache(batch, capacity, 2, HEAD_DIM)


@pytest.mark.parametrize("chunks", [[10], [1] * 10, [4, 3, 3], [6, 1, 1, 1, 1]], ids=str)
@pytest.mark.parametrize("window", [None, 3])
@torch.no_grad()
def test_reading_in_chunks_with_a_cache_equals_reading_at_once(chunks: list[int], window: int | None):
    layer, states = make_layer(AttentionMask(causal=True, window=window)), torch.randn(2, 10, 24)
    cache, read, start = cached(2), [], 0
    for size in chunks:
        layout = SequenceLayout.dense(2, size, start=start)
        read.append(layer(states[:, start : start + size], layout, cache=cache))
        start += size
    expected = layer(states, SequenceLayout.dense(2, 10))
    torch.testing.assert_close(torch.cat(read, dim=1), expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_prompts_of_different_lengths_continue_from_their_own_ends():
    layer, lengths = make_layer(AttentionMask(causal=True)), [5, 3]
    prompt, following = torch.randn(2, 5, 24), torch.randn(2, 1, 24)
    cache = cached(2)
    layer(prompt, SequenceLayout.padded(torch.tensor(lengths), 5), cache=cache)
    step = SequenceLayout(torch.zeros(2, 1, dtype=torch.long), torch.tensor(lengths)[:, None])
    found = layer(following, step, cache=cache)
    for row, length in enumerate(lengths):
        whole = torch.cat((prompt[row : row + 1, :length], following[row : row + 1]), dim=1)
        expected = layer(whole, SequenceLayout.dense(1, length + 1))[:, -1]
        torch.testing.assert_close(found[row], expected, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_a_memory_is_projected_once_and_read_from_the_cache():
    layer, cache = make_layer(AttentionMask()), cached(2)
    memory, states = torch.randn(2, 8, 24), torch.randn(2, 4, 24)
    memory_layout = SequenceLayout.padded(torch.tensor([8, 5]), 8)
    expected = layer(states, SequenceLayout.dense(2, 4), memory=memory, memory_layout=memory_layout)
    for step in range(4):
        seen = memory if step == 0 else torch.full_like(memory, torch.nan)  # no longer looked at
        found = layer(
            states[:, step : step + 1],
            SequenceLayout.dense(2, 1, start=step),
            memory=seen,
            memory_layout=memory_layout,
            cache=cache,
        )
        torch.testing.assert_close(found, expected[:, step : step + 1], atol=1e-6, rtol=1e-5)


def test_a_layer_traces_without_a_graph_break_and_gives_the_same():
    causal, near = make_layer(AttentionMask(causal=True)), make_layer(AttentionMask(window=5))
    near.bias = None
    states = torch.randn(2, 400, 24)

    def forward(states: Tensor, layout: SequenceLayout) -> Tensor:
        shared = share(layout)
        return causal(near(states, shared), shared)

    traced = torch.compile(forward, fullgraph=True, backend="aot_eager")
    for layout in (SequenceLayout.dense(2, 400), SequenceLayout.padded(torch.tensor([400, 300]), 400)):
        torch.testing.assert_close(traced(states, layout), forward(states, layout), atol=1e-6, rtol=1e-5)


def test_dropout_zeroes_a_share_of_the_weights_in_every_kernel_and_only_in_training():
    torch.manual_seed(0)
    layout = SequenceLayout.dense(1, 300)
    query = torch.zeros(1, 300, 1, 2)
    value = torch.ones(1, 300, 1, 2)
    inputs = AttentionInputs(query, query, value, AttentionMask(), layout, layout, dropout=0.5)
    for kernel in ("fused", "dense", "products", "reference"):
        read = attention(inputs, kernel=kernel)
        assert abs(float(read.mean()) - 1) < 0.05  # what is left is scaled up
        assert 0.01 < float(read.std()) < 0.2
    layer = MultiHeadAttention(8, 2, mask=AttentionMask(), dropout=0.5).eval()
    states = torch.randn(1, 9, 8)
    assert torch.equal(layer(states, SequenceLayout.dense(1, 9)), layer(states, SequenceLayout.dense(1, 9)))


def test_a_forced_kernel_gives_its_refusal_as_the_error():
    inputs = make_inputs("padded", "past")
    for kernel, reason in (
        ("fused", "padding"),
        ("windowed", "no window"),
        ("flex", "no backward pass on CPU"),
        ("varlen", "needs a GPU"),
    ):
        with pytest.raises(SettingsError, match=reason):
            attention(inputs, kernel=kernel)
    with pytest.raises(SettingsError, match="does not exist; choose one of fused"):
        attention(inputs, kernel="flash")


MEMORY_PROGRAM = """
import resource, sys
from pathlib import Path
import torch
from headwater.nn.attention import AttentionInputs, AttentionMask, attention
from headwater.sequence import SequenceLayout
from headwater.training.precision import peak_memory

def peak_above_inputs(length, window):
    layout = SequenceLayout.dense(1, length)
    query, key, value, gradient = (torch.randn(1, length, 8, 32, requires_grad=True) for _ in range(4))
    mask = AttentionMask(causal=True, window=window)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    attention(AttentionInputs(query, key, value, mask, layout, layout)).backward(gradient.detach())
    return peak_memory() - before

torch.set_num_threads(1)
peak_above_inputs(64, None)
sys.stdout.write(str(peak_above_inputs(int(sys.argv[1]), int(sys.argv[2]) or None)))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads resident memory from /proc")
@pytest.mark.parametrize("window", [None, 512])
@pytest.mark.parametrize("length", [8_192, pytest.param(32_768, marks=pytest.mark.slow)])
def test_a_long_row_trains_in_memory_linear_in_its_length(length: int, window: int | None):
    """8 heads of 32 in single precision: 1 GiB above the inputs at 32,768 tokens, and in proportion below."""
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM, str(length), str(window or 0)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert int(ran.stdout) < 2**30 * length / 32_768
