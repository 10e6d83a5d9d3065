from collections.abc import Callable

import pytest
import torch
import transformers

from headwater.errors import SettingsError
from headwater.models import (
    SIZES,
    ConvolutionalSettings,
    HeadSettings,
    RecurrentSettings,
    TransformerSettings,
    bert_settings,
    body_parameters,
    build_backbone,
    cost_of,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
    matched_settings,
)
from headwater.models.layouts import layout_for
from headwater.models.sizes import DECODERS, ENCODERS, PAIR_LAYOUTS, BaselineKind, PairLayout


@pytest.mark.parametrize("size", ["nano", "tiny", "small", "base"])
@pytest.mark.parametrize("kind", ["recurrent", "convolutional"])
@pytest.mark.parametrize("layout", [encoder_settings, bert_settings])
def test_a_baseline_has_the_transformers_parameters_within_five_percent(
    size: str, kind: BaselineKind, layout: Callable[[str, int], TransformerSettings]
) -> None:
    transformer = layout(size, 4096)
    target = body_parameters(transformer)
    baseline = matched_settings(target, kind, 4096, width=transformer.width)
    assert body_parameters(baseline) == pytest.approx(target, rel=0.05)
    assert baseline.width == transformer.width


def test_without_a_width_the_nearest_size_lends_its_own() -> None:
    for size in ("tiny", "small"):
        target = body_parameters(encoder_settings(size, 4096))
        assert matched_settings(target, "recurrent", 4096).width == SIZES[size].width


def test_baselines_of_a_decoder_read_the_past() -> None:
    recurrent = matched_settings(3_000_000, "recurrent", 4096, causal=True)
    convolutional = matched_settings(3_000_000, "convolutional", 4096, causal=True)
    assert isinstance(recurrent, RecurrentSettings)
    assert isinstance(convolutional, ConvolutionalSettings)
    assert not recurrent.bidirectional
    assert convolutional.causal


def test_a_baseline_that_cannot_be_matched_is_refused() -> None:
    with pytest.raises(SettingsError, match="give another width or depth"):
        matched_settings(1000, "recurrent", 4096, width=512)


def test_a_layout_is_chosen_by_what_it_reads() -> None:
    for reads, layouts in (("both", ENCODERS), ("past", DECODERS)):
        for build in layouts.values():
            assert build_backbone(build("nano", 300)).reads == reads


def test_the_base_sizes_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        bert = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False)
        gpt2 = transformers.GPT2Model(transformers.GPT2Config())
    types = bert.embeddings.token_type_embeddings.weight.numel()  # of the texts of a pair: we have one text
    assert cost_of(bert_settings("base", 30_522), length=1).parameters == bert.num_parameters() - types
    assert cost_of(gpt2_settings("base", 50_257), length=1).parameters == gpt2.num_parameters()


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
@pytest.mark.parametrize("size", ["nano", "tiny"])
def test_a_size_is_that_of_every_layout(size: str, layout: PairLayout) -> None:
    pair = encoder_decoder_settings(size, 4096, layout=layout)
    for half in (pair.encoder, pair.decoder):
        assert (half.depth, half.width, half.num_heads) == SIZES[size]
    assert layout_for(pair, HeadSettings(name="next_token", tied=layout != "t5")).model_type == layout


def test_the_papers_own_models_are_in_the_papers_layout() -> None:
    assert encoder_decoder_settings("paper_base", 4096, layout="marian") == encoder_decoder_settings(
        "paper_base", 4096
    )
    with pytest.raises(SettingsError, match="for t5's choose one of nano, tiny"):
        encoder_decoder_settings("paper_base", 4096, layout="t5")


def test_an_unknown_size_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'small'"):
        encoder_settings("smal", 4096)
