"""Which backbone and which head a pre-training run begins with."""

from pathlib import Path
from typing import Any

import pytest

from headwater.data.sequencers import Patches
from headwater.data.tokenizer import Tokenizer
from headwater.errors import SettingsError
from headwater.models import (
    EncoderDecoderSettings,
    RecurrentSettings,
    TransformerSettings,
    cost_of,
    load_bundle,
    save_bundle,
)
from headwater.models.sizes import LayoutName
from headwater.run.choosing_model import chosen_picture_settings, chosen_settings, pretraining_model
from headwater.run.choosing_objective import Pretext
from headwater.run.settings import ModelSettings


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.learn(["a few words"] * 3, 262)


@pytest.mark.parametrize(
    ("objective", "layout", "head"),
    [
        ("replaced_token", "electra", ["replaced_token"]),
        ("replaced_token", "bert", []),
        ("replaced_token", None, []),
        ("replaced_token=1,masked_tokens=0.5", "electra", ["masked_tokens"]),
        ("sentence_order", "electra", []),
        ("next_token", "gpt2", ["next_token"]),
    ],
)
def test_a_head_is_shipped_where_the_layout_has_a_place_for_it(
    tokenizer: Tokenizer, objective: str, layout: str | None, head: list[str]
) -> None:
    choice = ModelSettings(size="nano", layout=layout)  # pyright: ignore[reportArgumentType]
    model = pretraining_model(choice, tokenizer, Pretext.named(objective), length=64, seed=0)
    assert list(model.heads) == head


def test_learnt_positions_reach_as_far_as_the_windows() -> None:
    choice = ModelSettings(size="nano", layout="bert")
    for length, expected in ((None, 512), (64, 512), (700, 700)):
        settings = chosen_settings(choice, 300, length=length)
        assert isinstance(settings, TransformerSettings)
        assert settings.max_length == expected


def test_what_follows_from_the_width_follows_an_overridden_one() -> None:
    plain = chosen_settings(ModelSettings(size="nano", layout="bert", width=64), 300)
    gated = chosen_settings(ModelSettings(size="nano", width=64), 300)
    assert isinstance(plain, TransformerSettings)
    assert isinstance(gated, TransformerSettings)
    assert plain.feed_forward_width == 4 * 64
    assert gated.feed_forward_width == 192


@pytest.mark.parametrize(
    ("choice", "needs", "words"),
    [
        (
            {"layout": "gpt2"},
            "both",
            "reads the past alone, .* choose modernbert or eurobert or bert or electra",
        ),
        ({"layout": "electra"}, "past", "reads both sides, .* choose llama or gpt2"),
        ({"layout": "bert"}, "source", "a source while it writes; choose m2m_100 or marian or bart or t5"),
        ({"layout": "bert", "backbone": "recurrent"}, "both", "leave one of them out"),
    ],
)
def test_a_layout_that_reads_otherwise_is_refused(choice: dict[str, str], needs: str, words: str) -> None:
    settings = ModelSettings(**choice)  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingsError, match=words):
        chosen_settings(settings, 300, needs=needs)  # pyright: ignore[reportArgumentType]


def test_a_classifier_from_scratch_may_read_either_way() -> None:
    for layout, causal in (("gpt2", True), ("bert", False)):
        settings = chosen_settings(ModelSettings(layout=layout), 300, needs="any")  # pyright: ignore[reportArgumentType]
        assert isinstance(settings, TransformerSettings)
        assert settings.causal is causal


@pytest.mark.parametrize(
    ("layout", "expected"), [(None, 1500), ("marian", 1500), ("bart", 1500), ("t5", 1024)]
)
def test_tables_of_positions_of_both_stacks_reach_as_far_as_the_rows(
    layout: LayoutName | None, expected: int
) -> None:
    pair = chosen_settings(ModelSettings(size="nano", layout=layout), 300, needs="source", length=1500)
    assert isinstance(pair, EncoderDecoderSettings)
    assert (pair.encoder.max_length, pair.decoder.max_length) == (expected, expected)


KNOBS: list[dict[str, Any]] = [
    {"num_key_value_heads": 2},
    {"positions": "alibi"},
    {"positions": "sinusoidal"},
    {"window": 9, "depth": 3},
    {"window": 0},
    {"feed_forward": "relu"},
    {"norm": "rms"},
    {"norm_position": "after"},
    {"attention": "linear"},
    {"attention_dropout": 0.1},
    {"stochastic_depth": 0.2},
]


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: next(iter(knob)))
def test_what_a_user_knows_better_reaches_the_model_that_is_shipped(
    knob: dict[str, Any], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    choice = ModelSettings(size="nano", **knob)
    model = pretraining_model(choice, tokenizer, Pretext.named("masked_tokens"), length=64, seed=0)
    settings = chosen_settings(choice, tokenizer.size)
    assert isinstance(settings, TransformerSettings)
    for name, value in knob.items():
        if name != "window":
            assert getattr(settings, name) == value
    save_bundle(tmp_path / "model", model, tokenizer, {})
    assert load_bundle(tmp_path / "model").settings == model.backbone.settings


def test_windows_are_as_wide_as_asked() -> None:
    wide = chosen_settings(ModelSettings(size="nano", depth=4, window=9), 300)
    none = chosen_settings(ModelSettings(size="nano", depth=4, window=0), 300)
    past = chosen_settings(ModelSettings(size="nano", depth=2, window=9), 300, needs="past")
    for settings, windows in ((wide, (None, 9, 9, None)), (none, ()), (past, (None, 9))):
        assert isinstance(settings, TransformerSettings)
        assert settings.windows == windows


def test_a_recurrent_backbone_of_another_kind_is_as_large() -> None:
    usual = chosen_settings(ModelSettings(size="nano", backbone="recurrent"), 300)
    other = chosen_settings(
        ModelSettings(size="nano", backbone="recurrent", cell="gru", attention="additive"), 300
    )
    assert isinstance(other, RecurrentSettings)
    assert (other.cell, other.attention) == ("gru", "additive")
    counts = [cost_of(settings, length=1).body_parameters for settings in (usual, other)]
    assert max(counts) / min(counts) < 1.05


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            {"backbone": "recurrent", "positions": "alibi"},
            "model.positions says nothing of a recurrent backbone",
        ),
        ({"cell": "gru"}, "model.cell says nothing of a transformer backbone"),
        ({"attention": "additive"}, "is none of a transformer backbone; choose softmax or linear"),
        ({"backbone": "recurrent", "attention": "linear"}, "recurrent backbone; choose none or additive"),
        ({"backbone": "convolutional", "attention": "linear"}, "convolutional backbone; leave it out"),
        ({"window": -1}, "model.window = -1"),
        ({"stochastic_depth": 1.0}, "model.stochastic_depth = 1.0"),
    ],
)
def test_what_a_backbone_does_not_have_is_refused(choice: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ModelSettings(size="nano", **choice)


def test_patches_keep_their_positions() -> None:
    patches = Patches(rows=4, columns=4, side=8, channels=3, mean=(0.5,) * 3, deviation=(0.25,) * 3)
    with pytest.raises(SettingsError, match=r"model\.positions is of texts"):
        chosen_picture_settings(ModelSettings(size="nano", positions="rotary"), patches)
    settings = chosen_picture_settings(
        ModelSettings(size="nano", stochastic_depth=0.1, feed_forward="geglu"), patches
    )
    assert isinstance(settings, TransformerSettings)
    assert (settings.stochastic_depth, settings.feed_forward_width) == (0.1, 320)
