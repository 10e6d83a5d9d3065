from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from headwater.models import (
    Backbone,
    BackboneSettings,
    ConvolutionalSettings,
    EncoderDecoder,
    EncoderDecoderSettings,
    RecurrentSettings,
    bert_settings,
    build_backbone,
    build_model,
    cost_of,
    decoder_settings,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
    paper_base,
)
from headwater.models.cost import readable_pairs
from headwater.models.sizes import PAIR_LAYOUTS, PairLayout
from headwater.nn.attention import AttentionMask
from headwater.sequence import SequenceLayout

LENGTH = 48
TOKENS = torch.ones(1, LENGTH, dtype=torch.long)
GLOBAL_ENCODER = replace(encoder_settings("nano", 512), windows=())


def pair(layout: PairLayout) -> EncoderDecoderSettings:
    made = encoder_decoder_settings("nano", 512, layout=layout)
    halves = (
        replace(half, embedding_dropout=0.0, residual_dropout=0.0) for half in (made.encoder, made.decoder)
    )
    return EncoderDecoderSettings.of(*halves)


def read(backbone: Backbone) -> torch.Tensor:
    """A row through the whole backbone; an encoder-decoder reads a source and a target of that length."""
    layout = SequenceLayout.dense(1, LENGTH)
    states = backbone(TOKENS, layout)
    if isinstance(backbone, EncoderDecoder):
        return backbone.decode(backbone.embed_target(TOKENS, layout), layout, states, layout)
    return states


@pytest.mark.parametrize(
    "settings",
    [
        GLOBAL_ENCODER,
        replace(GLOBAL_ENCODER, feed_forward="gelu", linear_bias=True),
        replace(GLOBAL_ENCODER, attention="linear"),
        paper_base(512),
        bert_settings("nano", 512),
        replace(
            gpt2_settings("nano", 512), causal=False
        ),  # torch counts pairs that a causal row does not need
        ConvolutionalSettings(vocabulary_size=512, width=64, depth=3, hidden_width=48),
    ],
    ids=["encoder", "plain feed-forward", "linear", "paper", "BERT's", "GPT-2's", "convolutional"],
)
def test_the_operations_are_those_that_torch_counts(settings: BackboneSettings) -> None:
    model = build_model(settings, head="next_token", seed=0).eval()
    layout = SequenceLayout.dense(1, LENGTH)
    # The counter does not know the CPU's fused attention kernel; the written-out one does the same products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        states = model.backbone(torch.ones(1, LENGTH, dtype=torch.long), layout)[0]
        model.heads["next_token"](states[: LENGTH // 4])
    cost = cost_of(settings, length=LENGTH, loss_share=0.25)
    assert cost.forward_flops == pytest.approx(counter.get_total_flops(), rel=1e-6)


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_the_operations_of_two_stacks_are_those_that_torch_counts(layout: PairLayout) -> None:
    settings = pair(layout)
    backbone = build_backbone(settings, seed=0)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        read(backbone)
    decoder = settings.decoder
    # The written-out kernel also scores the future, which a decoder never reads.
    unread = LENGTH**2 - readable_pairs(LENGTH, causal=True, window=None)
    in_vain = 4 * unread * decoder.num_heads * decoder.head_width * decoder.depth
    cost = cost_of(settings, length=LENGTH)
    assert cost.forward_flops == pytest.approx(counter.get_total_flops() - in_vain, rel=1e-6)


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_the_parameters_of_two_stacks_are_counted_once(layout: PairLayout) -> None:
    settings = pair(layout)
    backbone = build_backbone(settings)
    cost = cost_of(settings, length=LENGTH)
    assert cost.parameters == sum(parameter.numel() for parameter in backbone.parameters())
    assert cost.parameters == sum(tensor.numel() for tensor in backbone.state_dict().values())
    positions = 2 * (1024 + 2) * 128 if layout == "bart" else 0
    assert cost.embedding_parameters == 512 * 128 + positions


def test_a_narrow_table_costs_its_map_and_a_narrow_output() -> None:
    wide = electra_settings("nano", 512)
    narrow = replace(wide, embedding_width=32)
    costs = [cost_of(settings, length=LENGTH, loss_share=0.25) for settings in (wide, narrow)]
    of_map = 2 * LENGTH * 32 * 128
    of_output = 2 * LENGTH / 4 * 512 * (32 - 128)
    assert costs[1].forward_flops - costs[0].forward_flops == pytest.approx(of_map + of_output)
    assert costs[1].embedding_parameters == (512 + 512) * 32  # words and positions


def test_training_is_three_times_the_forward_pass_as_torch_counts_it() -> None:
    settings = replace(GLOBAL_ENCODER, vocabulary_size=64)
    backbone = build_backbone(settings, seed=0)
    layout = SequenceLayout.dense(1, LENGTH)
    embedded = backbone.embed(torch.ones(1, LENGTH, dtype=torch.long), layout).detach().requires_grad_()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        backbone.encode(embedded, layout).sum().backward()
    counted = counter.get_total_flops()
    assert cost_of(settings, length=LENGTH).training_flops == pytest.approx(counted, rel=1e-6)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1, 5, 48, 99])
def test_readable_pairs_are_counted_as_the_mask_counts_them(causal: bool, window: int | None) -> None:
    places = torch.arange(LENGTH)
    allowed = AttentionMask(causal=causal, window=window).allows(places[:, None], places[None])
    assert readable_pairs(LENGTH, causal=causal, window=window) == int(allowed.sum())


def test_an_lstm_costs_two_operations_a_weight() -> None:
    settings = RecurrentSettings(vocabulary_size=64, width=16, hidden_width=24, depth=1)
    lstm = 2 * 4 * 24 * (16 + 24)
    assert cost_of(settings, length=10).forward_flops == 2 * 10 * (lstm + 48 * 16)


def test_parameters_are_those_of_the_backbone() -> None:
    settings = decoder_settings("nano", 512)
    backbone = build_backbone(settings)
    cost = cost_of(backbone, length=8)
    assert cost.parameters == sum(parameter.numel() for parameter in backbone.parameters())
    assert cost.embedding_parameters == 512 * 128
    assert cost == cost_of(settings, length=8)


@pytest.mark.parametrize(
    "settings",
    [
        GLOBAL_ENCODER,
        replace(GLOBAL_ENCODER, feed_forward="gelu"),
        decoder_settings("nano", 512),
        replace(GLOBAL_ENCODER, attention="linear"),
        replace(decoder_settings("nano", 512), attention="linear"),
        replace(paper_base(512), depth=2, embedding_dropout=0.0, residual_dropout=0.0),
        bert_settings("nano", 512),
        gpt2_settings("nano", 512),
        RecurrentSettings(vocabulary_size=512, width=64, hidden_width=96, depth=2),
        RecurrentSettings(vocabulary_size=512, width=64, hidden_width=96, depth=2, cell="gru"),
        ConvolutionalSettings(vocabulary_size=512, width=64, hidden_width=96, depth=3),
        *(pair(layout) for layout in PAIR_LAYOUTS),
    ],
    ids=[
        *(
            "gated",
            "plain",
            "decoder",
            "linear",
            "linear decoder",
            "paper",
            "BERT's",
            "GPT-2's",
            "LSTM",
            "GRU",
            "convolutional",
        ),
        *PAIR_LAYOUTS,
    ],
)
def test_the_memory_of_activations_is_what_autograd_keeps(settings: BackboneSettings) -> None:
    backbone = build_backbone(settings)
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = read(backbone)
    assert states.requires_grad
    assert cost_of(settings, length=LENGTH).activation_bytes == pytest.approx(sum(kept.values()), rel=0.25)
