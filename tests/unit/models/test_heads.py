"""Heads in the style of a backbone's layout."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from headwater.errors import SettingsError
from headwater.models import (
    HeadSettings,
    bert_settings,
    build_model,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
    gpt2_settings,
)
from headwater.models.sizes import PAIR_LAYOUTS, PairLayout
from headwater.sequence import SequenceLayout

WRITER = "next_token"


def test_berts_classes_are_read_from_the_first_token_through_tanh() -> None:
    head = build_model(bert_settings("nano", 30), head="classification", classes=3, seed=0).heads[
        "classification"
    ]
    weights, states = dict(head.named_parameters()), torch.randn(2, 5, 128)
    pooled = torch.tanh(states[:, 0] @ weights["transform.dense.weight"].T + weights["transform.dense.bias"])
    expected = pooled @ weights["classifier.weight"].T + weights["classifier.bias"]
    torch.testing.assert_close(head(states, SequenceLayout.dense(2, 5)), expected)


def test_a_detector_gives_one_score_a_token_on_any_backbone() -> None:
    for settings in (electra_settings("nano", 30), encoder_settings("nano", 30)):
        head = build_model(settings, head="replaced_token", seed=0).heads["replaced_token"]
        weights, states = dict(head.named_parameters()), torch.randn(2, 5, 128)
        hidden = F.gelu(states @ weights["transform.dense.weight"].T + weights["transform.dense.bias"])
        expected = hidden @ weights["classifier.weight"].T + weights["classifier.bias"]
        assert expected.shape == (2, 5, 1)
        torch.testing.assert_close(head(states), expected)


def test_a_narrow_table_needs_a_head_with_a_map_to_its_width() -> None:
    model = build_model(
        replace(encoder_settings("nano", 30), embedding_width=20), head="masked_tokens", seed=0
    )
    assert model.heads["masked_tokens"](torch.randn(4, 128)).shape == (4, 30)
    with pytest.raises(SettingsError, match="a table of width 20 cannot decode hidden states of width 128"):
        build_model(replace(gpt2_settings("nano", 30), embedding_width=20), head="next_token", seed=0)


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_t5_alone_has_an_output_matrix_of_its_own_unless_asked(layout: PairLayout) -> None:
    settings = encoder_decoder_settings("nano", 50, layout=layout)
    usual = build_model(settings, head=WRITER, seed=0)
    asked = build_model(settings, head=WRITER, seed=0, tied=True)
    assert usual.head_settings[WRITER].tied is (layout != "t5")
    assert asked.head_settings[WRITER].tied
    assert ("heads.next_token.decoder.weight" in usual.state_dict()) is (layout == "t5")


@torch.no_grad()
def test_a_scaled_head_reads_shortened_states() -> None:
    settings = encoder_decoder_settings("nano", 50, layout="t5")
    plain, scaled = (
        build_model(settings, head=WRITER, seed=0, tied=True, scale=scale) for scale in (1.0, 0.25)
    )
    states = torch.randn(3, 128)
    torch.testing.assert_close(scaled.heads[WRITER](states), plain.heads[WRITER](0.25 * states))


@pytest.mark.parametrize(
    ("name", "scale", "reason"),
    [
        ("next_token", 0.0, "above 0"),
        ("masked_tokens", 0.5, "is for a next_token head, not for masked_tokens"),
    ],
)
def test_a_scale_that_means_nothing_is_refused(name: str, scale: float, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        HeadSettings(name=name, scale=scale)
