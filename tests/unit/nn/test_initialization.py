import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from headwater.models import (
    Backbone,
    RecurrentSettings,
    TransformerSettings,
    bert_settings,
    build_backbone,
    build_model,
    encoder_decoder_settings,
    encoder_settings,
)
from headwater.nn.attention import AttentionInputs, MultiHeadAttention, attention_with_weights
from headwater.nn.initialization import SMALL_DEVIATION, begin_with_company, initialize
from headwater.nn.positions import RelativeBuckets
from headwater.sequence import SequenceLayout

SETTINGS = encoder_settings("nano", 4096)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (build_backbone(SETTINGS, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.tokens.weight"], other["embedding.tokens.weight"])


def test_a_new_head_leaves_every_other_weight_as_it_was() -> None:
    bare = build_model(SETTINGS, seed=5).state_dict()
    headed = build_model(SETTINGS, head="classification", classes=3, seed=5).state_dict()
    assert all(torch.equal(bare[name], headed[name]) for name in bare)
    assert set(headed) > set(bare)


def test_no_parameter_keeps_what_torchs_own_generator_drew() -> None:
    torch.manual_seed(1)
    first = build_model(SETTINGS, head="masked_tokens", seed=5).state_dict()
    torch.manual_seed(2)
    second = build_model(SETTINGS, head="masked_tokens", seed=5).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_maps_into_the_stream_shrink_with_depth() -> None:
    settings = encoder_settings("small", 4096)
    backbone = build_backbone(settings, seed=0)
    weights = dict(backbone.named_parameters())
    entering, leaving = (weights[f"blocks.0.attention.{part}.weight"] for part in ("qkv", "out"))
    entering = entering[-settings.width :]  # values: half of the heads begin with other queries and keys
    # A normal cut at two deviations keeps 0.88 of its deviation.
    cut = 0.8796
    assert entering.std().item() == pytest.approx(cut * math.sqrt(0.4 / settings.width), rel=0.02)
    expected = cut * math.sqrt(0.4 / settings.width / (2 * settings.depth))
    assert leaving.std().item() == pytest.approx(expected, rel=0.02)


@torch.no_grad()
def test_scores_that_are_not_divided_begin_as_the_usual_ones() -> None:
    settings = encoder_decoder_settings("nano", 4096, layout="t5").encoder
    undivided, usual = (
        build_backbone(replace(settings, attention_scale=scale), seed=0) for scale in (1.0, None)
    )
    tokens = torch.randint(4, 4096, (2, 9), generator=torch.Generator().manual_seed(0))
    layout = SequenceLayout.dense(2, 9)
    torch.testing.assert_close(undivided.eval()(tokens, layout), usual.eval()(tokens, layout))


def test_an_output_matrix_of_its_own_begins_as_the_table_of_tokens() -> None:
    model = build_model(encoder_decoder_settings("nano", 4096, layout="t5"), head="next_token", seed=0)
    table = model.backbone.token_embedding.weight
    own = model.heads["next_token"].get_parameter("decoder.weight")
    assert own is not table
    assert torch.equal(own, table)


@pytest.mark.parametrize("size", ["nano", "tiny"])
@pytest.mark.parametrize("layout", [encoder_settings, bert_settings])
def test_the_first_loss_is_the_logarithm_of_the_vocabulary(
    size: str, layout: Callable[[str, int], TransformerSettings]
) -> None:
    model = build_model(layout(size, 4096), head="masked_tokens", seed=0)
    tokens = torch.randint(4, 4096, (4, 32), generator=torch.Generator().manual_seed(0))
    states = model.backbone(tokens, SequenceLayout.dense(4, 32)).flatten(0, 1)
    targets = torch.randint(4, 4096, (128,), generator=torch.Generator().manual_seed(1))
    loss = nn.functional.cross_entropy(model.heads["masked_tokens"](states), targets)
    assert loss.item() == pytest.approx(math.log(4096), abs=0.15)


def test_an_lstms_forget_gate_starts_open_and_its_recurrent_maps_orthogonal() -> None:
    settings = RecurrentSettings(vocabulary_size=50, width=16, hidden_width=24, depth=1, bidirectional=False)
    weights = dict(build_backbone(settings, seed=0).get_submodule("recurrence").named_parameters())
    bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
    assert bias.detach().view(4, 24).amax(1).tolist() == [0.0, 1.0, 0.0, 0.0]
    gate = weights["weight_hh_l0"][:24]
    torch.testing.assert_close(gate @ gate.T, torch.eye(24), atol=1e-5, rtol=0)


def attention_of(backbone: Backbone) -> MultiHeadAttention:
    attention = backbone.get_submodule("blocks.0.attention")
    assert isinstance(attention, MultiHeadAttention)
    return attention


def first_attention(backbone: Backbone, tokens: Tensor) -> Tensor:
    """The attention weights (B, H, T, S) of the first block."""
    attention, layout = attention_of(backbone), SequenceLayout.dense(*tokens.shape)
    assert attention.rotary is not None
    query, key, value = (
        part.unflatten(-1, (-1, attention.head_dim))
        for part in attention.qkv(backbone.embed(tokens, layout)).split(attention.split, dim=-1)
    )
    query, key = attention.rotary(query, layout), attention.rotary(key, layout)
    inputs = AttentionInputs(query, key, value, mask=attention.mask, query_layout=layout, key_layout=layout)
    return attention_with_weights(inputs)[1]


@torch.no_grad()
@pytest.mark.parametrize("size", ["nano", "tiny", "base"])
def test_half_of_the_heads_begin_by_reading_their_neighbours(size: str) -> None:
    backbone = build_backbone(encoder_settings(size, 4096), seed=3)
    tokens = torch.randint(4, 4096, (2, 40), generator=torch.Generator().manual_seed(0))
    attention, weights = attention_of(backbone), first_attention(backbone, tokens)
    inner = weights[:, :, 10:30]
    most = inner.mean(0).argmax(-1) - torch.arange(10, 30)
    half = attention.num_heads // 2
    expected = [(head // 2 + 1) * (1 if head % 2 else -1) for head in range(half)]
    assert most[:half].mode(1).values.tolist() == expected
    assert inner[:, :half].amax(-1).mean() > 0.3
    assert (
        inner[:, half : -(attention.num_heads // 4)].amax(-1).mean() < 0.2
    )  # the third quarter reads everything


@torch.no_grad()
@pytest.mark.parametrize(
    ("size", "grouped"), [("nano", None), ("tiny", None), ("base", None), ("nano", 1), ("base", 4)]
)
def test_a_quarter_of_the_heads_begins_by_reading_its_token_elsewhere(size: str, grouped: int | None) -> None:
    backbone = build_backbone(replace(encoder_settings(size, 4096), num_key_value_heads=grouped), seed=3)
    tokens = 4 + torch.randperm(4092, generator=torch.Generator().manual_seed(0))[:60].view(1, 60)
    tokens[0, 40:50] = tokens[0, 10:20].flip(0)  # ten tokens stand twice, at distances of 20 to 39
    weights = first_attention(backbone, tokens)[0, -(attention_of(backbone).num_heads // 4) :]
    places = torch.arange(10)
    there, back = weights[:, 10 + places, 49 - places], weights[:, 49 - places, 10 + places]
    assert there.mean() > 0.2  # a sixtieth by chance
    assert back.mean() > 0.2
    assert weights.diagonal(dim1=1, dim2=2).mean() < 1 / 60  # a token finds itself less often than by chance


@torch.no_grad()
@pytest.mark.parametrize(("both_sides", "expected"), [(True, [-1, 1, -2]), (False, [-1, -2, -3])])
def test_relative_biases_begin_by_reading_neighbours_too(both_sides: bool, expected: list[int]) -> None:
    bias = RelativeBuckets(6, both_sides=both_sides)
    initialize(bias, seed=0, name="bias")
    positions = torch.arange(40)
    scores = torch.stack([bias(torch.tensor(head), positions[20], positions) for head in range(6)])
    assert (scores[:3].argmax(1) - 20).tolist() == expected
    assert (scores[:3] > 0).sum(1).tolist() == [1, 1, 1]
    assert not scores[3:].any()


def test_a_table_that_begins_with_company_points_where_it_was_counted_and_keeps_its_constant() -> None:
    table = build_backbone(SETTINGS, seed=0).token_embedding.weight.detach()
    drawn = table.clone()
    vectors = torch.randn(table.shape[0], table.shape[1] - 1, generator=torch.Generator().manual_seed(0))
    vectors[:4] = 0
    begin_with_company(table, vectors)
    near = nn.functional.cosine_similarity(table[4:, 1:], vectors[4:])
    assert near.min() > 0.98
    torch.testing.assert_close(table[:, 0], 3.5 * drawn[:, 0])
    torch.testing.assert_close(table[:4], 3.5 * drawn[:4])


def test_a_parameter_without_a_row_in_the_table_is_an_error() -> None:
    with pytest.raises(TypeError, match="no row for Bilinear"):
        initialize(nn.Bilinear(2, 2, 2), seed=0)


def test_counted_vectors_of_wide_tables_are_shorter_so_that_products_do_not_grow() -> None:
    lengths: dict[int, float] = {}
    for width in (128, 256, 1024):
        table = torch.randn(50, width) * SMALL_DEVIATION
        vectors = torch.randn(50, width - 1)
        begin_with_company(table, vectors)
        lengths[width] = float(table.std())
    assert lengths[128] == pytest.approx(lengths[256], rel=0.05)
    assert lengths[1024] == pytest.approx(lengths[256] / 4, rel=0.05)
