"""A document's vectors do not depend on the company it keeps, and a reader of the past never sees the future."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from headwater.models import (
    Backbone,
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoder,
    RecurrentSettings,
    TransformerSettings,
    bert_settings,
    build_backbone,
    decoder_settings,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
    paper_base,
)
from headwater.models.sizes import PAIR_LAYOUTS
from headwater.sequence import SequenceLayout

SMALL: dict[str, Any] = {"vocabulary_size": 50, "width": 16, "depth": 3}
HEADS: dict[str, Any] = {"num_heads": 4, "feed_forward_width": 32}

BOTH: dict[str, BackboneSettings] = {
    "encoder": TransformerSettings(
        **SMALL, **HEADS, windows=(None, 3, 3), embedding_norm=True, first_attention_norm=False
    ),
    "after norm, sinusoids": TransformerSettings(
        **SMALL,
        **HEADS,
        norm_position="after",
        positions="sinusoidal",
        norm="layer",
        linear_bias=True,
        feed_forward="relu",
    ),
    "learnt positions": TransformerSettings(**SMALL, **HEADS, positions="learned", max_length=32),
    "BERT's": replace(bert_settings("nano", 50, max_length=32), **SMALL, **HEADS),
    "ELECTRA's, a narrow table": replace(
        electra_settings("nano", 50, max_length=32), **SMALL, **HEADS, embedding_width=6
    ),
    "relative positions": TransformerSettings(**SMALL, **HEADS, positions="relative"),
    "linear biases": TransformerSettings(**SMALL, **HEADS, positions="alibi"),
    "linear attention": TransformerSettings(**SMALL, **HEADS, attention="linear"),
    "bidirectional LSTM": RecurrentSettings(**SMALL, hidden_width=12),
    "bidirectional LSTM with attention": RecurrentSettings(**SMALL, hidden_width=12, attention="additive"),
    "bidirectional GRU": RecurrentSettings(**SMALL, hidden_width=12, cell="gru"),
    "centred convolutions": ConvolutionalSettings(**SMALL, hidden_width=12, kernel=3),
}
PAIRS = {layout: encoder_decoder_settings("nano", 50, layout=layout) for layout in PAIR_LAYOUTS}
BOTH.update(PAIRS)
PAST: dict[str, BackboneSettings] = {
    "decoder": TransformerSettings(
        **SMALL, **HEADS, num_key_value_heads=2, feed_forward="swiglu", norm="rms", causal=True
    ),
    "decoder with windows": TransformerSettings(**SMALL, **HEADS, causal=True, windows=(None, 3, 3)),
    "decoder with linear attention": TransformerSettings(
        **SMALL, **HEADS, num_key_value_heads=2, causal=True, attention="linear"
    ),
    "GPT-2's": replace(gpt2_settings("nano", 50, max_length=32), **SMALL, **HEADS),
    "LSTM": RecurrentSettings(**SMALL, hidden_width=12, bidirectional=False),
    "LSTM with attention": RecurrentSettings(
        **SMALL, hidden_width=12, bidirectional=False, attention="additive"
    ),
    "causal convolutions": ConvolutionalSettings(**SMALL, hidden_width=12, kernel=3, causal=True),
}
PAST.update({f"{layout}'s decoder": pair.decoder for layout, pair in PAIRS.items()})
LENGTHS = [9, 4, 1]


def built(name: str) -> Backbone:
    return build_backbone((BOTH | PAST)[name], seed=3).eval()


def tokens_of(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(1, 50, (length,), generator=generator) for length in lengths]


def alone(backbone: Backbone, documents: list[torch.Tensor]) -> list[torch.Tensor]:
    return [backbone(tokens[None], SequenceLayout.dense(1, len(tokens)))[0] for tokens in documents]


@pytest.mark.parametrize("name", BOTH | PAST)
def test_a_padded_document_is_the_document_alone(name: str) -> None:
    backbone, documents = built(name), tokens_of(LENGTHS)
    rows = torch.nn.utils.rnn.pad_sequence(documents, batch_first=True)
    padded = backbone(rows, SequenceLayout.padded(torch.tensor(LENGTHS), max(LENGTHS)))
    for row, expected in enumerate(alone(backbone, documents)):
        torch.testing.assert_close(padded[row, : len(expected)], expected, atol=1e-5, rtol=0)


def written(backbone: Backbone, lengths: list[list[int]], rows: list[torch.Tensor]) -> torch.Tensor:
    """The states of the targets of some pairs, padded: (B, T, C); ``lengths`` and ``rows`` of sources, then targets."""
    assert isinstance(backbone, EncoderDecoder)
    layout, target_layout = (SequenceLayout.padded(torch.tensor(side), max(side)) for side in lengths)
    memory = backbone(rows[0], layout)
    return backbone.decode(backbone.embed_target(rows[1], target_layout), target_layout, memory, layout)


@pytest.mark.parametrize("name", PAIRS)
def test_a_padded_pair_is_the_pair_alone(name: str) -> None:
    backbone, target_lengths = built(name), [3, 7, 2]
    sources, targets = tokens_of(LENGTHS), tokens_of(target_lengths)
    rows = [torch.nn.utils.rnn.pad_sequence(side, batch_first=True) for side in (sources, targets)]
    together = written(backbone, [LENGTHS, target_lengths], rows)
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone = written(backbone, [[len(source)], [len(target)]], [source[None], target[None]])[0]
        torch.testing.assert_close(together[row, : len(target)], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", BOTH | PAST)
def test_a_packed_document_is_the_document_alone(name: str) -> None:
    backbone, documents = built(name), tokens_of(LENGTHS)
    rows = torch.zeros(2, 11, dtype=torch.long)
    rows[0, :9], rows[1, :4], rows[1, 4] = documents[0], documents[1], documents[2]
    packed = backbone(rows, SequenceLayout.packed([[9], [4, 1]], 11))
    for found, expected in zip(
        (packed[0, :9], packed[1, :4], packed[1, 4:5]), alone(backbone, documents), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", BOTH | PAST)
def test_what_stands_in_the_padding_sends_no_gradient(name: str) -> None:
    backbone = built(name)
    layout = SequenceLayout.padded(torch.tensor([6, 3]), 6)
    embedded = backbone.embed(torch.ones(2, 6, dtype=torch.long), layout).detach().requires_grad_()
    backbone.encode(embedded, layout)[layout.real].square().sum().backward()
    assert embedded.grad is not None
    assert embedded.grad.isfinite().all()
    assert (embedded.grad[~layout.real] == 0).all()


def influence(backbone: Backbone, token: int, length: int = 8) -> list[bool]:
    """Which of the tokens change the vector of ``token``, by gradient."""
    layout = SequenceLayout.dense(1, length)
    inputs = torch.arange(1, length + 1)[None]
    embedded = backbone.embed(inputs, layout).detach().requires_grad_()
    # A sum over a normalised vector hardly moves; a random direction does.
    direction = torch.randn(backbone.width, generator=torch.Generator().manual_seed(0))
    (backbone.encode(embedded, layout)[0, token] @ direction).backward()
    assert embedded.grad is not None
    return (embedded.grad[0].abs().amax(-1) > 0).tolist()


@pytest.mark.parametrize("name", PAST)
def test_a_reader_of_the_past_never_sees_the_future(name: str) -> None:
    backbone = built(name)
    assert backbone.reads == "past"
    reached = influence(backbone, token=4)
    assert reached[3:5] == [True, True]
    assert not any(reached[5:])


@pytest.mark.parametrize("name", BOTH)
def test_a_reader_of_both_sides_sees_them(name: str) -> None:
    backbone = built(name)
    assert backbone.reads == "both"
    assert influence(backbone, token=4)[3:6] == [True, True, True]


@pytest.mark.parametrize(
    "settings",
    [
        encoder_settings("nano", 64),
        decoder_settings("nano", 64),
        paper_base(64),
        bert_settings("nano", 64),
        encoder_decoder_settings("nano", 64, layout="t5").encoder,
    ],
    ids=["encoder", "decoder", "paper", "BERT's", "T5's"],
)
def test_checkpointed_activations_give_the_same_gradients(settings: TransformerSettings) -> None:
    layout = SequenceLayout.padded(torch.tensor([7, 3]), 7)
    gradients: list[list[torch.Tensor | None]] = []
    for checkpointed in (False, True):
        backbone = build_backbone(settings, seed=0)
        backbone.checkpoint_activations = checkpointed
        torch.manual_seed(5)  # the dropout of both passes
        backbone(torch.ones(2, 7, dtype=torch.long), layout).square().sum().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)
