from dataclasses import replace
from typing import Any

import pytest

from headwater.errors import SettingsError
from headwater.models import (
    ConvolutionalSettings,
    RecurrentSettings,
    TransformerSettings,
    electra_settings,
    encoder_decoder_settings,
    encoder_settings,
    paper_big,
)
from headwater.models.settings import BackboneSettings

GOOD: dict[str, Any] = {
    "vocabulary_size": 100,
    "width": 32,
    "depth": 2,
    "num_heads": 4,
    "feed_forward_width": 64,
}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_heads": 5}, "does not divide width=32"),
        ({"num_key_value_heads": 3}, "does not divide num_heads=4"),
        ({"head_dim": 7}, "make it even"),
        ({"windows": (None, 4, 4)}, "names 3 blocks, depth is 2"),
        ({"windows": (None, 0)}, "whole number above 0"),
        ({"norm": "batch"}, "layer, layer_without_bias, rms"),
        ({"positions": "rotaty"}, "choose one of rotary"),
        ({"residual_dropout": 1.0}, "not a probability"),
        ({"stochastic_depth": float("nan")}, "not a probability"),
        ({"rotary_theta": float("nan")}, "above 0"),
        ({"embedding_width": 0}, "whole number above 0"),
        ({"layout": "roberta"}, "choose one of bert, electra, gpt2"),
        ({"depth": 0}, "whole number above 0"),
        ({"depth": True}, "whole number above 0"),
        ({"width": 1 << 40}, "beyond what this program will allocate"),
        ({"pad_token": 100}, "not in the vocabulary"),
        ({"attention_scale": 0.0}, "above 0"),
        ({"positions": "relative", "relative_buckets": 3}, "give at least 4 buckets"),
        ({"positions": "relative", "relative_distance": 8}, "a max_distance above 8"),
        ({"norm_position": "after", "first_attention_norm": False}, "needs norm_position='before'"),
        ({"attention": "quadratic"}, "choose one of softmax, linear"),
        ({"attention": "linear", "positions": "alibi"}, "on which positions='alibi' acts"),
        ({"attention": "linear", "windows": (None, 4)}, "on which a window acts"),
        ({"attention": "linear", "attention_dropout": 0.1}, r"on which attention_dropout=0\.1 acts"),
        ({"attention": "linear", "attention_scale": 1.0}, r"on which attention_scale=1\.0 acts"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_a_reason(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TransformerSettings(**(GOOD | wrong))


@pytest.mark.parametrize(
    "settings",
    [
        encoder_settings("tiny", 8192),
        paper_big(1000, causal=True),
        encoder_decoder_settings("nano", 1000, layout="t5"),
        replace(electra_settings("tiny", 1000), embedding_width=64),
        RecurrentSettings(vocabulary_size=10, width=8, depth=1, hidden_width=9, attention="additive"),
        ConvolutionalSettings(vocabulary_size=10, width=8, depth=1, hidden_width=9, pad_token=None),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_survive_a_dictionary(settings: BackboneSettings) -> None:
    assert type(settings).from_dict(settings.to_dict()) == settings


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'num_heads'"):
        TransformerSettings.from_dict(GOOD | {"num_head": 4})


def test_a_centred_convolution_needs_a_middle() -> None:
    with pytest.raises(SettingsError, match="no middle"):
        ConvolutionalSettings(vocabulary_size=10, width=8, depth=1, hidden_width=8, kernel=4)
