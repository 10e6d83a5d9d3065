from dataclasses import replace
from typing import Any

import pytest
import torch

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
from headwater.models.transformer import TransformerBackbone, TransformerEncoderDecoder
from headwater.nn.attention import KeyValueCache
from headwater.nn.block import BlockCache
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
    "settings", [encoder_settings("nano", 64), decoder_settings("nano", 64), bert_settings("nano", 64)]
)
def test_the_compiler_traces_a_backbone_in_one_piece(settings: TransformerSettings) -> None:
    backbone = build_backbone(settings, seed=0)
    tokens, layout = torch.ones(2, 8, dtype=torch.long), SequenceLayout.padded(torch.tensor([8, 5]), 8)
    traced = torch.compile(backbone, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(tokens, layout), backbone(tokens, layout))


def encoder_decoder() -> TransformerEncoderDecoder:
    small: dict[str, Any] = {
        "width": 16,
        "depth": 2,
        "num_heads": 4,
        "feed_forward_width": 32,
        "embedding_scale": 4.0,
    }
    model = TransformerEncoderDecoder(
        EncoderDecoderSettings.of(
            replace(paper_base(50), **small), replace(paper_base(50, causal=True), **small)
        )
    )
    initialize(model, seed=0)
    return model.eval()


def test_what_is_written_reads_the_whole_source_and_its_own_past() -> None:
    model = encoder_decoder()
    layout, source_layout = SequenceLayout.dense(1, 5), SequenceLayout.dense(1, 4)
    memory = model(torch.arange(1, 5)[None], source_layout).detach().requires_grad_()
    target = model.embed(torch.arange(1, 6)[None], layout).detach().requires_grad_()
    written = model.decode(target, layout, memory, source_layout)
    (written[0, 2] @ torch.randn(16, generator=torch.Generator().manual_seed(0))).backward()
    assert memory.grad is not None
    assert target.grad is not None
    assert (memory.grad.abs().amax(-1) > 0).all()
    assert (target.grad.abs().amax(-1) > 0)[0].tolist() == [True, True, True, False, False]


def test_an_encoder_decoder_holds_its_embedding_once() -> None:
    model = encoder_decoder()
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
