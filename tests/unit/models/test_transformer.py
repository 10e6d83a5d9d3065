from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from headwater.errors import SettingsError
from headwater.models import (
    EncoderDecoderSettings,
    TransformerSettings,
    bert_settings,
    build_backbone,
    decoder_settings,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
    paper_base,
)
from headwater.models.sizes import PAIR_LAYOUTS, PairLayout
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.nn.attention import KeyValueCache
from headwater.nn.block import BlockCache
from headwater.nn.embedding import TokenEmbedding
from headwater.nn.initialization import initialize
from headwater.nn.residual import Residual
from headwater.sequence import SequenceLayout


@pytest.mark.parametrize(
    "settings",
    [replace(decoder_settings("nano", 64), num_key_value_heads=2), gpt2_settings("nano", 64)],
    ids=["Llama's", "GPT-2's"],
)
@torch.no_grad()
def test_a_decoder_fed_through_caches_is_the_decoder_fed_at_once(settings: TransformerSettings) -> None:
    backbone = build_backbone(settings, seed=0).eval()
    assert isinstance(backbone, TransformerBackbone)
    tokens = torch.randint(1, 64, (2, 9))
    whole = backbone(tokens, SequenceLayout.dense(2, 9))
    heads, width = settings.key_value_heads, settings.head_width
    caches = [BlockCache(KeyValueCache(2, 9, heads, width)) for _ in range(settings.depth)]
    pieces = []
    for start, stop in ((0, 4), (4, 5), (5, 9)):
        layout = SequenceLayout.dense(2, stop - start, start=start)
        embedded = backbone.embed(tokens[:, start:stop], layout)
        pieces.append(backbone.encode(embedded, layout, caches=caches))
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)


@pytest.mark.parametrize(
    "settings",
    [
        encoder_settings("nano", 64),
        decoder_settings("nano", 64),
        bert_settings("nano", 64),
        encoder_decoder_settings("nano", 64, layout="t5").encoder,
        encoder_decoder_settings("nano", 64, layout="bart").encoder,
    ],
    ids=["encoder", "decoder", "bert", "t5", "bart"],
)
def test_the_compiler_traces_a_backbone_in_one_piece(settings: TransformerSettings) -> None:
    backbone = build_backbone(settings, seed=0).eval()
    tokens, layout = torch.ones(2, 8, dtype=torch.long), SequenceLayout.padded(torch.tensor([8, 5]), 8)
    traced = torch.compile(backbone, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(tokens, layout), backbone(tokens, layout))


def encoder_decoder(layout: PairLayout) -> TransformerEncoderDecoder:
    made = encoder_decoder_settings("nano", 50, layout=layout)
    small: dict[str, Any] = {"width": 16, "feed_forward_width": 32}
    model = TransformerEncoderDecoder(
        EncoderDecoderSettings.of(replace(made.encoder, **small), replace(made.decoder, **small))
    )
    initialize(model, seed=0)
    return model.eval()


@pytest.mark.parametrize("layout_name", PAIR_LAYOUTS)
def test_what_is_written_reads_the_whole_source_and_its_own_past(layout_name: PairLayout) -> None:
    model = encoder_decoder(layout_name)
    layout, source_layout = SequenceLayout.dense(1, 5), SequenceLayout.dense(1, 4)
    memory = model(torch.arange(1, 5)[None], source_layout).detach().requires_grad_()
    target = model.embed_target(torch.arange(1, 6)[None], layout).detach().requires_grad_()
    written = model.decode(target, layout, memory, source_layout)
    (written[0, 2] @ torch.randn(16, generator=torch.Generator().manual_seed(0))).backward()
    assert memory.grad is not None
    assert target.grad is not None
    assert (memory.grad.abs().amax(-1) > 0).all()
    assert (target.grad.abs().amax(-1) > 0)[0].tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_an_encoder_decoder_holds_its_embedding_once(layout: PairLayout) -> None:
    model = encoder_decoder(layout)
    tables = [name for name in model.state_dict() if name.endswith("tokens.weight")]
    assert tables == ["embedding.tokens.weight"]
    assert "embedding.tokens.weight" in dict(model.named_parameters())


@pytest.mark.parametrize(("size", "millions"), [("paper_base", 65), ("paper_big", 213)])
def test_the_papers_models_have_the_papers_parameters(size: str, millions: int) -> None:
    # Table 3, with 37,000 shared word pieces.
    with torch.device("meta"):
        model = build_backbone(encoder_decoder_settings(size, 37_000))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(
        millions, rel=0.035
    )


@torch.no_grad()
def test_every_block_of_a_stack_reads_its_one_table_of_relative_positions() -> None:
    model = encoder_decoder("t5")
    tables = [name for name in model.state_dict() if name.endswith("bias.table")]
    assert tables == ["blocks.0.attention.bias.table", "decoder_blocks.0.attention.bias.table"]
    states, layout = torch.randn(1, 5, 16), SequenceLayout.dense(1, 5)
    for table, blocks in zip(tables, ("blocks", "decoder_blocks"), strict=True):
        later = model.get_submodule(f"{blocks}.1.attention")
        before = later(states, layout)
        model.get_parameter(table).normal_()
        assert not torch.allclose(later(states, layout), before)


def test_bart_has_positions_and_a_norm_for_each_stack() -> None:
    model, layout = encoder_decoder("bart"), SequenceLayout.dense(1, 5)
    tokens = torch.arange(1, 6)[None]
    source, target = model.embed(tokens, layout), model.embed_target(tokens, layout)
    assert not torch.allclose(source, target)
    theirs = model.decoder_embedding
    assert theirs.positions is not None
    table = theirs.positions.get_submodule("table")
    assert isinstance(table, nn.Embedding)
    assert isinstance(model.embedding, TokenEmbedding)
    expected = theirs.norm(model.embedding.tokens(tokens) + table.weight[2:7])
    torch.testing.assert_close(target, expected)


def test_two_stacks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingsError, match="width is 512 in one"):
        EncoderDecoderSettings.of(paper_base(50), replace(paper_base(50, causal=True), width=256))
    with pytest.raises(SettingsError, match="the decoder the past"):
        EncoderDecoderSettings.of(paper_base(50), paper_base(50))


def test_deeper_blocks_are_left_out_more_often() -> None:
    settings = replace(encoder_settings("nano", 64), stochastic_depth=0.2)
    backbone = build_backbone(settings)
    shares = [part.stochastic_depth for part in backbone.modules() if isinstance(part, Residual)]
    assert shares == pytest.approx([0.1, 0.2])
