"""Marian and M2M-100 here and in transformers: shared random weights, the same numbers, the same translations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from headwater.data.tokenizer import Tokenizer
from headwater.errors import BadDataError
from headwater.models import (
    EncoderDecoderSettings,
    build_model,
    encoder_decoder_settings,
    load_bundle,
    save_bundle,
)
from headwater.models.generation import BeamSearch, Prompt
from headwater.models.layouts import PUBLISHED
from headwater.sequence import Batch, SequenceLayout

SOURCE = SequenceLayout.padded(torch.tensor([11, 4, 1]), 11)
TARGET = SequenceLayout.padded(torch.tensor([7, 9, 2]), 9)
transformers.utils.logging.disable_progress_bar()
KINDS: dict[str, tuple[Any, Any]] = {
    "marian": (transformers.MarianConfig, transformers.MarianMTModel),
    "m2m_100": (transformers.M2M100Config, transformers.M2M100ForConditionalGeneration),
}


def config(kind: str, **more: Any) -> Any:
    return KINDS[kind][0](
        vocab_size=97,
        d_model=48,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=6,
        encoder_ffn_dim=80,
        decoder_ffn_dim=96,
        activation_function="relu",
        max_position_embeddings=64,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        forced_eos_token_id=None,
        decoder_start_token_id=1,
        **more,
    )


def saved(kind: str, folder: Path, **more: Any) -> Any:
    torch.manual_seed(0)
    model = KINDS[kind][1](config(kind, **more)).eval()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if "embed_positions" not in name:
            torch.nn.init.normal_(tensor, std=0.15)
    model.save_pretrained(folder)
    return model


def tokens(layout: SequenceLayout, seed: int) -> Tensor:
    drawn = torch.randint(4, 97, tuple(layout.positions.shape), generator=torch.Generator().manual_seed(seed))
    return drawn.masked_fill(~layout.real, 0)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("marian", {"scale_embedding": True}),
        ("marian", {"scale_embedding": False}),
        ("m2m_100", {"scale_embedding": True}),
        ("m2m_100", {"scale_embedding": False}),
    ],
)
@torch.no_grad()
def test_the_words_of_a_target_get_the_same_logits(tmp_path: Path, kind: str, more: dict[str, Any]) -> None:
    theirs = saved(kind, tmp_path, **more)
    ours = load_bundle(tmp_path).model.eval()
    source, target = tokens(SOURCE, 0), tokens(TARGET, 1)
    batch = Batch(source, SOURCE, torch.arange(3), targets=target, target_layout=TARGET)
    logits = ours.heads["next_token"](ours.decode(batch)[TARGET.real])
    expected = theirs(
        input_ids=source,
        attention_mask=SOURCE.real.long(),
        decoder_input_ids=target,
        decoder_attention_mask=TARGET.real.long(),
    ).logits
    torch.testing.assert_close(logits, expected[TARGET.real], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", list(KINDS))
@torch.no_grad()
def test_beams_find_what_the_beams_of_transformers_find(tmp_path: Path, kind: str) -> None:
    theirs = saved(kind, tmp_path)
    ours = load_bundle(tmp_path).model.eval()
    source = tokens(SOURCE, 0)[:2]
    prompts = [
        Prompt(np.array([1]), row[real].numpy()) for row, real in zip(source, SOURCE.real[:2], strict=True)
    ]
    # Without a length penalty both rank by the plain sum of log probabilities.
    found = BeamSearch(beams=4, length_penalty=0.0).search(ours, prompts, end=2, padding=0, most=8)
    sequences = theirs.generate(
        source,
        attention_mask=SOURCE.real[:2].long(),
        num_beams=4,
        length_penalty=0.0,
        max_new_tokens=8,
        do_sample=False,
        early_stopping="never",
    )
    for hypotheses, sequence in zip(found, sequences.tolist(), strict=True):
        words = [token for token in sequence[1:] if token not in (0, 2)]
        assert list(hypotheses[0].tokens) == words


@pytest.mark.parametrize(("size", "kind"), [("paper_base", "marian"), ("nano", "m2m_100")])
@torch.no_grad()
def test_a_model_made_here_opens_there(tmp_path: Path, size: str, kind: str) -> None:
    tokenizer = Tokenizer.learn(["some words to learn a vocabulary from"] * 4, 280)
    settings = encoder_decoder_settings(size, tokenizer.size)
    model = build_model(settings, head="next_token", seed=0).eval()
    save_bundle(tmp_path / "model", model, tokenizer, {"task": "translation"})
    theirs: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model")
    assert type(theirs) is KINDS[kind][1]
    source, target = tokens(SOURCE, 0), tokens(TARGET, 1)
    batch = Batch(source, SOURCE, torch.arange(3), targets=target, target_layout=TARGET)
    mine = model.heads["next_token"](model.decode(batch)[TARGET.real])
    logits = theirs.eval()(
        input_ids=source,
        attention_mask=SOURCE.real.long(),
        decoder_input_ids=target,
        decoder_attention_mask=TARGET.real.long(),
    ).logits
    torch.testing.assert_close(mine, logits[TARGET.real], atol=1e-5, rtol=0)
    again = load_bundle(tmp_path / "model")
    assert again.settings == settings
    assert isinstance(again.settings, EncoderDecoderSettings)
    torch.testing.assert_close(
        again.model.heads["next_token"](again.model.eval().decode(batch)[TARGET.real]), mine
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"activation_function": "swish"}, "activation_function = 'swish'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings"),
        ({"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings"),
        ({"decoder_vocab_size": 12}, "decoder_vocab_size"),
        ({"strange": 1}, "strange, unknown"),
    ],
)
def test_a_config_that_means_something_else_is_refused(change: dict[str, Any], reason: str) -> None:
    values = config("marian").to_dict() | {"architectures": ["MarianMTModel"]} | change
    with pytest.raises(BadDataError, match=reason):
        PUBLISHED["marian"].from_config(values)
