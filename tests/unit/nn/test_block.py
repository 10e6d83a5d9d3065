import pytest
import torch
from torch import nn

from headwater.errors import SettingsError
from headwater.nn.attention import AttentionMask, KeyValueCache, MultiHeadAttention
from headwater.nn.block import Block, BlockCache, BlockNorms
from headwater.nn.feed_forward import build_feed_forward
from headwater.nn.norm import build_norm
from headwater.nn.residual import Residual
from headwater.sequence import SequenceLayout

WIDTH = 16


def attention(*, causal: bool = False) -> MultiHeadAttention:
    return MultiHeadAttention(WIDTH, 4, mask=AttentionMask(causal=causal), linear_bias=True)


def block(norm_position: str = "before", *, memory: bool = False, causal: bool = False) -> Block:
    torch.manual_seed(0)
    norms = BlockNorms(*(build_norm("layer", WIDTH, 1e-5) for _ in range(3 if memory else 2)))
    return Block(
        attention(causal=causal),
        build_feed_forward("relu", WIDTH, 32, bias=True),
        norms,
        norm_position=norm_position,  # pyright: ignore[reportArgumentType]
        cross_attention=attention() if memory else None,
    )


def torch_layer_of(
    ours: Block, kind: type[nn.TransformerEncoderLayer] | type[nn.TransformerDecoderLayer]
) -> nn.Module:
    """torch's own layer with the same weights."""
    layer = kind(WIDTH, 4, 32, dropout=0.0, batch_first=True, norm_first=ours.norm_position == "before")
    pairs = [("self_attn", ours.attention), ("multihead_attn", ours.cross_attention)]
    with torch.no_grad():
        for name, part in pairs:
            if part is not None:
                theirs = getattr(layer, name)
                theirs.in_proj_weight.copy_(part.qkv.weight)
                theirs.in_proj_bias.copy_(part.qkv.bias)
                theirs.out_proj.load_state_dict(part.out.state_dict())
    norms = [ours.attention_norm, ours.cross_attention_norm, ours.feed_forward_norm]
    for number, norm in enumerate((norm for norm in norms if norm is not None), 1):
        getattr(layer, f"norm{number}").load_state_dict(norm.state_dict())
    layer.get_submodule("linear1").load_state_dict(ours.feed_forward.get_submodule("inner").state_dict())
    layer.get_submodule("linear2").load_state_dict(ours.feed_forward.get_submodule("outer").state_dict())
    return layer


@pytest.mark.parametrize("norm_position", ["before", "after"])
def test_a_block_is_torchs_encoder_layer(norm_position: str) -> None:
    ours = block(norm_position)
    theirs = torch_layer_of(ours, nn.TransformerEncoderLayer)
    states = torch.randn(2, 7, WIDTH)
    torch.testing.assert_close(ours(states, SequenceLayout.dense(2, 7)), theirs(states))


@pytest.mark.parametrize("norm_position", ["before", "after"])
def test_a_block_with_memory_is_torchs_decoder_layer(norm_position: str) -> None:
    ours = block(norm_position, memory=True, causal=True)
    theirs = torch_layer_of(ours, nn.TransformerDecoderLayer)
    states, memory = torch.randn(2, 7, WIDTH), torch.randn(2, 5, WIDTH)
    causal = nn.Transformer.generate_square_subsequent_mask(7)
    found = ours(states, SequenceLayout.dense(2, 7), memory=memory, memory_layout=SequenceLayout.dense(2, 5))
    torch.testing.assert_close(found, theirs(states, memory, tgt_mask=causal))


@torch.no_grad()
def test_token_by_token_through_a_cache_is_the_same_as_all_at_once() -> None:
    ours = block(memory=True, causal=True).eval()
    states, memory = torch.randn(2, 6, WIDTH), torch.randn(2, 5, WIDTH)
    memory_layout = SequenceLayout.dense(2, 5)
    whole = ours(states, SequenceLayout.dense(2, 6), memory=memory, memory_layout=memory_layout)
    cache = BlockCache(KeyValueCache(2, 6, 4, 4), KeyValueCache(2, 5, 4, 4))
    steps = [
        ours(
            states[:, step : step + 1],
            SequenceLayout.dense(2, 1, start=step),
            memory=memory,
            memory_layout=memory_layout,
            cache=cache,
        )
        for step in range(6)
    ]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)


def test_a_norm_left_out_leaves_the_input_as_it_is() -> None:
    norms = BlockNorms(nn.Identity(), build_norm("layer", WIDTH, 1e-5))
    bare = Block(attention(), build_feed_forward("relu", WIDTH, 32, bias=True), norms)
    states, layout = torch.randn(2, 3, WIDTH), SequenceLayout.dense(2, 3)
    after_attention = states + bare.attention(states, layout)
    expected = after_attention + bare.feed_forward(bare.feed_forward_norm(after_attention))
    torch.testing.assert_close(bare(states, layout), expected)


def test_cross_attention_without_its_norm_is_refused() -> None:
    norms = BlockNorms(nn.Identity(), nn.Identity())
    with pytest.raises(SettingsError, match="give both, or neither"):
        Block(attention(), nn.Identity(), norms, cross_attention=attention())


def test_stochastic_depth_drops_whole_rows_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    residual = Residual(stochastic_depth=0.25)
    added = residual(torch.zeros(4000, 2, 3), torch.ones(4000, 2, 3))
    assert added.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(added.amin((1, 2)), added.amax((1, 2)))  # one fate for a whole row
    assert added.mean().item() == pytest.approx(1.0, abs=0.05)


def test_noise_stops_outside_training() -> None:
    residual = Residual(dropout=0.5, stochastic_depth=0.5).eval()
    assert torch.equal(residual(torch.zeros(9, 2, 3), torch.ones(9, 2, 3)), torch.ones(9, 2, 3))


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_no_probability_is_refused(share: float) -> None:
    with pytest.raises(SettingsError, match="not a probability"):
        Residual(dropout=share)
